"""Reads volumes, of three dimensions: files of NumPy or NIfTI, or the MNI152 template of a head."""

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import Float32, Num

from sr_jax.config import InputError
from sr_jax.data.splits import ArraySets, divide_folder, drop_copies, files_by_split

SUFFIXES = (".npy", ".nii", ".nii.gz")
MNI152 = "mni152"
MIN_SLABS = 5  # 2 for test, 2 for validation, 1 to train on
BACKGROUND_STD = 0.01  # of the volume's range: a slab that varies less shows nothing
ISOTROPIC = 1.01  # the largest ratio of a voxel's sides

Volume = Float32[np.ndarray, "x y z"]


def load_volumes(source: str, thickness: int, min_side: int) -> ArraySets:
  """Reads the volumes of a source by split.

  A single volume is cut into slabs along its longest axis; of several, each is a volume of its own.

  Args:
    source: "mni152", the T1 template that nilearn ships, or "folder:PATH" of .npy, .nii and .nii.gz
      files: with subfolders train, validation and test; or a tenth of the files (2 to 100) held out
      for each of the latter two; or one file.
    thickness: of slabs, in HR voxels.
    min_side: the fewest voxels that a side of a volume may have.

  Returns:
    Arrays `(x, y, z)` of float32. Planes at the border that hold a single value are cut off; then
    the least and the largest intensity of each volume become 0 and 1.

  Raises:
    InputError: an extra is not installed; unknown source, no files or too few, too few slabs; or a
      file that is damaged, not a volume, too small or constant, or holds NaN or infinity.
  """
  scaled = "Each volume's intensities are scaled to 0..1 by its least and its largest."
  if source == MNI152:
    volume = prepare(_mni152(), "the MNI152 template", min_side)
    one_head = (
      "All slabs are of one head, the MNI152 template (the average of 152, its halves each other's "
      "mirror image): intervals are over its slabs and say nothing of other heads."
    )
    sets, notes = cut_slabs(MNI152, volume, thickness)
    return ArraySets(sets, [scaled, one_head, *notes])
  files = find_volumes(source)
  if isinstance(files, Path):
    path = files
    voxels, notes = _read(path)
    sets, slab_notes = cut_slabs(
      path.name.split(".")[0], prepare(voxels, path, min_side), thickness
    )
    one_volume = (
      f"All slabs are of one volume, {path.name}: intervals are over its slabs and say nothing of "
      "other volumes."
    )
    return ArraySets(sets, [scaled, one_volume, *notes, *slab_notes])
  sets, notes = {}, [scaled]
  for split, paths in files.items():
    sets[split] = {}
    for name, path in paths.items():
      voxels, file_notes = _read(path)
      sets[split][name] = prepare(voxels, path, min_side)
      notes += file_notes
  return ArraySets(sets, notes + drop_copies(sets, "--volume"))


def what_is_missing(source: str) -> str:
  """What keeps a source from being read here, with its remedy; empty if nothing is known to."""
  if source != MNI152 or importlib.util.find_spec("nilearn"):
    return ""
  return (
    'its default, a head, comes with nilearn; pip install -e ".[volumes]", or give '
    "--volume=folder:VOLUMES"
  )


def find_volumes(source: str) -> Path | dict[str, dict[str, Path]]:
  """The only file of a source, or its files by split and name; none is read, and none of "mni152".

  Raises:
    InputError: unknown source, no files or too few.
  """
  if source == MNI152:
    return {}
  if not source.startswith("folder:") or source == "folder:":
    raise InputError(f"--volume={source} is not supported; use {MNI152} or folder:PATH")
  folder = Path(source.removeprefix("folder:")).expanduser()
  listed = files_by_split(folder, SUFFIXES, "volume")
  if listed.keys() == {"train"} and len(listed["train"]) == 1 and not (folder / "train").is_dir():
    return listed["train"][0]
  return divide_folder("--volume", source, SUFFIXES, "volume")


def prepare(voxels: Num[np.ndarray, "..."], where: str | Path, min_side: int) -> Volume:
  """Checks a volume, which errors call `where`, cuts off a blank border and scales it to 0..1."""
  voxels = voxels.reshape(_without_trailing_ones(voxels.shape))
  if voxels.ndim != 3:
    sides = " x ".join(map(str, voxels.shape)) or "a single value"
    raise InputError(f"{where} is {sides} and must have 3 dimensions; save each volume by itself")
  if not voxels.size:
    raise InputError(f"{where} is empty; remove it")
  if not np.isfinite(voxels).all():
    raise InputError(f"{where} holds NaN or infinite voxels; replace them, or remove the file")
  voxels = voxels.astype(np.float64)
  if (least := voxels.min()) == (largest := voxels.max()):
    raise InputError(f"{where} is constant, which has no PSNR; remove it")
  for axis in range(3):
    planes = np.moveaxis(voxels, axis, 0).reshape(voxels.shape[axis], -1)
    (varied,) = np.nonzero(planes.min(axis=1) < planes.max(axis=1))
    if varied.size:  # else it varies along this axis alone
      voxels = np.take(voxels, range(varied[0], varied[-1] + 1), axis)
  if min(voxels.shape) < min_side:
    sides = " x ".join(map(str, voxels.shape))
    raise InputError(
      f"{where} is {sides} voxels without a blank border, and each side must have at least "
      f"{min_side}"
    )
  return ((voxels - least) / (largest - least)).astype(np.float32)


