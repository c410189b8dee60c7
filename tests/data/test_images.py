import numpy as np
import pytest
from PIL import Image

from sr_jax.config import InputError
from sr_jax.data.colour import luminance
from sr_jax.data.images import luminance_alone, make_pair, pixel_digest, read_luminance

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def save(image, path, **options):
  image.save(path, **options)
  return read_luminance(path)


def test_every_mode_gives_the_same_luminance(tmp_path):
  expected = luminance(RGB)
  rgb = Image.fromarray(RGB)
  alpha = np.dstack([RGB, np.full(RGB.shape[:2], 7, np.uint8)])
  np.testing.assert_array_equal(save(rgb, tmp_path / "a.png"), expected)
  np.testing.assert_array_equal(save(rgb, tmp_path / "a.bmp"), expected)
  np.testing.assert_array_equal(save(rgb, tmp_path / "a.tif"), expected)
  np.testing.assert_array_equal(save(rgb, tmp_path / "a.webp", lossless=True), expected)
  np.testing.assert_array_equal(save(Image.fromarray(alpha), tmp_path / "b.png"), expected)
  cmyk = Image.fromarray(np.dstack([255 - RGB, np.zeros(RGB.shape[:2], np.uint8)]), mode="CMYK")
  np.testing.assert_array_equal(save(cmyk, tmp_path / "c.tif"), expected)
  palette = rgb.quantize(256)
  np.testing.assert_array_equal(
    save(palette, tmp_path / "d.png"), luminance(np.asarray(palette.convert("RGB")))
  )


def test_gray_is_taken_as_it_is_and_16_bits_are_scaled(tmp_path):
  gray = RGB[..., 0]
  np.testing.assert_array_equal(save(Image.fromarray(gray), tmp_path / "g.png"), gray)
  deep = Image.fromarray(gray.astype(np.uint16) * 257)
  assert deep.mode == "I;16"
  np.testing.assert_array_equal(save(deep, tmp_path / "deep.png"), gray)


def test_a_photograph_is_turned_as_its_exif_tag_says(tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to view
  turned = save(Image.fromarray(RGB), tmp_path / "e.png", exif=exif)
  np.testing.assert_array_equal(turned, np.rot90(luminance(RGB), -1))


@pytest.mark.parametrize("damage", [b"", b"no image at all", "half"])
def test_a_damaged_file_is_named(tmp_path, damage):
  path = tmp_path / "broken.png"
  Image.fromarray(RGB).save(path)
  path.write_bytes(path.read_bytes()[:60] if damage == "half" else damage)
  with pytest.raises(InputError, match=r"broken\.png cannot be read as an image"):
    read_luminance(path)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_of_32_bits_are_refused(tmp_path, kind):
  Image.fromarray(RGB[..., 0].astype(kind)).save(tmp_path / "f.tif")
  with pytest.raises(InputError, match=r"f\.tif holds 32-bit pixels"):
    read_luminance(tmp_path / "f.tif")


def test_a_photo_is_cropped_to_the_scale_and_paired():
  photo = make_pair("x", np.full((11, 13), 128, np.uint8), 3)
  assert photo.target.shape == (9, 12)
  assert photo.input.shape == (3, 4)
  np.testing.assert_allclose(photo.input, 128 / 255, rtol=1e-6)


def test_a_digest_of_a_photograph_is_of_its_whole_luminance():
  luminance = np.random.default_rng(0).integers(0, 256, (11, 13), np.uint8)
  for make in (make_pair, luminance_alone):
    photo = make("x", luminance, 2)
    assert photo.digest == pixel_digest(luminance)
    np.testing.assert_array_equal(photo.target, luminance[:10, :12])
  assert photo.input.size == 0
