import sys
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from sr_jax.config import InputError
from sr_jax.data.signals import load_signals, scan_lines

RNG = np.random.default_rng(0)


def noise(*shape):
  return RNG.uniform(-1, 1, shape)


def save_integers(path, values, width, rate=8000):
  """Writes `values` in -1..1 as integers of `width` bytes, with Python's own writer."""
  values = np.floor(values * 2 ** (8 * width - 1)).astype(np.int64)
  raw = (values + 128 * (width == 1)).astype("<i8")[:, None].view(np.uint8)[:, :width]
  with wave.open(str(path), "wb") as file:
    file.setparams((1, width, rate, 0, "NONE", ""))
    file.writeframes(raw.tobytes())
  return values / 2 ** (8 * width - 1)


@pytest.fixture
def folder(tmp_path):
  """A folder of five signals."""
  for i in range(5):
    save_integers(tmp_path / f"{i}.wav", noise(100), 2)
  return tmp_path


def load(folder, min_length=10):
  return load_signals(f"folder:{folder}", min_length)


def read(folder):
  return {name: signal for named in load(folder).sets.values() for name, signal in named.items()}


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_integers_of_any_width_are_read(folder, width):
  values = noise(50)
  values[:2] = -1, 0
  expected = save_integers(folder / "a.wav", values, width)
  signal = read(folder)["a"]
  np.testing.assert_array_equal(signal, expected.astype(np.float32))
  assert signal.dtype == np.float32
  assert signal[0] == -1
  assert signal[1] == 0
  np.testing.assert_allclose(signal, values, rtol=0, atol=max(2.0 ** (1 - 8 * width), 6e-8))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_read_as_they_are(folder, dtype):
  values = noise(50).astype(dtype)
  wavfile.write(folder / "a.wav", 8000, values)
  np.testing.assert_array_equal(read(folder)["a"], values.astype(np.float32))


def test_channels_are_averaged_and_rates_may_differ_which_notes_say(folder):
  assert load(folder).notes == []
  wavfile.write(folder / "a.wav", 8000, np.stack([np.full(40, 0.5), np.linspace(0, 1, 40)], axis=1))
  wavfile.write(folder / "b.wav", 44100, noise(40))
  np.testing.assert_allclose(read(folder)["a"], 0.25 + np.linspace(0, 0.5, 40), atol=1e-7)
  assert load(folder).notes == [
    "Channels are averaged in 1 file.",
    "Sample rates differ, from 8000 Hz of 0.wav to 44100 Hz of b.wav; no signal is resampled.",
  ]


def test_a_chunk_that_is_no_sound_is_skipped(folder):
  plain = (folder / "0.wav").read_bytes()
  before = read(folder)["0"]
  chunk = b"odd " + (4).to_bytes(4, "little") + b"1234"
  size = (len(plain) - 8 + len(chunk)).to_bytes(4, "little")
  (folder / "0.wav").write_bytes(plain[:4] + size + plain[8:] + chunk)
  np.testing.assert_array_equal(read(folder)["0"], before)


def mu_law(path):
  save_integers(path, noise(50), 1)
  header = bytearray(path.read_bytes())
  header[20] = 7
  path.write_bytes(header)


@pytest.mark.parametrize(
  ("write", "says"),
  [
    (lambda path: save_integers(path, noise(0), 2), "a.wav is empty; remove it"),
    (lambda path: save_integers(path, noise(9), 2), "a.wav has 9 samples and needs at least 10"),
    (lambda path: save_integers(path, np.full(20, 0.5), 2), "a.wav is constant"),
    (lambda path: wavfile.write(path, 8000, np.full(20, np.nan)), "a.wav holds NaN or inf"),
    (lambda path: wavfile.write(path, 8000, np.inf * noise(20)), "a.wav holds NaN or inf"),
    (lambda path: wavfile.write(path, 8000, np.full(20, -300.0)), "a.wav has samples up to 300 "),
    (lambda path: path.write_bytes(b""), r"a.wav cannot be read as audio \("),
    (lambda path: path.write_bytes(b"RIFF1234WAVE"), r"a.wav cannot be read as audio \("),
    (lambda path: path.write_text("no sound"), r"a.wav cannot be read as audio \(.*not understood"),
    (mu_law, r"a.wav cannot be read as audio \(Unknown wave file format: MULAW"),
  ],
)
def test_a_file_without_a_signal_is_refused(folder, write, says):
  write(folder / "a.wav")
  with pytest.raises(InputError, match=says):
    load(folder)


