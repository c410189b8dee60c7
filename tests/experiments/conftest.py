"""What tests of several experiments share."""

import pytest


@pytest.fixture
def tiny_command(tmp_path, tiny_folder):
  """The command of a run of seconds, into the folder `runs`, with flags added."""

  def make(experiment, *flags):
    return [
      "launch.py",
      f"--experiment={experiment}",
      f"--data=folder:{tiny_folder / 'data'}",
      "--depth=2",
      "--steps=6",
      "--batch=4",
      "--patch=8",
      "--convolution=xla",
      f"--workdir={tmp_path / 'runs'}",
      f"--data_dir={tmp_path / 'cache'}",
      "--compile_cache=",
      *flags,
    ]

  return make
