import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from sr_jax.comparison.task_arms import ARMS, HALF, LR, PLAIN, RESIZES, SKIP
from sr_jax.comparison.task_recipe import SIGNAL_SIDE, TaskRecipe, arms, middle
from sr_jax.config import Execution, InputError
from sr_jax.data.images import read_luminance
from sr_jax.networks import Maps
from sr_jax.tasks.autoencoding import Autoencoding
from sr_jax.tasks.deblocking import Deblocking
from sr_jax.tasks.demosaicing import Demosaicing
from sr_jax.tasks.denoising import Denoising
from sr_jax.tasks.filtering import Filtering
from sr_jax.tasks.flow import Flow
from sr_jax.tasks.segmentation import Segmentation
from sr_jax.tasks.super_resolution import SuperResolution

ALL = (LR, *RESIZES, HALF)
TASKS = {  # and the networks that they have besides those of all
  SuperResolution(2): (SKIP,),
  SuperResolution(2, dims=1, middle=0.0): (SKIP,),
  SuperResolution(2, dims=3): (SKIP,),
  Denoising(2): (PLAIN,),
  Deblocking(8): (PLAIN,),
  Deblocking(2): (PLAIN,),
  Filtering(2): (PLAIN,),
  Demosaicing(): (),
  Segmentation(4): (),
  Segmentation(4, classes=2): (),
  Flow(4): (),
  Autoencoding(8): (),
}
of_every_task = pytest.mark.parametrize(
  "task", TASKS, ids=lambda task: f"{task.name}_x{task.scale}_d{task.dims}"
)
PATCH = 8


def recipe(task, **fields):
  """Of networks as narrow as they can be."""
  narrow = {"features": 2 * task.scale**task.dims, "scale": task.scale, "patch": PATCH}
  return TaskRecipe(task=task, **{**narrow, **fields})


def noise(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def photographs(tmp_path):
  """A folder of five colour photographs, of sides that no scale divides."""
  folder = tmp_path / "photos"
  for i, split in enumerate(("train", "train", "validation", "test", "test")):
    (folder / split).mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(83, 77, 3, seed=i)).save(folder / split / f"{i}.png")
  return folder


@pytest.fixture
def execution(tmp_path):
  return Execution(data_dir=str(tmp_path / "cache"))


def load(task, folder, execution, **fields):
  return recipe(task, data=f"folder:{folder}", **fields).load(execution)


def sets_of(photos):
  return {"train": photos.train, "validation": photos.validation, **photos.tests}


@of_every_task
def test_every_arm_of_every_task_costs_exactly_what_lr_costs(task):
  for depth in (1, 2):
    for features in (2, 4):
      wide = recipe(task, features=features * task.scale**task.dims, depth=depth)
      built = arms(wide)
      assert [arm.name for arm in built] == [*ALL, *TASKS[task]] == [*wide.arm_names()]
      assert len({arm.budget.macs for arm in built}) == 1
      assert {arm.macs for arm in built} == {built[0].budget.macs}


@of_every_task
def test_every_arm_maps_an_input_to_an_output(task):
  factor = task.layout.input_factor
  sides = tuple(PATCH + 2 * axis for axis in range(task.dims))
  inputs = jnp.zeros((3, *(factor * side for side in sides), task.layout.input_maps))
  for arm in arms(recipe(task)):
    network = arm.network
    params = jax.eval_shape(network.init, jax.random.key(0), inputs)
    output = jax.eval_shape(network.apply, params, inputs)
    assert output.shape == (3, *(task.scale * side for side in sides), task.outputs.hr), arm.name
    assert network.margin == 0