@pytest.mark.parametrize("cut", [1, 60, 200, 220])
def test_a_file_cut_short_is_refused(folder, cut):
  path = folder / "0.wav"
  path.write_bytes(path.read_bytes()[:-cut])
  with pytest.raises(InputError, match=r"0.wav cannot be read as audio"):
    load(folder)


def test_folders_are_divided_as_those_of_photographs(tmp_path):
  for split, count in (("train", 3), ("validation", 1), ("test", 2)):
    (tmp_path / split).mkdir()
    for i in range(count):
      save_integers(tmp_path / split / f"{i}.wav", noise(20), 2)
  sets = load(tmp_path).sets
  assert {split: sorted(signals) for split, signals in sets.items()} == {
    "train": ["0", "1", "2"],
    "validation": ["0"],
    "test": ["0", "1"],
  }
  # What is tested is not trained on.
  (tmp_path / "train" / "1.wav").write_bytes((tmp_path / "test" / "0.wav").read_bytes())
  dropped = load(tmp_path)
  assert sorted(dropped.sets["train"]) == ["0", "2"]
  assert dropped.notes == ["Left out of train, since test has them: 1."]
  (tmp_path / "validation" / "0.wav").write_bytes((tmp_path / "test" / "0.wav").read_bytes())
  with pytest.raises(InputError, match="--signal: nothing is left of validation, since test has"):
    load(tmp_path)
  for path in (tmp_path / "test").iterdir():
    path.unlink()
  with pytest.raises(InputError, match="test holds no signal, that is no file ending in"):
    load(tmp_path)
  (tmp_path / "test").rmdir()
  with pytest.raises(InputError, match=r"there is no folder .*test beside .*train"):
    load(tmp_path)


def test_too_few_files_and_unknown_sources_are_refused(folder):
  (folder / "0.wav").unlink()
  with pytest.raises(
    InputError, match=r"--signal=folder:.* has 4 signals and 5 are needed to .*; add some, or div"
  ):
    load(folder)
  for source in ("folder:", "birds", "tfds:birds"):
    with pytest.raises(InputError, match=f"--signal={source} is not supported"):
      load_signals(source, 10)


def test_flac_is_read_by_an_extra(folder, monkeypatch):
  (folder / "a.flac").write_bytes(b"")
  with monkeypatch.context() as patch:
    patch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(InputError, match=r'pip install -e "\.\[audio\]"'):
      load(folder)
  soundfile = pytest.importorskip("soundfile", reason="needs the extra audio")
  with pytest.raises(InputError, match=r"a.flac cannot be read as audio"):
    load(folder)
  values = np.round(noise(50, 2) * 2**15) / 2**15
  soundfile.write(folder / "a.flac", values, 8000, subtype="PCM_16")
  np.testing.assert_array_equal(read(folder)["a"], values.mean(axis=1).astype(np.float32))


def test_the_default_is_scan_lines_of_the_sample_photographs():
  sets, notes = load_signals("sample_photos", 1000)
  assert notes == []
  assert list(sets) == ["train", "validation", "test"]
  assert min(map(len, sets.values())) >= 2
  for signals in sets.values():
    for signal in signals.values():
      assert signal.dtype == np.float32
      assert signal.size % 64 == 0
      assert -0.5 <= signal.min() < signal.max() <= 0.5
  with pytest.raises(InputError, match=r"the sample photograph \w+ has \d+ samples and needs"):
    load_signals("sample_photos", 10**6)


def test_scan_lines_run_to_and_fro():
  gray = np.arange(256, dtype=np.uint8).repeat(3).reshape(256, 3)
  gray[:, 2] = 0
  lines = scan_lines(gray).reshape(64, 3)
  rows = np.arange(2, 256, 4) / 255 - 0.5
  np.testing.assert_allclose(lines[:, 1], rows, atol=1e-7)
  np.testing.assert_allclose(lines[::2, 2], -0.5)
  np.testing.assert_allclose(lines[1::2, 0], -0.5)
  assert scan_lines(gray[:5]).shape == (15,)
