import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from sr_jax.data.colour import OFFSETS, TO_YCBCR, from_ycbcr
from sr_jax.data.images import decode
from sr_jax.networks import describe, lr_network
from sr_jax.networks import upscale as upscale_whole
from sr_jax.operators.resize import imresize
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training import population, sharding
from sr_jax.training import restore as trained
from sr_jax.training.checkpoints import Checkpoints
from sr_jax.upscale.__main__ import main, upscale_image
from sr_jax.upscale.planes import split_planes

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "sr_jax" / "data" / "sample_photos" / "chelsea.webp"


@pytest.fixture(scope="session")
def network(trained_run):
  return trained.load(RunFolder(trained_run))


@pytest.fixture
def upscale(trained_run, tmp_path):
  """The command on images, with the run and an output folder named."""

  def command(*arguments):
    flags = [f"--checkpoint={trained_run}", f"--output={tmp_path / 'out'}"]
    return main(["upscale", *flags, *map(str, arguments)])

  return command


def photo(mode="RGB", size=(40, 30)):
  """A photograph, as an image of some mode."""
  rgb = decode(PHOTO).convert("RGB").resize(size)
  if mode.startswith("I"):
    return Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257 + 1).convert(mode)
  return rgb.convert(mode)


def as_float(image):
  return np.asarray(image).astype(np.float64)


def as_file(image, kind, **options):
  file = io.BytesIO()
  image.save(file, kind, **options)
  return decode(file)


def luminance_of(by, lr):
  run = jax.jit(lambda params, x: upscale_whole(by.network, params, x))
  return np.asarray(run(by.params, lr[None, :, :, None]), np.float64)[0, :, :, 0]


