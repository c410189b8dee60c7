import numpy as np
import pytest
from PIL import Image

from sr_jax.data.images import make_pair, pixel_digest, read_luminance
from sr_jax.data.recognition import describe_copies, find_copies, recognise
from sr_jax.data.sources import load

SETS = ("Set5", "Set14", "BSD100", "BSD200", "T91")


def sentences(sets):
  return describe_copies(find_copies(sets))


def files(shared_data, name):
  return sorted(path for path in (shared_data / name).iterdir() if path.suffix in (".png", ".jpg"))


def digests(paths):
  return [pixel_digest(read_luminance(path)) for path in paths]


@pytest.mark.parametrize("name", SETS)
def test_the_fields_sets_are_recognised_under_any_name(shared_data, name):
  genuine = digests(files(shared_data, name))
  assert recognise(name, genuine) == f"{name}: the genuine pixels."
  assert recognise("mine", genuine) == f"mine: the genuine pixels of {name}."


def test_other_pixels_under_a_known_name_are_reported(shared_data, tmp_path):
  paths = files(shared_data, "Set5")
  again = tmp_path / "re-encoded.jpg"
  Image.open(paths[0]).save(again, quality=95)
  sentence = recognise("set_5", digests([again, *paths[1:]]))
  assert sentence.startswith(
    "WARNING: set_5: NOT the genuine Set5: 4 of its 5 photographs have the pixels of Set5's 5"
  )
  assert "3 of its 3 photographs have the pixels of Set5's 5" in recognise(
    "Set5", digests(paths[:3])
  )
  assert "NOT the genuine BSD100: 0 of its 3" in recognise("B100", digests(paths[:3]))


def test_an_unknown_set_is_not_recognised():
  assert recognise("mine", ["0" * 32]) is None


def photos_of(paths):
  return [make_pair(path.stem, read_luminance(path), 2) for path in paths]


def test_different_photographs_are_not_taken_for_copies(shared_data):
  # 430 photographs: the three pairs below are all that look alike
  sets = {name: photos_of(files(shared_data, name)) for name in SETS}
  sample = load("sample_photos", 2, 17)
  sets["sample"] = [*sample.train, *sample.validation, *sample.test]
  assert sentences(sets) == [
    "Set5 and Set14 share photographs: head_GT = face.",
    "Set5 and BSD200 share photographs: woman_GT = 302003.",
    "T91 holds photographs twice: t36 = t65.",
  ]


def test_changed_copies_are_found():
  original = load("sample_photos", 2, 17).train[:8]

  def changed(photo):
    image = Image.fromarray(photo.target)
    width, height = image.size
    image = image.crop((3, 3, width - 5, height - 2)).resize((width * 2 // 3, height * 2 // 3))
    return make_pair("copy of " + photo.name, np.asarray(image) // 2 + 40, 2)

  (sentence,) = sentences({"train": original, "test": [changed(photo) for photo in original]})
  for photo in original[:5]:
    assert f"{photo.name} = copy of {photo.name}" in sentence
  assert sentence.endswith(" and 3 more.")


def test_flat_photographs_are_like_no_other():
  flat = [make_pair(str(gray), np.full((20, 20), gray, np.uint8), 2) for gray in (7, 9)]
  assert sentences({"one": flat[:1], "other": flat[1:]}) == []
