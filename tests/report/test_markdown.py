from sr_jax.report import markdown
from sr_jax.report.model import (
  Answer,
  Bullets,
  Command,
  Figure,
  Gallery,
  Note,
  Section,
  Table,
)


def test_every_block_has_its_form(tmp_path):
  (tmp_path / "figures").mkdir()
  path = tmp_path / "figures" / "a.png"
  path.touch()
  figures = [Figure(path, "what it shows", "below"), Figure(tmp_path / "absent.png", "nothing")]
  inner = Section("Inner", Gallery("pair", *figures), Command("ls a|b"), is_folded=True)
  report = Section(
    "Title",
    "a|b",
    Answer("supported", "+0.1 dB", "95 %", ["Because."]),
    Section("Outer", Bullets(["one", "two"]), Table([["a", "b"], ["<i>", "c|d"]]), inner),
    Section("Empty", Note("")),
  )
  assert markdown.render(report, tmp_path).split("\n\n") == [
    "# Title",
    "a\\|b",
    "**supported** +0.1 dB 95 %",
    "Because.",
    "## Outer",
    "- one\n- two",
    "| a | b |\n| --- | --- |\n| \\<i> | c\\|d |",
    "### Inner",
    "![what it shows](figures/a.png)",
    "below",
    "```\nls a|b\n```\n",
  ]
