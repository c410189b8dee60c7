import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from sr_jax.operators.shuffle import depth_to_space, space_to_depth


@pytest.mark.parametrize(
  ("space", "scale", "channels"), [((5,), 3, 2), ((3, 4), 2, 3), ((4, 2), 3, 1), ((2, 3, 2), 2, 2)]
)
def test_output_pixel_is_its_phase_of_the_input_pixel(space, scale, channels):
  phases = scale ** len(space)
  x = np.arange(2 * np.prod(space) * phases * channels).reshape(2, *space, phases * channels)
  y = np.asarray(depth_to_space(jnp.asarray(x), scale))
  assert y.shape == (2, *(scale * side for side in space), channels)
  for pixel in itertools.product(*(range(scale * side) for side in space)):
    phase = 0
    for coordinate in pixel:
      phase = phase * scale + coordinate % scale
    source = x[(slice(None), *(c // scale for c in pixel))]
    np.testing.assert_array_equal(
      y[(slice(None), *pixel)], source[:, phase * channels : (phase + 1) * channels]
    )


def test_space_to_depth_undoes_it():
  x = jax.random.normal(jax.random.key(0), (2, 3, 4, 5, 16))
  np.testing.assert_array_equal(space_to_depth(depth_to_space(x, 2), 2), x)


def test_each_axis_has_its_own_scale():
  x = jax.random.normal(jax.random.key(0), (2, 3, 4, 12))
  y = depth_to_space(x, (2, 3))
  assert y.shape == (2, 6, 12, 2)
  for row, column in ((0, 0), (1, 5), (5, 11)):
    phase = row % 2 * 3 + column % 3
    source = x[:, row // 2, column // 3, 2 * phase : 2 * phase + 2]
    np.testing.assert_array_equal(y[:, row, column], source)
  np.testing.assert_array_equal(space_to_depth(y, (2, 3)), x)


def test_works_on_explicitly_sharded_rows():
  mesh = jax.make_mesh((2,), ("rows",), axis_types=(AxisType.Explicit,), devices=jax.devices()[:2])
  x = jax.random.normal(jax.random.key(0), (1, 4, 6, 8))
  with jax.set_mesh(mesh):
    sharded = jax.device_put(x, NamedSharding(mesh, P(None, "rows")))
    y = jax.jit(depth_to_space, static_argnums=1)(sharded, 2)
  np.testing.assert_array_equal(np.asarray(y), depth_to_space(x, 2))


@pytest.mark.parametrize(
  ("shape", "scale", "says"),
  [
    ((1, 4, 4, 6), 2, "multiple of 4"),
    ((1, 4, 4, 4), 0, "whole number"),
    ((4, 4), 2, "spatial axis"),
    ((1, 4, 4, 4), (2, 2, 2), "2 of them, one for each"),
  ],
)
def test_bad_input_is_named(shape, scale, says):
  with pytest.raises(ValueError, match=says):
    depth_to_space(jnp.zeros(shape), scale)


def test_sides_that_do_not_divide_are_named():
  with pytest.raises(ValueError, match="multiples of scale 2"):
    space_to_depth(jnp.zeros((1, 3, 4, 1)), 2)
