import gzip
import importlib
import sys

import numpy as np
import pytest

from sr_jax.config import InputError
from sr_jax.data.volumes import cut_slabs, load_volumes, prepare

RNG = np.random.default_rng(0)


def noise(*shape):
  return RNG.random(shape, np.float32)


def load(folder, thickness=4, min_side=4):
  return load_volumes(f"folder:{folder}", thickness, min_side)


def save(folder, count=5, shape=(6, 5, 7)):
  for i in range(count):
    np.save(folder / f"{i}.npy", noise(*shape))


SCALED = "Each volume's intensities are scaled to 0..1 by its least and its largest."


def test_volumes_are_held_out_as_photographs_are_and_scaled(tmp_path):
  save(tmp_path)
  voxels = RNG.integers(-900, 900, (6, 5, 7), np.int16)
  np.save(tmp_path / "a.npy", np.asfortranarray(voxels.astype(">i2")))
  sets, notes = load(tmp_path)
  assert {split: len(volumes) for split, volumes in sets.items()} == {
    "train": 2,
    "validation": 2,
    "test": 2,
  }
  volumes = {name: volume for named in sets.values() for name, volume in named.items()}
  expected = (voxels - voxels.min(initial=900)) / float(np.ptp(voxels.astype(int)))
  np.testing.assert_allclose(volumes["a"], expected, atol=1e-6)
  assert volumes["a"].dtype == np.float32
  assert notes == [SCALED]


def test_what_is_tested_is_not_trained_on(tmp_path):
  for split in ("train", "validation", "test"):
    (tmp_path / split).mkdir()
    save(tmp_path / split, count=2)
  np.save(tmp_path / "train" / "0.npy", 2 * np.load(tmp_path / "test" / "1.npy"))
  sets, notes = load(tmp_path)
  assert list(sets["train"]) == ["1"]
  assert notes == [SCALED, "Left out of train, since test has them: 0."]


def test_a_blank_border_is_cut_off():
  volume = noise(6, 5, 7)
  padded = np.pad(volume - 1, ((2, 1), (0, 3), (4, 0)), constant_values=-1)
  np.testing.assert_allclose(prepare(padded, "a", 4), volume / volume.max(), atol=1e-6)
  ramp = np.tile(np.arange(4.0), (5, 6, 1))
  assert prepare(ramp, "a", 4).shape == (5, 6, 4)


@pytest.mark.parametrize(
  ("voxels", "says"),
  [
    (np.where(np.arange(216).reshape(6, 6, 6) == 5, np.nan, 1), "a.npy holds NaN or infinite vox"),
    (np.full((6, 6, 6), -np.inf), "a.npy holds NaN or infinite voxels"),
    (np.ones((6, 6, 6)), "a.npy is constant"),
    (noise(6, 3, 6), "a.npy is 6 x 3 x 6 voxels without .* must have at least 4"),
    (noise(6, 6, 0), "a.npy is empty"),
    (noise(6, 6), "a.npy is 6 x 6 and must have 3 dimensions"),
    (noise(6, 6, 6, 2), "a.npy is 6 x 6 x 6 x 2 and must have 3 dimensions"),
    (np.float32(1), "a.npy is a single value and must have 3 dimensions"),
    (1j * noise(6, 6, 6), "a.npy does not hold one array of real numbers"),
    (np.full((6, 6, 6), "a"), "a.npy does not hold one array of real numbers"),
    (np.full((6, 6, 6), {}), r"a.npy cannot be read as a volume \(.*pickle"),
  ],
)
def test_a_file_without_a_volume_is_refused(tmp_path, voxels, says):
  save(tmp_path)
  np.save(tmp_path / "a.npy", voxels)
  with pytest.raises(InputError, match=says):
    load(tmp_path)


