import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.data.pairs import Layout, Pair
from sr_jax.runtime import devices
from sr_jax.training import sharding

PATCH, SCALE = 5, 2
RNG = np.random.default_rng(0)
PHOTOS = [
  make_pair(name, RNG.integers(0, 256, shape, np.uint8), SCALE)
  for name, shape in [("a", (24, 30)), ("b", (16, 12)), ("c", (10, 40))]
]
STORE = patches.make_store(PHOTOS, PATCH)


def test_patches_are_windows_of_the_images_under_one_of_eight_symmetries():
  crops = jax.tree.map(np.asarray, patches.draw(STORE, jax.random.key(0), 64))
  lr, hr = patches.cut(STORE, crops, PATCH, Layout(SCALE))
  assert lr.shape == (64, PATCH, PATCH, 1)
  assert hr.shape == (64, PATCH * SCALE, PATCH * SCALE, 1)
  for i in range(64):
    photo, row, column = PHOTOS[crops.image[i]], *crops.corner[i]
    for got, image, scale in ((lr, photo.input, 1), (hr, photo.target / np.float32(255), SCALE)):
      window = image[row * scale : (row + PATCH) * scale, column * scale : (column + PATCH) * scale]
      swap, up_down, left_right = crops.symmetry[i]
      window = window.T if swap else window
      window = window[::-1] if up_down else window
      window = window[:, ::-1] if left_right else window
      np.testing.assert_allclose(got[i, :, :, 0], window, rtol=1e-6)
  assert len({tuple(s) for s in crops.symmetry}) == 8


def test_every_position_of_every_image_is_equally_likely():
  crops = jax.tree.map(np.asarray, patches.draw(STORE, jax.random.key(1), 40_000))
  counts = []
  for i, photo in enumerate(PHOTOS):
    rows, columns = (side - PATCH + 1 for side in photo.input.shape)
    here = crops.image == i
    flat = crops.corner[here] @ (columns, 1)
    assert (crops.corner[here] < (rows, columns)).all()
    counts.append(np.bincount(flat, minlength=rows * columns))
  counts = np.concatenate(counts)
  expected = 40_000 / len(counts)
  assert len(counts) == STORE.last_position[-1]
  chi_squared = ((counts - expected) ** 2 / expected).sum()
  assert abs(chi_squared - len(counts)) < 5 * np.sqrt(2 * len(counts))


def test_a_symmetry_of_the_pair_is_a_symmetry_of_each():
  # The LR patch of a turned HR image is the turned LR patch: shrinking knows no direction.
  turned = [make_pair(p.name, np.ascontiguousarray(p.target.T[::-1]), SCALE) for p in PHOTOS]
  for photo, other in zip(PHOTOS, turned, strict=True):
    np.testing.assert_allclose(photo.input.T[::-1], other.input, atol=1e-6)


def test_fixed_crops_lie_within_the_images_and_never_change():
  first, second = (patches.fixed_crops(PHOTOS, PATCH, 50) for _ in range(2))
  jax.tree.map(np.testing.assert_array_equal, first, second)
  for i, photo in enumerate(PHOTOS):
    here = first.image == i
    assert here.sum() == 50
    assert (first.corner[here] <= np.array(photo.input.shape) - PATCH).all()


def test_images_that_do_not_fit_are_refused_with_the_size_needed():
  needed = sum(leaf.nbytes for leaf in jax.tree.leaves(STORE))
  with pytest.raises(InputError, match=r"need 0.00 GiB and the device has 0.00"):
    patches.check_memory(STORE, needed)
  patches.check_memory(STORE, 2 * needed)
  assert devices.device_memory(jax.devices()[0]) > 2**28


def test_the_devices_of_a_cpu_share_one_copy_of_the_images():
  resident = sharding.replicate(sharding.make_mesh(4, 4), STORE)
  for array, host in ((resident.targets, STORE.targets), (resident.inputs, STORE.inputs)):
    copies = [shard.data.unsafe_buffer_pointer() for shard in array.addressable_shards]
    assert copies == [host.ctypes.data] * 4


def test_an_image_as_small_as_a_patch_has_one_position():
  store = patches.make_store([PHOTOS[2]], 5)
  assert store.last_position[-1] == 1 * 16
  crops = patches.draw(store, jax.random.key(0), 100)
  assert int(jnp.max(crops.corner[:, 0])) == 0


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("input_is_hr", [False, True])
def test_patches_of_any_dimension_and_number_of_maps_are_windows_of_the_arrays(dims, input_is_hr):
  layout = Layout(SCALE, dims, input_is_hr, 2, 3, True, "int32")
  pairs = []
  for shape in ((9, 7, 6), (5, 8, 6)):
    sides = np.array(shape[:dims])
    data = (
      RNG.random((*(layout.input_factor * sides), 2), np.float32),
      RNG.integers(0, 99, (*(SCALE * sides), 3), np.int32),
    )
    pairs.append(Pair("", *data, ""))
  store = patches.make_store(pairs, 4, layout)
  crops = jax.tree.map(np.asarray, patches.draw(store, jax.random.key(0), 24))
  inputs, targets = patches.cut(store, crops, 4, layout)
  assert targets.dtype == np.int32
  for i in range(24):
    pair, corner, choices = pairs[crops.image[i]], crops.corner[i], [*crops.symmetry[i]]
    swap = choices.pop(0) if dims == 2 else False
    for got, array, factor in (
      (inputs, pair.input, layout.input_factor),
      (targets, pair.target, SCALE),
    ):
      window = array[tuple(slice(factor * at, factor * (at + 4)) for at in corner)]
      window = window.swapaxes(0, 1) if swap else window
      window = np.flip(window, [axis for axis in range(dims) if choices[axis]])
      np.testing.assert_array_equal(got[i], window)
  plain, _ = patches.cut(store, crops, 4, layout._replace(has_symmetries=False))
  at = tuple(layout.input_factor * index for index in crops.corner[0])
  np.testing.assert_array_equal(plain[0][(0,) * dims], pairs[crops.image[0]].input[at])
