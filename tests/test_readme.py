"""What the README tells people to type."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
IDENTITIES = (ROOT / "docs" / "IDENTITIES.md").read_text()


def test_the_recipe_converts_a_saved_layer(tmp_path, monkeypatch):
  (recipe,) = re.findall(r"```python\n(import numpy.*?)```", IDENTITIES, re.DOTALL)
  _, steps = recipe.split("\n\n")
  assert len(steps.strip().splitlines()) == 2
  weight = np.random.default_rng(0).standard_normal((3, 2, 4, 4)).astype(np.float32)
  np.savez(tmp_path / "layer.npz", weight=weight)
  monkeypatch.chdir(tmp_path)
  names: dict = {}
  exec(recipe, names)
  assert 0 <= names["error"] < 1e-5
  assert names["lr_layer"][0].shape == (3, 3, 3, 8)


def test_the_two_commands_stand_there_word_for_word():
  assert "pip install -e . && python launch.py --experiment=matched_flops" in README
  assert 'pip install -e ".[test]" && pytest' in README


FOLDERS = "benchmarks|docs|experiments|results|sr_jax|tests"


def test_what_pages_link_to_and_name_is_there():
  paths = []
  for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
    text = page.read_text()
    linked = re.findall(r"\]\(((?:\.\./)?\w[\w/.]+)\)", text)
    named = re.findall(rf"(?<![\w/.])(?:{FOLDERS})/[\w/]+(?:\.\w+)?", text)
    modules = re.findall(r"python -m ([\w.]+)", text)
    paths += [page.parent / path for path in linked] + [ROOT / path for path in named]
    paths += [ROOT / name.replace(".", "/") for name in modules if name.startswith(("sr_", "docs"))]
  missing = [path for path in paths if not (path.exists() or path.with_suffix(".py").exists())]
  assert missing == []
  assert len(paths) > 40
