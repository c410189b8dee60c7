import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data.colour import luminance
from sr_jax.evaluation import habits
from sr_jax.evaluation.folders import pair_images, read_8_bit, score_folder
from sr_jax.evaluation.metrics import score_image

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (20, 23, 3), np.uint8)
NEAR = np.clip(RGB + RNG.integers(-9, 10, RGB.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def folders(tmp_path):
  """Two folders, and a function that puts images there by name."""
  folder = {kind: tmp_path / kind for kind in ("reference", "restored")}
  for path in folder.values():
    path.mkdir()

  def put(kind, **images):
    for name, image in images.items():
      Image.fromarray(image).save(folder[kind] / f"{name}.png")

  return folder["reference"], folder["restored"], put


def names(folders, references, results):
  reference, restored, _ = folders
  for folder, files in ((reference, references), (restored, results)):
    for file in files:
      (folder / file).touch()
  return [(a.name, b.name) for a, b in pair_images(reference, restored)]


@pytest.mark.parametrize(
  ("reference", "result"),
  [
    ("baby_GT.png", "baby.bmp"),
    ("baby.png", "babyx3.png"),
    ("baby_GT.bmp", "BABY_x3.png"),
    ("0801.png", "0801x4_EDSR.png"),
    ("img_001_SRF_3_HR.png", "img_001_SRF_3_SRCNN.png"),
    ("3096.jpg", "3096-out.png"),
    ("HR.png", "HR.png"),
    ("a.b_x3.png", "a.b.png"),
  ],
)
def test_the_usual_names_pair(folders, reference, result):
  assert names(folders, [reference], [result]) == [(reference, result)]


def test_the_longest_name_wins_and_other_files_are_passed_over(folders):
  found = names(
    folders,
    ["a_1_HR.png", "a_HR.png", "a_LR.png", "a_bicubic.png", "readme.txt"],
    ["a_x2.png", "a_1_x2.png", "scores.csv", "._a_x2.png"],
  )
  assert found == [("a_1_HR.png", "a_1_x2.png"), ("a_HR.png", "a_x2.png")]


BAD_NAMES = [
  (["a.png"], [], "restored holds no image, that is no file ending in .bmp"),
  ([], ["a.png"], "reference holds no image, that is no file ending in .bmp"),
  (["a.png"], ["b.png"], "b.png begins with that of no image in"),
  (["3096.png"], ["30961.png"], "30961.png begins with that of no image in"),
  (["ab.png", "a.png"], ["ab.png"], "1 of 2 references have no image in"),
  (["a.png"], ["a.png", "a_LR.png"], "a.png and a_LR.png both belong to a.png by name"),
  (["a_GT.png", "a_HR.png"], ["a.png"], "both references named 'a'"),
]


@pytest.mark.parametrize(("references", "results", "says"), BAD_NAMES)
def test_images_without_one_partner_are_named(folders, references, results, says):
  with pytest.raises(InputError) as problem:
    names(folders, references, results)
  assert says in str(problem.value)


def test_folders_must_be_two_that_exist(folders):
  reference, restored, put = folders
  put("reference", a=RGB)
  with pytest.raises(InputError, match=r"there is no folder .*nowhere"):
    pair_images(reference, restored / "nowhere")
  with pytest.raises(InputError, match=r"there is no folder .*png"):
    pair_images(reference / "a.png", reference)
  with pytest.raises(InputError, match="are the same folder"):
    pair_images(reference, restored / ".." / "reference")


def one(folders, reference, restored, scale=3):
  put = folders[2]
  put("reference", a=reference)
  put("restored", a=restored)
  (score,) = score_folder(pair_images(*folders[:2]), scale)
  return score


CROPPED = RGB[:18, :21]


@pytest.mark.parametrize("whole", [False, True])
def test_colour_is_scored_by_protocol_b_and_cropped(folders, whole):
  score = one(folders, RGB, NEAR if whole else NEAR[:18, :21])
  expected = score_image(luminance(NEAR[:18, :21]), luminance(CROPPED), 3)
  assert (score.psnr, score.ssim, score.luminance) == (*expected, "Y of RGB")


@pytest.mark.parametrize("saved_as_rgb", [False, True])
def test_gray_results_are_luminance_by_protocol_a(folders, saved_as_rgb):
  y = luminance(NEAR)
  score = one(folders, RGB, y[:, :, None].repeat(3, axis=2) if saved_as_rgb else y)
  expected = score_image(y[:18, :21], luminance(CROPPED), 3)
  assert (score.psnr, score.ssim, score.luminance) == (*expected, "as in file")


@pytest.mark.parametrize("saved_as_rgb", [False, True])
def test_a_gray_reference_is_taken_as_it_is(folders, saved_as_rgb):
  image, truth = NEAR[:, :, 0], RGB[:, :, 0]
  score = one(folders, truth, image[:, :, None].repeat(3, axis=2) if saved_as_rgb else image)
  assert score.psnr == score_image(image[:18, :21], truth[:18, :21], 3)[0]


def test_beside_a_gray_reference_in_colour_both_become_y(folders):
  truth = RGB[:, :, 0]
  score = one(folders, truth, NEAR)
  as_rgb = luminance(truth[:, :, None].repeat(3, axis=2))
  assert score.psnr == score_image(luminance(NEAR)[:18, :21], as_rgb[:18, :21], 3)[0]
  assert score.luminance == "Y of RGB"


@pytest.mark.parametrize(
  ("restored", "scale", "says"),
  [
    (RGB[:18, :20], 3, "a.png is 20 x 18 pixels, and .*23 x 20, at --scale=3 cropped to 21 x 18"),
    (RGB[:6, :7], 3, "the two must be equal"),
    (RGB, 5, "at --scale=5 SSIM's window needs at least 21 x 21"),
    (RGB, 999, "SSIM's window needs"),
  ],
)
def test_sizes_that_do_not_fit_are_said(folders, restored, scale, says):
  with pytest.raises(InputError, match=says):
    one(folders, RGB, restored, scale)


def test_an_image_that_was_cropped_by_a_pixel_is_said_to_be(folders):
  message = "be equal; it fits best, at [0-9.]+ dB, with its first pixel at row 1 and column 0 of"
  with pytest.raises(InputError, match=message):
    one(folders, RGB, NEAR[1:, 0:22], 1)


def test_habits_are_tried_on_every_image(folders):
  score = one(folders, RGB, NEAR[:, :, ::-1])
  honest = one(folders, RGB, NEAR)
  assert score.corrected[habits.SWAPPED].psnr == honest.psnr
  assert habits.best_habit(score.corrected) == habits.SWAPPED
  assert habits.best_habit(honest.corrected) is None
  assert set(one(folders, RGB, luminance(NEAR)).corrected) >= {habits.FULL_RANGE}


def test_the_smallest_image_that_holds_the_window_is_scored(folders):
  assert one(folders, RGB[:13, :14], NEAR[:13, :14], scale=1).ssim < 1
  with pytest.raises(InputError, match="SSIM's window needs at least 13 x 13"):
    one(folders, RGB[:12, :14], NEAR[:12, :14], scale=1)


def png_of_16_bits(path, rgb):
  """Pillow writes no RGB of 16 bits."""

  def chunk(kind, data):
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

  height, width = rgb.shape[:2]
  rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb)
  header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
  parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
  path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_more_than_8_bits_are_refused(tmp_path):
  png_of_16_bits(tmp_path / "rgb.png", RGB.astype(np.uint16) * 257)
  Image.fromarray(RGB[:, :, 0].astype(np.uint16)).save(tmp_path / "gray.png")
  Image.fromarray(RGB[:, :, 0].astype(np.uint16)).save(tmp_path / "gray.tif")
  Image.fromarray(RGB[:, :, 0].astype(np.float32)).save(tmp_path / "float.tif")
  for path in tmp_path.iterdir():
    with pytest.raises(InputError, match=f"{path.name} has more than 8 bits a channel"):
      read_8_bit(path)


def test_transparency_is_refused_and_an_opaque_alpha_channel_is_not(tmp_path):
  alpha = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
  Image.fromarray(alpha).save(tmp_path / "a.png")
  np.testing.assert_array_equal(read_8_bit(tmp_path / "a.png"), RGB)
  alpha[3, 4, 3] = 254
  Image.fromarray(alpha).save(tmp_path / "b.png")
  with pytest.raises(InputError, match=r"b\.png is transparent in places"):
    read_8_bit(tmp_path / "b.png")


def test_a_damaged_file_is_named(tmp_path):
  (tmp_path / "a.png").write_bytes(b"no image")
  with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
    read_8_bit(tmp_path / "a.png")
