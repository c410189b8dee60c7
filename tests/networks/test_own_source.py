import sys

import pytest

from sr_jax.config import InputError
from sr_jax.networks import build
from sr_jax.networks.own_source import code_of, load_class

NETWORK = """
from flax import linen as nn
class Net(nn.Module):
  pass
Wrapped = nn.remat(Net)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """A folder of modules, and a package that must not be imported to look into it."""
  (tmp_path / "own_package").mkdir()
  (tmp_path / "own_package" / "__init__.py").write_text("raise SystemExit('imported')")
  (tmp_path / "own_package" / "nets.py").write_text(NETWORK)
  (tmp_path / "own_nets.py").write_text(NETWORK)
  monkeypatch.syspath_prepend(tmp_path)
  yield tmp_path
  sys.modules.pop("own_nets", None)


def test_the_code_is_that_of_the_module_named_and_imports_nothing(folder):
  assert code_of("own_nets:Wrapped") == code_of("own_package.nets:Net")  # alike, not Flax's
  before = code_of("own_nets:Net")
  (folder / "own_nets.py").write_text(NETWORK + "# changed\n")
  assert code_of("own_nets:Net") != before
  assert not {"own_nets", "own_package"} & sys.modules.keys()


@pytest.mark.parametrize("source", ["own_nets.more:Net", "own_package.lost:Net", "lost:Net"])
def test_a_module_that_is_not_there_is_said(folder, source):
  with pytest.raises(InputError, match=f"module {source.partition(':')[0]} cannot be imported, fr"):
    code_of(source)


def test_a_module_without_a_file_is_no_crash():
  assert code_of("sys:Net") == ""
  with pytest.raises(InputError, match=r"sys:Net: sys has no Net"):
    load_class("sys:Net")


def test_a_changed_module_is_not_imported_to_open_what_it_trained(folder):
  (folder / "own_nets.py").write_text("raise SystemExit('imported')")
  description = {"source": "own_nets:Net", "scale": 2, "arguments": "{}", "code": "0123456789"}
  with pytest.raises(InputError, match="own_nets:Net was changed since it was trained, and is not"):
    build(description)
  assert "own_nets" not in sys.modules