@of_every_task
def test_arms_upsample_where_they_say(task):
  n, hr, count = 2 * task.scale**task.dims, 2, task.outputs.hr
  by_name = {arm.name: arm.network.layers for arm in arms(recipe(task, depth=2))}
  encoder = 2 if task.bottleneck else 0
  target = Maps(n // hr * count)  # as phases
  early = [Maps(n), Maps(hr=hr), Maps(hr=hr), Maps(hr=count)]
  for name, layers in by_name.items():
    states = early if name in RESIZES else [Maps(n)] * 3 + [target]
    states = [Maps(n // 2, hr // 2)] * 3 + [target] if name == HALF else states
    assert [layer.outputs for layer in layers[encoder:]] == states, name
    resizes = {layer.resize for layer in layers} - {""}
    assert resizes == ({name} if name in ("nearest", "linear") else set())
    if task.bottleneck:
      assert layers[1].outputs == task.bottleneck
      assert layers[1].activation == ""
      assert layers[0].activation != ""


@of_every_task
def test_only_plain_and_skip_differ_in_what_is_added(task):
  networks = {arm.name: arm.network for arm in arms(recipe(task))}
  adds_input = bool(task.fields.get("identity_skip"))
  for name, network in networks.items():
    assert network.identity_skip == (adds_input and name != PLAIN)
    assert network.bicubic_skip == (name == SKIP)
  notes = [arm.note for arm in arms(recipe(task))]
  assert len(set(notes)) == len(notes)


def test_kernels_in_notes_have_as_many_sides_as_axes():
  notes = {arm.name: arm.note for arm in arms(recipe(SuperResolution(2, dims=3)))}
  assert notes["transposed"].endswith("upsampled by a transposed convolution of 6x6x6")
  notes = {arm.name: arm.note for arm in arms(recipe(SuperResolution(2, dims=1)))}
  assert notes[LR] == "4 LR maps of 3, shuffled at the end"


def test_arms_are_those_that_are_asked_for():
  few = recipe(Denoising(2), arms=(LR, "nearest", SKIP))
  assert few.arm_names() == (LR, "nearest")
  assert {f"nearest/{few.seeds}", f"{LR}/{few.seeds}"} <= few.choices().keys()
  assert not any(name.startswith(SKIP) for name in few.choices())


@pytest.mark.parametrize(
  ("features", "chosen"), [(30, ARMS), (12, ARMS), (2, ARMS), (30, (LR, "nearest"))]
)
def test_features_that_are_no_whole_hr_maps_are_refused(features, chosen):
  with pytest.raises(InputError, match=r"are no even number of HR maps of 4 phases; .* 8$"):
    arms(recipe(Denoising(2), features=features, arms=chosen))


def test_an_odd_number_of_hr_maps_can_be_used_where_none_is_halved():
  built = arms(recipe(Denoising(2), features=12, arms=(LR, "nearest")))
  assert built[1].network.layers[1].outputs == Maps(hr=3)


@pytest.mark.parametrize("task", [Denoising(2), Flow(4), Deblocking(8)], ids=lambda t: t.name)
def test_photographs_become_the_pairs_of_the_task(task, photographs, execution):
  photos = load(task, photographs, execution, crop=64)
  assert {name: len(pairs) for name, pairs in sets_of(photos).items()} == {
    "train": 2,
    "validation": 1,
    "test": 2,
  }
  for pair in photos.train:
    assert min(pair.target.shape[:2]) > 64
  for pair in (*photos.validation, *photos.test):
    margin = 8 if isinstance(task, Flow) else 0  # which a warped frame needs
    assert pair.target.shape[:2] == (64 - margin, 64 - margin)
  again = load(task, photographs, execution, crop=64)
  assert again.fingerprint() == photos.fingerprint()
  assert load(task, photographs, execution).fingerprint() != photos.fingerprint()


def test_what_is_scored_is_the_middle(photographs, execution):
  whole, part = (load(SuperResolution(2), photographs, execution, crop=crop) for crop in (0, 60))
  target = whole.test[0].target
  assert target.shape == (82, 76)
  np.testing.assert_array_equal(part.test[0].target, target[11:71, 8:68])
  np.testing.assert_array_equal(part.train[0].target, whole.train[0].target)


def test_colour_is_that_of_the_file(photographs, execution):
  photos = load(Demosaicing(), photographs, execution)
  for name, pairs in sets_of(photos).items():
    for pair in pairs:
      with Image.open(photographs / name / f"{pair.name}.png") as image:
        np.testing.assert_array_equal(pair.target, np.asarray(image)[:82, :76])


def label(photographs, folder, values=6, shape=(83, 77)):
  folder.mkdir()
  for i, path in enumerate(sorted(photographs.rglob("*.png"))):
    Image.fromarray(noise(*shape, seed=i) % values).save(folder / path.name)


def test_labels_of_ones_own_are_cut_as_their_photographs_are(photographs, execution, tmp_path):
  label(photographs, tmp_path / "labels", values=3)
  task = Segmentation(4, classes=3)
  own = {"labels": str(tmp_path / "labels")}
  photos = load(task, photographs, execution, **own, crop=32)
  for pair in photos.test:
    labels = np.asarray(Image.open(tmp_path / "labels" / f"{pair.name}.png"))
    np.testing.assert_array_equal(pair.target, labels[25:57, 22:54])
    luminance = read_luminance(photographs / "test" / f"{pair.name}.png")
    np.testing.assert_array_equal(pair.input, luminance[25:57, 22:54])
  assert [pair.target.shape for pair in photos.train] == [(80, 76)] * 2  # 83 x 77, to multiples
  computed = load(Segmentation(4), photographs, execution, crop=32)
  assert computed.fingerprint() != photos.fingerprint()


@pytest.mark.parametrize(
  ("how", "says"),
  [
    ({"shape": (80, 76)}, r"labels 76 x 80 pixels and the photograph \w has 77 x 83"),
    ({"values": 7}, "has labels from 0 to 6, and 6 classes are 0 to 5"),
    ({"values": 1}, "labels every pixel 0; there is nothing to learn"),
  ],
)
def test_labels_that_do_not_fit_are_refused(how, says, photographs, execution, tmp_path):
  label(photographs, tmp_path / "labels", **how)
  with pytest.raises(InputError, match=says):
    load(Segmentation(4), photographs, execution, labels=str(tmp_path / "labels"))


def test_labels_of_two_photographs_of_one_name_are_refused(photographs, execution, tmp_path):
  (photographs / "test" / "3.png").rename(photographs / "test" / "0.png")
  label(photographs, tmp_path / "labels")
  with pytest.raises(InputError, match="two photographs are called 0, and labels are found by"):
    load(Segmentation(4), photographs, execution, labels=str(tmp_path / "labels"))


def test_a_photograph_too_small_for_a_patch_is_refused(photographs, execution):
  Image.fromarray(noise(60, 90)).save(photographs / "train" / "small.png")
  says = "small.png is 90 x 60 pixels; at scale 8 it needs at least 64 x 64 for a patch of 8 LR"
  with pytest.raises(InputError, match=says):
    load(Deblocking(8), photographs, execution)


def test_a_photograph_too_small_once_a_task_has_cropped_it_is_refused(photographs, execution):
  Image.fromarray(noise(38, 38)).save(photographs / "train" / "small.png")
  says = "small has 7 x 7 LR pixels for flow, and a patch takes 8 along each axis"
  with pytest.raises(InputError, match=says):
    load(Flow(4), photographs, execution)


def test_a_middle_of_which_there_is_nothing_to_score_is_refused(photographs, execution):
  pixels = noise(83, 77)
  pixels[20:70, 20:70] = 7
  Image.fromarray(pixels).save(photographs / "test" / "sky.png")
  load(SuperResolution(2), photographs, execution)
  with pytest.raises(InputError, match="the middle of sky, which super_resolution scores, is con"):
    load(SuperResolution(2), photographs, execution, crop=32)


def test_scan_lines_of_the_sample_photographs_are_signals(execution):
  task = SuperResolution(2, dims=1, middle=0.0)
  photos = recipe(task, source="sample_photos", patch=128).load(execution)
  assert {pair.target.shape for pair in photos.test} == {(SIGNAL_SIDE,)}
  assert {pair.input.shape for pair in photos.test} == {(SIGNAL_SIDE // 2,)}
  assert {pair.target.ndim for pair in photos.train} == {1}
  assert min(len(pair.target) for pair in photos.train) > SIGNAL_SIDE
  assert not {p.name for p in photos.train} & {p.name for p in (*photos.validation, *photos.test)}


def test_a_part_of_the_signals_is_used_where_that_is_asked_for(execution):
  task = SuperResolution(2, dims=1, middle=0.0)
  every = recipe(task, source="sample_photos").load(execution)
  part = recipe(task, source="sample_photos", data_fraction=0.5, validation_images=1)
  photos = part.load(execution)
  assert len(photos.train) == round(len(every.train) / 2)
  assert len(photos.validation) == 1
  assert len(photos.test) == len(every.test)


def test_volumes_of_ones_own_are_read(tmp_path, execution):
  for i in range(5):
    np.save(tmp_path / f"{i}.npy", np.random.default_rng(i).random((14, 13, 16), np.float32))
  task = SuperResolution(2, dims=3)
  photos = recipe(task, source=f"folder:{tmp_path}", patch=6).load(execution)
  for pair in (*photos.train, *photos.validation, *photos.test):
    assert (pair.input.shape, pair.target.shape) == ((7, 6, 8), (14, 12, 16))
  says = "13 x 16 voxels without a blank border, and each side must have at least 14"
  with pytest.raises(InputError, match=says):
    recipe(task, source=f"folder:{tmp_path}", patch=7).load(execution)


@pytest.mark.parametrize("shape", [(9,), (9, 8), (4, 20, 3)])
def test_the_middle_is_cut_along_the_first_axes(shape):
  array = np.arange(math.prod(shape)).reshape(shape)
  np.testing.assert_array_equal(middle(())(array), array)
  np.testing.assert_array_equal(middle((5,))(array), array[max(0, (shape[0] - 5) // 2) :][:5])
  if len(shape) > 1:
    cut = middle((6, 6))(array)
    assert cut.shape[:2] == (min(6, shape[0]), 6)
    begins = [max(0, (side - 6) // 2) for side in shape[:2]]
    np.testing.assert_array_equal(cut, array[begins[0] :, begins[1] :][:6, :6])


def test_a_recipe_is_a_runs_name():
  plain, other = recipe(Segmentation(4)), recipe(Segmentation(4, classes=2))
  assert dataclasses.asdict(plain)["task"] != dataclasses.asdict(other)["task"]