def cut_slabs(
  name: str, volume: Volume, thickness: int
) -> tuple[dict[str, dict[str, np.ndarray]], list[str]]:
  """Cuts a volume in 0..1 along its longest axis into slabs for each split.

  Slabs of background, whose standard deviation is less than 0.01, are dropped. A quarter and at
  least 6 are for test, or half of fewer than 12; a tenth and at least 2 for validation. Both are
  spread evenly.

  Returns:
    The sets, each of slabs by name, and sentences on what was dropped.

  Raises:
    InputError: there are too few slabs.
  """
  axis = int(np.argmax(volume.shape))
  begins = range(volume.shape[axis] % thickness // 2, volume.shape[axis] - thickness + 1, thickness)
  slabs = {
    f"{name}-{begin:03d}": np.take(volume, range(begin, begin + thickness), axis)
    for begin in begins
  }
  kept = {key: slab for key, slab in slabs.items() if slab.std(dtype=np.float64) >= BACKGROUND_STD}
  count = len(kept)
  if count < MIN_SLABS:
    raise InputError(
      f"--volume: {name} gives {count} slabs of {thickness} voxels that are not blank, and "
      f"{MIN_SLABS} are needed; give a larger volume, or several"
    )
  names = list(kept)
  test = _spread(names, max(6, count // 4) if count >= 12 else count // 2)
  rest = [key for key in names if key not in test]
  validation = _spread(rest, max(2, count // 10))
  train = [key for key in rest if key not in validation]
  chosen = {"train": train, "validation": validation, "test": test}
  blank = len(slabs) - count
  notes = [f"Left out: {blank} of {len(slabs)} slabs, which are blank."] if blank else []
  return {split: {key: kept[key] for key in keys} for split, keys in chosen.items()}, notes


def _spread(names: list[str], count: int) -> list[str]:
  return [names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count)]


def _without_trailing_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
  """The shape of a single volume of a NIfTI time series of length 1."""
  while len(shape) > 3 and shape[-1] == 1:
    shape = shape[:-1]
  return shape


def _read(path: Path) -> tuple[Num[np.ndarray, "..."], list[str]]:
  """The voxels of a file, and sentences on them."""
  read = _read_npy if path.suffix.lower() == ".npy" else _read_nifti
  try:
    return read(path)
  except InputError:
    raise
  except Exception as error:  # damaged files make the parsers raise any kind
    raise InputError(f"{path} cannot be read as a volume ({error}); replace it") from error


def _read_npy(path: Path) -> tuple[Num[np.ndarray, "..."], list[str]]:
  voxels = np.load(path)
  if not isinstance(voxels, np.ndarray) or voxels.dtype.kind not in "biuf":
    raise InputError(f"{path} does not hold one array of real numbers; save it by np.save")
  return voxels, []


def _read_nifti(path: Path) -> tuple[Num[np.ndarray, "..."], list[str]]:
  image = _import("nibabel", f"{path.name} needs").load(path)
  if len(shape := _without_trailing_ones(image.shape)) > 3:  # of which the data may be large
    raise InputError(
      f"{path} holds {np.prod(shape[3:])} volumes of {' x '.join(map(str, shape[:3]))} voxels; "
      "save each by itself"
    )
  sides = image.header.get_zooms()[:3]
  notes = []
  if max(sides) > ISOTROPIC * min(sides):
    voxel = " x ".join(f"{side:.3g}" for side in sides)
    notes = [f"Voxels of {path.name} are {voxel} mm and are taken for cubes."]
  return np.asarray(image.dataobj, np.float64), notes


def _mni152() -> Num[np.ndarray, "x y z"]:
  datasets = _import("nilearn.datasets", f"--volume={MNI152} needs")
  return np.asarray(datasets.load_mni152_template(resolution=1).dataobj)  # as its wheel has it


def _import(module: str, needs: str) -> ModuleType:
  try:
    return importlib.import_module(module)
  except ImportError as error:
    package = module.partition(".")[0]
    raise InputError(
      f'{needs} {package} ({error}); install it by `pip install -e ".[volumes]"`, or give a '
      "folder of .npy files"
    ) from error
