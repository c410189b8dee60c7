import numpy as np
import pytest

from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import read_luminance
from sr_jax.tasks.flow import MARGIN, Flow, random_flow, warp

TASK = Flow()
PHOTO = read_luminance(SAMPLE_PHOTOS / "wine.webp")[:92, :108]
PAIR = TASK.pair("wine", PHOTO)


def test_the_second_frame_is_the_first_at_where_the_flow_points():
  assert PAIR.input.shape == PAIR.target.shape == (84, 100, 2)
  np.testing.assert_array_equal(PAIR.input[..., 0], PHOTO[MARGIN:-MARGIN, MARGIN:-MARGIN])
  first, second = np.moveaxis(PAIR.input / 255, -1, 0)
  inner = (slice(8, -8),) * 2  # beyond it the warp of a frame needs what was cropped
  warped = warp(first, PAIR.target.astype(float))[inner]
  np.testing.assert_allclose(warped, second[inner], atol=3e-3)
  for wrong in (-PAIR.target, PAIR.target[..., ::-1], np.zeros_like(PAIR.target)):
    assert np.abs(warp(first, wrong.astype(float)) - second)[inner].max() > 0.05


def test_flow_counts_rows_downwards_and_columns_to_the_right():
  image = np.zeros((20, 20))
  image[7, 12] = 1
  flow = np.full((20, 20, 2), (2.0, -1.0))  # what is at x was at x + (2, -1)
  second = warp(image, flow)
  assert np.unravel_index(second.argmax(), second.shape) == (5, 13)


def test_flow_is_smooth_and_at_most_three_pixels_long():
  flow = random_flow("a", (90, 70))
  np.testing.assert_allclose(np.linalg.norm(flow, axis=-1).max(), 3)
  assert max(np.abs(np.diff(flow, axis=axis)).max() for axis in (0, 1)) < 0.5  # it does not fold
  assert np.abs(flow - random_flow("b", (90, 70))).max() > 1


def test_no_network_scores_the_length_of_the_flow():
  score = TASK.score(TASK.without_network(PAIR), PAIR)
  length = np.linalg.norm(PAIR.target, axis=-1).mean()
  np.testing.assert_allclose(score["epe"], length, rtol=1e-6)
  np.testing.assert_allclose(score["epe_db"], -20 * np.log10(length), atol=1e-5)


@pytest.mark.parametrize(
  ("vector", "colour"),
  [((0, 3), (255, 0, 0)), ((0, 0), (0, 0, 0)), ((0, -3), (0, 255, 255)), ((0, 1.5), (128, 0, 0))],
)
def test_colours_tell_direction_and_length(vector, colour):
  picture = TASK.picture(np.full((2, 2, 2), vector, np.float32))
  np.testing.assert_allclose(picture, np.full((2, 2, 3), colour), atol=6)
