import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from sr_jax.config import InputError
from sr_jax.data.labels import load_labels

RNG = np.random.default_rng(0)
SHAPE = (6, 8)


def classes(count, shape=SHAPE):
  labels = RNG.integers(0, count, shape, np.uint8)
  labels.flat[:2] = 0, count - 1
  return labels


def save(path, labels, mode="L"):
  image = Image.fromarray(labels)
  if mode == "P":
    image.putpalette(RNG.integers(0, 256, 768, np.uint8).tobytes())
  image.save(path)
  return labels


def save_bsds(path, *boundaries):
  """As BSDS500 has it: a cell an annotator, each a struct of two images."""
  annotators = np.empty((1, len(boundaries)), object)
  for i, image in enumerate(boundaries):
    segments = np.arange(image.size, dtype=np.uint16).reshape(image.shape)
    annotators[0, i] = {"Segmentation": segments, "Boundaries": image}
  savemat(path, {"groundTruth": annotators})


def load(folder, **shapes):
  return load_labels(str(folder), shapes or {"a": SHAPE})


def test_class_numbers_are_gray_values_or_indices_of_a_palette(tmp_path):
  gray = save(tmp_path / "a.png", classes(3))
  palette = save(tmp_path / "b.PNG", classes(32), "P")
  Image.fromarray(classes(2).astype(bool)).save(tmp_path / "c.png")
  save(tmp_path / "unused.png", classes(200))
  labels = load(tmp_path, a=SHAPE, b=(*SHAPE, 3))
  np.testing.assert_array_equal(labels["a"], gray)
  np.testing.assert_array_equal(labels["b"], palette)
  assert {image.dtype for image in labels.values()} == {np.dtype(np.int32)}
  assert max(each.max() for each in labels.values()) == 31
  assert load(tmp_path)["a"].max() == 2
  assert load(tmp_path, c=SHAPE)["c"].max() == 1


@pytest.mark.parametrize("annotators", [1, 2, 5])
def test_boundaries_of_bsds_are_those_of_any_annotator(tmp_path, annotators):
  boundaries = RNG.random((annotators, *SHAPE)) < 0.2
  (tmp_path / "train").mkdir()
  save_bsds(tmp_path / "train" / "a.mat", *boundaries)
  labels = load(tmp_path)
  np.testing.assert_array_equal(labels["a"], boundaries.any(axis=0))
  assert labels["a"].dtype == np.int32
  assert {*np.unique(labels["a"])} == {0, 1}


def test_a_struct_array_of_annotators_is_read_too(tmp_path):
  boundaries = (RNG.random((3, *SHAPE)) < 0.2).astype(np.uint8)
  annotators = np.zeros((1, 3), [("Segmentation", object), ("Boundaries", object)])
  for i in range(3):
    annotators[0, i] = (boundaries[i] + 1, boundaries[i])
  savemat(tmp_path / "a.mat", {"groundTruth": annotators})
  np.testing.assert_array_equal(load(tmp_path)["a"], boundaries.any(axis=0))


@pytest.mark.parametrize(
  ("name", "write", "says"),
  [
    (
      "b.png",
      lambda path: save(path, classes(2)),
      r"no labels of the photograph a, .* a.png or a.m",
    ),
    (
      "a.png",
      lambda path: save(path, classes(2, (8, 6))),
      "a.png labels 6 x 8 pixels and the photograph a has 8 x 6",
    ),
    (
      "a.mat",
      lambda path: save_bsds(path, np.eye(8, 6)),
      "a.mat labels 6 x 8 pixels and the photograph a has 8 x 6",
    ),
    ("a.png", lambda path: save(path, classes(33)), "a.png has class 32; classes are numbered fr"),
    ("a.png", lambda path: save(path, classes(2, (6, 8, 3))), "a.png holds pixels of mode RGB"),
    ("a.png", lambda path: save(path, np.full(SHAPE, 999, np.uint16)), "holds pixels of mode I;16"),
    ("a.png", lambda path: path.write_bytes(b"torn"), "a.png cannot be read as an image"),
    ("a.png", lambda path: save(path, np.ones(SHAPE, np.uint8)), "labels every pixel 1; there is"),
    (
      "a.mat",
      lambda path: path.write_bytes(b""),
      "a.mat cannot be read as ground truth of BSDS500",
    ),
    ("a.mat", lambda path: path.write_bytes(b"torn" * 99), "a.mat cannot be read as ground truth"),
    (
      "a.mat",
      lambda path: savemat(path, {"other": 1}),
      r"ground truth .* \(KeyError: 'groundTruth",
    ),
    (
      "a.mat",
      lambda path: savemat(path, {"groundTruth": 1}),
      "a.mat cannot be read as ground trut",
    ),
    (
      "a.mat",
      lambda path: save_bsds(path, np.eye(6, 8), np.eye(6, 7)),
      "a.mat cannot be read as ground truth",
    ),
    ("a.mat", lambda path: save_bsds(path, np.zeros((2, 6, 8))), "Boundaries of 3 dimensions"),
  ],
)
def test_labels_that_cannot_be_used_are_refused(tmp_path, name, write, says):
  write(tmp_path / name)
  with pytest.raises(InputError, match=says):
    load(tmp_path)


def test_a_file_cut_short_is_refused(tmp_path):
  save_bsds(tmp_path / "a.mat", np.eye(6, 8))
  whole = (tmp_path / "a.mat").read_bytes()
  for cut in (1, 99, len(whole) - 150):
    (tmp_path / "a.mat").write_bytes(whole[:-cut])
    with pytest.raises(InputError, match=r"a.mat cannot be read as ground truth of BSDS500"):
      load(tmp_path)


def test_two_files_of_a_photograph_and_a_missing_folder_are_refused(tmp_path):
  (tmp_path / "more").mkdir()
  save(tmp_path / "a.png", classes(2))
  save(tmp_path / "more" / "a.png", classes(2))
  with pytest.raises(InputError, match=r"a.png and .*more/a.png are of one photograph; remove"):
    load(tmp_path)
  with pytest.raises(InputError, match=r"--labels: there is no folder .*none"):
    load(tmp_path / "none")
