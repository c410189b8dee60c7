import jax.numpy as jnp
import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.data.finding import SAMPLE_PHOTOS
from sr_jax.data.images import read_luminance
from sr_jax.tasks.segmentation import Segmentation, computed_labels

TASK = Segmentation()
PHOTO = read_luminance(SAMPLE_PHOTOS / "wine.webp")


def test_computed_classes_are_three_lightnesses_by_two_textures():
  flat = [np.full((32, 32), level, np.uint8) for level in (40, 110, 200)]
  checks = np.where(np.indices((32, 32)).sum(axis=0) % 2, 30, -30)
  textured = [(level + checks).astype(np.uint8) for level in (40, 110, 200)]
  for label, image in enumerate((*flat, *textured)):
    np.testing.assert_array_equal(computed_labels(image), label)


def test_classes_are_of_neighbourhoods_and_all_of_them_occur():
  labels = computed_labels(PHOTO)
  assert (np.bincount(labels.ravel(), minlength=6) / labels.size).min() > 0.05
  # The best guess from a pixel's own gray level is often wrong.
  counts = np.zeros((256, 6), int)
  np.add.at(counts, (PHOTO, labels), 1)
  assert counts.max(axis=1).sum() < 0.75 * labels.size


def test_score_is_the_mean_iou_of_the_classes_that_occur():
  truth = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]])
  answer = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2], [2, 2, 2, 4]])
  pair = TASK.pair("small", np.zeros((4, 4), np.uint8), truth)
  score = TASK.score(np.eye(6)[answer], pair)
  np.testing.assert_allclose(score["iou"], np.mean([4 / 5, 3 / 4, 7 / 8, 0]))
  assert score["accuracy"] == 14 / 16


def test_no_network_is_the_best_constant_answer():
  pair = TASK.pair("wine", PHOTO)
  frequencies = np.bincount(pair.target.ravel()) / pair.target.size
  output = TASK.without_network(pair)
  assert TASK.score(output, pair)["accuracy"] == frequencies.max()
  np.testing.assert_allclose(TASK.score(output, pair)["iou"], frequencies.max() / 6)
  loss = TASK.loss(
    jnp.asarray(output, jnp.float32)[None], jnp.asarray(pair.target)[None, ..., None]
  )
  np.testing.assert_allclose(loss, -(frequencies * np.log(frequencies)).sum(), rtol=1e-4)


def test_labels_of_the_users_own():
  task = Segmentation(scale=2, classes=21)
  labels = np.arange(36).reshape(6, 6) % 21
  gray = np.zeros((6, 6), np.uint8)
  pair = task.pair("own", gray, labels)
  np.testing.assert_array_equal(pair.target, labels)
  assert task.outputs.hr == task.without_network(pair).shape[-1] == 21
  assert task.layout.target_maps == 1
  assert pair.digest != task.pair("own", gray, labels[::-1]).digest
  assert task.picture(pair.target).shape == (6, 6, 3)
  with pytest.raises(InputError, match=r"of \(6, 6\) pixels and has \(5, 6\) labels"):
    task.pair("own", gray, labels[1:])
  with pytest.raises(InputError, match="labels from 0 to 21, and 21 classes are 0 to 20"):
    task.pair("own", gray, np.where(labels == 20, 21, labels))
  with pytest.raises(InputError, match="labels from -1 to 20"):
    task.pair("own", gray, np.where(labels == 0, -1, labels))