def test_a_damaged_file_is_refused(tmp_path):
  save(tmp_path)
  for content in (b"", b"no volume", (tmp_path / "1.npy").read_bytes()[:-9]):
    (tmp_path / "0.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"0.npy cannot be read as a volume \("):
      load(tmp_path)


def test_too_few_files_and_unknown_sources_are_refused(tmp_path):
  with pytest.raises(InputError, match="holds no volume, that is no file ending in"):
    load(tmp_path)
  save(tmp_path, count=2)
  with pytest.raises(InputError, match=r"--volume=folder:.* has 2 volumes and 5 are needed"):
    load(tmp_path)
  for source in ("folder:", "head"):
    with pytest.raises(InputError, match=f"--volume={source} is not supported; use mni152 or fold"):
      load_volumes(source, 4, 4)


def test_a_single_volume_is_cut_into_slabs_along_its_longest_axis(tmp_path):
  voxels = noise(5, 66, 6)
  voxels[:, 9:13] = 0  # the third slab
  np.save(tmp_path / "head.npy", voxels)
  sets, notes = load(tmp_path)
  assert {split: len(slabs) for split, slabs in sets.items()} == {
    "train": 7,
    "validation": 2,
    "test": 6,
  }
  slabs = {name: slab for named in sets.values() for name, slab in named.items()}
  assert sorted(slabs) == [f"head-{1 + 4 * i:03d}" for i in range(16) if i != 2]
  for name, slab in slabs.items():
    begin = int(name[-3:])
    np.testing.assert_allclose(slab, voxels[:, begin : begin + 4] / voxels.max(), atol=1e-6)
  assert notes == [
    SCALED,
    "All slabs are of one volume, head.npy: intervals are over its slabs and say nothing of other "
    "volumes.",
    "Left out: 1 of 16 slabs, which are blank.",
  ]


@pytest.mark.parametrize(
  ("count", "train", "validation", "test"),
  [(5, 1, 2, 2), (11, 4, 2, 5), (12, 4, 2, 6), (40, 26, 4, 10)],
)
def test_slabs_of_each_split_are_spread(count, train, validation, test):
  sets, notes = cut_slabs("a", noise(4 * count, 4, 4), 4)
  assert [len(sets[split]) for split in ("train", "validation", "test")] == [
    train,
    validation,
    test,
  ]
  assert len(set().union(*sets.values())) == count
  for split in ("validation", "test"):
    numbers = [int(name[2:]) // 4 for name in sets[split]]
    assert numbers == sorted(numbers)
    assert abs(np.mean(numbers) - (count - 1) / 2) <= 1
    assert np.ptp(numbers) >= (len(numbers) - 1) * (count // (len(numbers) + 1))
  assert notes == []


def test_too_few_slabs_are_refused():
  with pytest.raises(InputError, match="a gives 4 slabs of 4 voxels that are not blank, and 5 are"):
    cut_slabs("a", noise(4, 18, 4), 4)


@pytest.mark.parametrize("module", ["nibabel", "nilearn.datasets"])
def test_without_the_extra_the_error_says_what_to_do(tmp_path, monkeypatch, module):
  monkeypatch.setitem(sys.modules, module, None)
  save(tmp_path)
  (tmp_path / "a.nii").write_bytes(b"")
  source = f"folder:{tmp_path}" if module == "nibabel" else "mni152"
  name = module.partition(".")[0]
  with pytest.raises(InputError, match=rf'needs {name} .*pip install -e "\.\[volumes\]"'):
    load_volumes(source, 4, 4)


def test_nifti_is_read_and_anisotropic_voxels_are_a_note(tmp_path):
  nibabel = pytest.importorskip("nibabel", reason="needs the extra volumes")
  save(tmp_path)
  voxels = noise(6, 5, 7)

  def write(name, voxels, sides=(1, 1, 1)):
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([*sides, 1])), tmp_path / name)

  write("a.nii.gz", voxels)
  write("b.nii", voxels[..., None] + noise(6, 5, 7, 1), (1, 1.2, 3))
  sets, notes = load(tmp_path)
  volumes = {name: volume for named in sets.values() for name, volume in named.items()}
  assert sorted(volumes) == ["0", "1", "2", "3", "4", "a", "b"]
  expected = (voxels - voxels.min()) / np.ptp(voxels)
  np.testing.assert_allclose(volumes["a"], expected, atol=1e-6)
  assert notes == [SCALED, "Voxels of b.nii are 1 x 1.2 x 3 mm and are taken for cubes."]

  write("b.nii", noise(6, 5, 7, 2))
  with pytest.raises(InputError, match=r"b.nii holds 2 volumes of 6 x 5 x 7 voxels; save each"):
    load(tmp_path)
  (tmp_path / "b.nii").unlink()
  whole = (tmp_path / "a.nii.gz").read_bytes()
  for content in (b"", whole[:-200], gzip.compress(gzip.decompress(whole)[:-99])):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"a.nii.gz cannot be read as a volume \("):
      load(tmp_path)


def test_the_default_is_slabs_of_a_head():
  try:
    importlib.import_module("nilearn.datasets")
  except ImportError:
    pytest.skip("needs nilearn, of the extra volumes")
  sets, notes = load_volumes("mni152", 8, 32)
  assert [len(sets[split]) for split in ("train", "validation", "test")] == [14, 2, 6]
  slabs = [slab for named in sets.values() for slab in named.values()]
  assert {slab.shape for slab in slabs} == {(145, 8, 155)}
  # Its halves mirror each other: along the first axis, training and test slabs would be the same.
  np.testing.assert_array_equal(slabs[0], slabs[0][::-1])
  assert 0 <= min(slab.min() for slab in slabs) < max(slab.max() for slab in slabs) == 1
  assert "of one head" in notes[1]
