"""The picture of a task: of an image, a volume and a signal."""

import numpy as np
import pytest
from PIL import Image

from sr_jax.report import task_pictures
from sr_jax.tasks.segmentation import Segmentation
from sr_jax.tasks.super_resolution import SuperResolution

RNG = np.random.default_rng(0)


def outputs_of(task, pair):
  """Networks of which the first is half way to the truth, and the second a fifth."""
  without = task.without_network(pair)
  error = task.error(without, pair)
  return {"lr": without - error / 2, "transposed": without - error / 5}


@pytest.mark.parametrize(("dims", "shape"), [(1, (90,)), (2, (40, 50)), (3, (24, 8, 20))])
def test_pictures_have_what_a_task_has(tmp_path, dims, shape):
  task = SuperResolution(dims=dims)
  pair = task.pair("a $long$ name of an image", RNG.random(shape, np.float32))
  path = tmp_path / "picture.png"
  task_pictures.draw(pair, task, outputs_of(task, pair), path)
  with Image.open(path) as image:
    pixels = np.asarray(image.convert("L"))
  assert pixels.shape[1] == 900
  assert len(np.unique(pixels)) > 20


def test_panels_of_an_image_are_cropped_and_scored():
  task = SuperResolution()
  pair = task.pair("noise", RNG.random((150, 120), np.float32))
  outputs = outputs_of(task, pair)
  cells = task_pictures._image(pair, task, outputs).axes
  assert [axes.get_title() for axes in cells] == [
    *("input", "no network", "truth", "LR", "Transposed", "closer to the truth")
  ]
  score = task.score(outputs["lr"], pair)["psnr"]
  assert cells[3].get_xlabel() == f"{score:.2f} dB"
  assert all(axes.images[0].get_array().shape == (96, 96) for axes in cells)
  assert (cells[5].images[0].get_array() > 0).all()  # LR is closer everywhere


def test_a_volume_is_shown_by_the_slice_of_its_picture():
  task = SuperResolution(dims=3)
  pair = task.pair("noise", RNG.random((24, 8, 20), np.float32))
  cells = task_pictures._image(pair, task, outputs_of(task, pair)).axes
  assert all(axes.images[0].get_array().shape == (20, 20) for axes in cells)
  error = task_pictures._distance(pair, task, task.without_network(pair))
  expected = np.abs(task.without_network(pair)[:, 4, :, 0] - pair.target[:, 4])
  np.testing.assert_allclose(error, expected)


def test_labels_are_shown_in_colour_and_scored_by_iou():
  task = Segmentation()
  pair = task.pair("noise", RNG.integers(0, 256, (48, 48), np.uint8))
  right = np.eye(task.classes)[pair.target] * 5
  cells = task_pictures._image(pair, task, {"lr": right, "half": right / 10}).axes
  assert cells[3].get_xlabel() == "IoU 1.000"
  np.testing.assert_array_equal(cells[3].images[0].get_array(), task.picture(pair.target))
  assert cells[0].images[0].get_array().ndim == 2


def test_a_signal_is_shown_where_networks_gain_most():
  task = SuperResolution(dims=1)
  signal = np.zeros(400, np.float32)
  signal[240:280] = RNG.random(40)
  pair = task.pair("burst", signal)
  above, below = task_pictures._signal(pair, task, outputs_of(task, pair)).axes
  lines = {line.get_label(): line for line in above.lines}
  at = lines["truth"].get_xdata()
  assert len(at) == task_pictures.STRETCH
  assert at[0] <= 240
  assert at[-1] >= 279
  centres = lines["input"].get_xdata()
  assert set(centres % 2) == {0.5}  # between the two samples that an LR sample stands for
  np.testing.assert_array_equal(lines["input"].get_ydata(), pair.input[centres.astype(int) // 2])
  assert any(label.startswith("LR, ") and label.endswith(" dB") for label in lines)
  assert len(below.lines) == 4
