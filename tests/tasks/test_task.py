import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import pair_of, read_luminance, read_pixels
from sr_jax.tasks.autoencoding import Autoencoding
from sr_jax.tasks.deblocking import Deblocking
from sr_jax.tasks.demosaicing import Demosaicing
from sr_jax.tasks.denoising import Denoising
from sr_jax.tasks.filtering import Filtering
from sr_jax.tasks.flow import Flow
from sr_jax.tasks.segmentation import Segmentation
from sr_jax.tasks.super_resolution import SuperResolution

PHOTO = SAMPLE_PHOTOS / "wine.webp"
SIDES = slice(61), slice(58)  # multiples of no scale
LUMINANCE, RGB = read_luminance(PHOTO)[SIDES], read_pixels(PHOTO)[SIDES]
TASKS = [
  Denoising(),
  Deblocking(),
  Deblocking(scale=2),
  Demosaicing(),
  Filtering(),
  Autoencoding(),
  Segmentation(),
  Flow(),
  SuperResolution(scale=3),
]


def make_pair(task, name="wine"):
  return task.pair(name, RGB if task.in_colour else LUMINANCE)


def perfect(task, pair):
  """An output that is right everywhere."""
  if isinstance(task, Segmentation):
    return np.eye(task.classes, dtype=np.float32)[pair.target]
  return task.values(pair.target).astype(np.float32)


def batch(pair):
  """A target as a loss gets it."""
  values = pair.target / np.float32(255) if pair.target.dtype == np.uint8 else pair.target
  return jnp.asarray(values.reshape(1, *values.shape[:2], -1))


@pytest.fixture(params=TASKS, ids=lambda task: f"{task.name}_x{task.scale}")
def task(request):
  return request.param


def test_pairs_are_what_the_layout_says_and_the_same_every_time(task):
  pair, again = make_pair(task), make_pair(task)
  layout = task.layout
  rows, columns = pair.target.shape[:2]
  targets = () if layout.target_maps == 1 else (layout.target_maps,)
  assert pair.target.shape == (rows, columns, *targets)
  assert (rows % task.scale, columns % task.scale) == (0, 0)
  assert min(61 - rows, 58 - columns) >= 0
  assert max(61 - rows, 58 - columns) < 8 + task.scale  # a margin, or to blocks of 8
  shrunk = 1 if layout.input_is_hr else task.scale
  inputs = () if layout.input_maps == 1 else (layout.input_maps,)
  assert pair.input.shape == (rows // shrunk, columns // shrunk, *inputs)
  assert {pair.input.dtype, pair.target.dtype} <= {np.dtype(t) for t in ("u1", "f4", "i4")}
  np.testing.assert_array_equal(pair.input, again.input)
  np.testing.assert_array_equal(pair.target, again.target)
  assert pair.digest == again.digest
  assert pair.digest != task.pair("wine", (RGB if task.in_colour else LUMINANCE) // 2).digest


def test_a_digest_changes_with_the_input_and_with_the_target(task):
  pair = make_pair(task)
  assert pair_of("other", pair.input, pair.target).digest == pair.digest
  for name in ("input", "target"):
    arrays = {"input": pair.input.copy(), "target": pair.target.copy()}
    arrays[name].flat[-1] = arrays[name].flat[-1] == 0
    assert pair_of("wine", arrays["input"], arrays["target"]).digest != pair.digest, name


def test_a_better_output_scores_higher(task):
  pair = make_pair(task)
  best, baseline = perfect(task, pair), task.without_network(pair)
  assert best.shape == baseline.shape == (*pair.target.shape[:2], task.outputs.hr)
  halfway = (best + baseline) / 2
  scores = [task.score(output, pair)[task.measure] for output in (baseline, halfway, best)]
  assert scores[0] < scores[1] <= scores[2]
  assert scores[0] < scores[2] - 0.5
  assert scores[2] == (1 if task.measure == "iou" else 100)
  best[3, 4] = np.nan
  assert np.isnan(list(task.score(best, pair).values())).all()


def test_the_loss_falls_along_its_gradient_and_is_smooth_where_the_output_is_right(task):
  pair = make_pair(task)
  target, best = batch(pair), jnp.asarray(perfect(task, pair))[None]
  output = jnp.asarray(task.without_network(pair), jnp.float32)[None]
  loss, gradient = jax.value_and_grad(task.loss)(output, target)
  assert np.isfinite(gradient).all()
  assert np.abs(gradient).max() > 0
  assert task.loss(output - 10 * gradient, target) < loss
  assert task.loss(best, target) < loss
  assert np.isfinite(jax.grad(task.loss)(best, target)).all()


def test_the_error_is_none_where_the_output_is_right(task):
  pair = make_pair(task)
  sharpness = 100 if isinstance(task, Segmentation) else 1
  np.testing.assert_allclose(task.error(sharpness * perfect(task, pair), pair), 0, atol=1e-6)
  assert np.abs(task.error(task.without_network(pair), pair)).max() > 0.05


def test_pictures_are_on_the_hr_grid(task):
  pair = make_pair(task)
  for picture in (
    task.picture(pair.target),
    task.picture(task.without_network(pair)),
    task.input_picture(pair),
  ):
    assert picture.dtype == np.uint8
    assert picture.shape in (pair.target.shape[:2], (*pair.target.shape[:2], 3))
  np.testing.assert_array_equal(task.picture(pair.target), task.picture(perfect(task, pair)))


def test_a_photograph_that_is_too_small_is_named(task):
  pixels = np.zeros((task.scale - 1, 60, 3) if task.in_colour else (task.scale - 1, 60), np.uint8)
  with pytest.raises(InputError, match=f"small is {task.scale - 1} x 60 in size, and {task.name}"):
    task.pair("small", pixels)