def muted(mode="RGB", size=(40, 30)):
  """A photograph whose tones stay away from black and white, so that nothing is clipped."""
  return photo(mode, size).point(lambda value: 64 + value // 2)


def test_luminance_is_the_networks_and_the_rest_is_bicubic(network):
  planes = split_planes(muted(), "RGB")
  y = luminance_of(network, planes.luminance)
  result = split_planes(upscale_image(muted(), "", network), "RGB")
  np.testing.assert_allclose(result.luminance, y, rtol=0, atol=0.6 / 255)
  np.testing.assert_allclose(
    result.chroma_and_alpha, imresize(planes.chroma_and_alpha, 2), rtol=0, atol=0.6
  )


def translucent(mode, size=(40, 30)):
  """A photograph with alpha of all values: a disc that fades to nothing at its edge."""
  image = photo("RGB" if mode == "P" else mode.removesuffix("A"), size)
  if mode == "P":
    palette = image.quantize(8)
    return as_file(palette, "PNG", transparency=bytes([0, 0, 9, 90, 200, 255, 255, 255]))
  x, y = np.meshgrid(*(np.linspace(-1, 1, side) for side in size))
  alpha = (600 * (1 - np.hypot(x, y))).clip(0, 255).astype(np.uint8)
  image.putalpha(Image.fromarray(alpha))
  return image


def with_other_hidden_colours(image):
  """The same image, but for the colours of pixels that nobody sees."""
  if image.mode == "P":
    transparency = image.info["transparency"]
    colours = image.getpalette()
    for entry, alpha in enumerate(transparency):
      if not alpha:
        colours[3 * entry : 3 * entry + 3] = [255, 0, 255 - entry]
    other = image.copy()
    other.putpalette(colours)
    return other
  pixels = np.array(image)
  hidden = pixels[:, :, -1] == 0
  noise = np.random.default_rng(0).integers(0, 256, (*hidden.shape, pixels.shape[2] - 1), np.uint8)
  pixels[hidden, :-1] = noise[hidden]
  return Image.fromarray(pixels)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_the_colours_of_hidden_pixels_change_no_bit(network, mode):
  image = translucent(mode)
  other = with_other_hidden_colours(image)
  assert np.abs(as_float(other.convert("RGBA")) - as_float(image.convert("RGBA"))).max() > 100
  upscaled = [np.asarray(upscale_image(one, "", network)) for one in (image, other)]
  np.testing.assert_array_equal(*upscaled)
  assert (upscaled[0][..., -1] == 0).any()
  assert (upscaled[0][upscaled[0][..., -1] == 0] == 0).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_image_has_the_colours_that_it_has_without_alpha(network, mode):
  bare = photo(mode.removesuffix("A"))
  opaque = bare.copy()
  opaque.putalpha(255)
  result = np.asarray(upscale_image(opaque, "", network))
  expected = np.asarray(upscale_image(bare, "", network))
  np.testing.assert_array_equal(result[..., :-1].reshape(expected.shape), expected)
  assert (result[..., -1] == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_shows_on_black_is_what_the_network_makes_of_what_shows_on_black(network, mode):
  image = translucent(mode)
  bare = muted(mode.removesuffix("A"), image.size)
  bare.putalpha(image.getchannel("A"))
  alpha = as_float(bare)[..., -1:] / 255
  shown = as_float(bare)[..., :-1] * alpha
  if mode == "RGBA":
    planes = OFFSETS + shown @ TO_YCBCR.T
    y = 255 * luminance_of(network, (planes[..., 0] / 255).astype(np.float32))
    expected = from_ycbcr(np.dstack([y, imresize(planes[..., 1:], 2)]))
  else:
    lr = (shown[..., 0] / 255).astype(np.float32)
    expected = 255 * luminance_of(network, lr)[..., None]
  result = as_float(upscale_image(bare, "", network))
  opacity = imresize(as_float(bare.getchannel("A")), 2)
  np.testing.assert_allclose(result[..., -1], opacity.clip(0, 255), rtol=0, atol=0.5 + 1e-4)
  visible = opacity > 64  # below, 8 bits hold too little of it, and colours are clipped
  ours = result[..., :-1] * opacity[..., None] / 255
  np.testing.assert_allclose(ours[visible], expected[visible], rtol=0, atol=0.6)


def test_one_colour_stays_that_colour_under_any_alpha(network, monkeypatch):
  """Chroma and alpha are both bicubic, so the colour of a logo does not ring at its edge."""
  bicubic = lambda network, params, lr, tiles: [((slice(None),) * 2, imresize(lr, 2))]  # noqa: E731
  monkeypatch.setattr("sr_jax.upscale.__main__.tiling.upscale_tiles", bicubic)
  pixels = np.zeros((20, 20, 4), np.uint8)
  pixels[6:14, 6:14] = (200, 40, 90, 255)
  result = np.asarray(upscale_image(Image.fromarray(pixels), "", network))
  visible = result[..., -1] > 0
  assert visible.sum() > 16 * 16
  np.testing.assert_allclose(result[visible, :-1], [[200, 40, 90]] * visible.sum(), atol=1)


def test_gray_is_the_networks_alone_and_keeps_16_bits(network):
  image = photo("I;16")
  deep = as_float(upscale_image(image, "", network))
  y = luminance_of(network, (as_float(image) / 65535).astype(np.float32))
  np.testing.assert_allclose(deep, y.clip(0, 1) * 65535, rtol=0, atol=0.6)
  gray = Image.fromarray((as_float(image) / 257).astype(np.uint8))
  np.testing.assert_allclose(upscale_image(gray, "", network), deep / 257, rtol=0, atol=1)


MODES = {
  "1": "L",
  "L": "L",
  "LA": "LA",
  "P": "RGB",
  "RGB": "RGB",
  "RGBA": "RGBA",
  "CMYK": "RGB",
  "YCbCr": "RGB",
  "I;16": "I;16",
  "I": "I;16",
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_upscaled_close_to_bicubic(network, mode):
  image = photo(mode)
  found = upscale_image(image, "", network)
  assert found.mode == MODES[mode] == as_file(found, "PNG").mode
  assert found.size == (80, 60)
  same = image if found.mode == "I;16" else image.convert(found.mode)
  peak = 65535 if found.mode == "I;16" else 255
  expected = imresize(as_float(same), 2).clip(0, peak)
  # The network has learned nothing: it is bicubic and some noise, which black and white takes ill.
  limit = 0.25 if mode == "1" else 0.05
  assert np.abs(as_float(found) - expected).mean() < limit * peak


def test_tones_of_gray_stay_gray(network):
  found = as_float(upscale_image(photo("L").convert("RGB"), "", network))
  np.testing.assert_array_equal(found, found[:, :, :1].repeat(3, axis=2))


def test_an_opaque_image_stays_opaque_and_a_transparent_palette_transparent(network):
  found = upscale_image(photo("RGBA"), "", network)
  assert found.getchannel("A").getextrema() == (255, 255)
  palette = photo("RGB").quantize(8)
  palette.putpixel((0, 0), 3)
  file = as_file(palette, "PNG", transparency=3)
  assert file.mode == "P"
  found = upscale_image(file, "", network)
  assert found.mode == "RGBA"
  assert found.getpixel((0, 0))[3] == 0
  assert found.getchannel("A").getextrema()[1] == 255


@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize("mode", ["RGBA", "LA", "I;16"])
def test_tiles_of_an_image_leave_no_seam(network, mode):
  image = translucent(mode, (103, 71)) if mode.endswith("A") else photo(mode, (103, 71))
  whole = upscale_image(image, "", network, side=200)
  np.testing.assert_array_equal(upscale_image(image, "", network, side=40), whole)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
@pytest.mark.parametrize("arm", ["lr", "espcn"])
def test_the_smallest_images_are_upscaled(trained_run, arm, size):
  by = trained.load(RunFolder(trained_run), arm)
  scale = by.network.scale
  assert upscale_image(photo("RGB", size), "", by).size == (scale * size[0], scale * size[1])


def test_the_command_turns_photographs_and_keeps_their_profile(upscale, tmp_path, capsys):
  exif = Image.Exif()
  exif[0x0112] = 6  # stored lying on its side
  photo().save(tmp_path / "a.jpg", exif=exif, icc_profile=b"a profile")
  photo("L").save(tmp_path / "b.PNG")
  photo("CMYK").save(tmp_path / "c.tif", icc_profile=b"of inks")
  (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
  names = ("a.jpg", "b.PNG", "c.tif", "link.jpg")
  assert upscale(*(tmp_path / name for name in names)) == 0
  out = capsys.readouterr().out
  assert "lr, seed 0, trained for 9 steps, enlarges 2 times" in out
  assert "a.png  60 x 80" in out
  written = tmp_path / "out"
  assert sorted(file.name for file in written.iterdir()) == ["a.png", "b.png", "c.png", "link.png"]
  assert (written / "a.png").read_bytes().startswith(b"\x89PNG")
  a, b, c = (decode(written / name) for name in ("a.png", "b.png", "c.png"))
  assert (a.mode, a.size, a.info["icc_profile"]) == ("RGB", (60, 80), b"a profile")
  assert a.getexif().get(0x0112) is None
  assert (b.mode, b.size) == ("L", (80, 60))
  assert "icc_profile" not in c.info
  assert (written / "link.png").read_bytes() == (written / "a.png").read_bytes()


def test_what_exists_is_overwritten_only_if_asked(upscale, tmp_path, capsys):
  photo().save(tmp_path / "a.jpg")
  (tmp_path / "out").mkdir()
  (tmp_path / "out" / "a.png").write_text("mine")
  assert upscale(tmp_path / "a.jpg") == 2
  assert "a.png exists; choose another --output, or --overwrite it" in capsys.readouterr().err
  assert (tmp_path / "out" / "a.png").read_text() == "mine"
  assert upscale("--overwrite", tmp_path / "a.jpg") == 0
  assert decode(tmp_path / "out" / "a.png").size == (80, 60)
  assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.fixture
def bad_files(tmp_path):
  photo().save(tmp_path / "good.jpg", quality=90)
  photo().save(tmp_path / "good.png")
  whole = (tmp_path / "good.jpg").read_bytes()
  (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
  (tmp_path / "text.png").write_text("no image")
  (tmp_path / "nothing.png").touch()
  (tmp_path / "folder").mkdir()
  Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "float.tif")
  Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "deep.tif")
  Image.fromarray(np.full((4, 4), 7, np.uint16)).save(tmp_path / "clear.png", transparency=7)
  photo("L", (50, 50)).save(tmp_path / "huge.png")
  (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
  return tmp_path


BAD = [
  ([], "name at least one image"),
  (["good.jpg", "missing.jpg"], "there is no file missing.jpg"),
  (["good.jpg", "dangling.png"], "there is no file dangling.png"),
  (["folder"], "folder is a folder; name the images in it, as folder/*.jpg"),
  (["good.jpg", "text.png"], "text.png cannot be read as an image"),
  (["nothing.png"], "nothing.png cannot be read as an image"),
  (["good.jpg", "cut.jpg"], "cut.jpg cannot be read as an image"),
  (["float.tif"], "float.tif holds pixels of floating point"),
  (["deep.tif"], "deep.tif holds values from 70000 to 70000, not in 0..65535"),
  (["clear.png"], "clear.png is 16-bit gray with transparency"),
  (["huge.png"], "huge.png cannot be read as an image (Image size (2500 pixels) exceeds limit"),
  (["good.jpg", "good.png"], "good.jpg and good.png would both become"),
  (["good.jpg", "good.jpg"], "good.jpg and good.jpg would both become"),
  (["good.png", "--output=.", "--overwrite"], "good.png is one of the images to upscale"),
  (["good.jpg", "--output=."], "good.png exists; choose another --output"),
  (["good.jpg", "--output=text.png"], "--output=text.png cannot be written: text.png is no folder"),
  (["good.jpg", "--output=text.png/out"], "text.png is no folder"),
  (["good.jpg", "--output="], "--output is missing"),
  (["good.jpg", "--checkpoint="], "--checkpoint is missing"),
  (["good.jpg", "--checkpoint=nowhere"], "nowhere is no folder; give that of a run"),
  (["good.jpg", "--checkpoint=folder"], "there is no folder/config.json"),
  (["good.jpg", "--arm=hr"], "--arm=hr is not in this run; choose from begun, lr, espcn"),
  (["good.jpg", "--arm=begun"], "--arm=begun has no final checkpoint"),
  (["good.jpg", "--member=2"], "--member=2 is not one of the 2 members of lr"),
  (["good.jpg", "--member=-1"], "--member=-1 must be at least 0"),
  (["good.jpg", "--membre=1"], "unrecognized arguments: --membre=1"),
]


@pytest.mark.parametrize(("given", "says"), BAD, ids=[" ".join(given) for given, _ in BAD])
def test_bad_input_is_one_sentence_and_touches_nothing(
  given, says, bad_files, upscale, trained_run, capsys, monkeypatch, contents
):
  monkeypatch.chdir(bad_files)
  monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1200)  # it is refused from twice that
  monkeypatch.setattr("sr_jax.upscale.tiling.jax.jit", None)  # nothing is compiled
  before = contents(bad_files), contents(trained_run)
  assert upscale(*given) == 2
  err = capsys.readouterr().err
  assert says in err
  assert err.count("\n") == 1
  assert (contents(bad_files), contents(trained_run)) == before


def test_a_failure_while_writing_leaves_no_half_file(upscale, tmp_path, monkeypatch, capsys):
  photo().save(tmp_path / "a.jpg")

  def full(self, target, *_, **__):
    Path(target).write_text("half")
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(Image.Image, "save", full)
  assert upscale(tmp_path / "a.jpg") == 2
  assert "No space left on device" in capsys.readouterr().err
  assert list((tmp_path / "out").iterdir()) == []


def test_a_member_that_diverged_is_refused(tmp_path, capsys):
  mesh = sharding.make_mesh(1, 1)
  members = sharding.shard_members(mesh, population.make_members([0], [1e-3]))
  network = lr_network(features=4, depth=1)
  state = population.initialise(network, "lr", members, mesh)
  state = state._replace(params=jax.tree.map(lambda x: x * np.nan, state.params))
  checkpoints = Checkpoints(tmp_path / "run" / "checkpoints" / "lr" / "final", 1)
  checkpoints.save(1, state, members, {"network": describe(network)})
  checkpoints.wait()
  checkpoints.close()
  (tmp_path / "run" / "config.json").write_text(json.dumps({"arms": {"lr": {}}}))
  photo().save(tmp_path / "a.png")
  flags = [f"--checkpoint={tmp_path / 'run'}", f"--output={tmp_path / 'out'}"]
  assert main(["upscale", str(tmp_path / "a.png"), *flags]) == 2
  assert "--member=0 of lr diverged in training; choose another" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["copied", "moved", "a trailing slash", "a link", "from within"])
def test_the_folder_of_the_run_may_be_anywhere(way, trained_run, tmp_path, monkeypatch):
  run_dir = tmp_path / "archive" / "best"
  if way == "a link":
    run_dir = tmp_path / "link"
    run_dir.symlink_to(trained_run, target_is_directory=True)
  else:
    shutil.copytree(trained_run, run_dir)
  if way == "moved":
    (tmp_path / "elsewhere").mkdir()
    run_dir = Path(shutil.move(run_dir, tmp_path / "elsewhere" / "network"))
  if way == "from within":
    monkeypatch.chdir(run_dir)
  given = {"a trailing slash": f"{run_dir}/", "from within": "."}.get(way, str(run_dir))
  photo().save(tmp_path / "a.png")
  flags = [f"--checkpoint={given}", f"--output={tmp_path / 'out'}"]
  assert main(["upscale", str(tmp_path / "a.png"), *flags]) == 0
  assert decode(tmp_path / "out" / "a.png").size == (80, 60)


def test_help_says_the_rules(capsys):
  assert main(["upscale", "--help"]) == 0
  out = capsys.readouterr().out
  assert "16-bit" in out
  assert "--overwrite" in out


def test_runs_as_a_command(trained_run, tmp_path):
  shutil.copy(PHOTO, tmp_path / "cat.webp")
  flags = [f"--checkpoint={trained_run}", "--arm=espcn", "--member=1", f"--output={tmp_path}"]
  command = [
    sys.executable,
    "-W",
    "error",
    "-m",
    "sr_jax.upscale",
    str(tmp_path / "cat.webp"),
  ]
  run = subprocess.run([*command, *flags], cwd=ROOT, capture_output=True, text=True, check=True)
  assert run.stderr == ""
  assert "espcn, seed 1, trained for 9 steps, enlarges 3 times" in run.stdout
  assert decode(tmp_path / "cat.png").size == tuple(3 * n for n in decode(PHOTO).size)
