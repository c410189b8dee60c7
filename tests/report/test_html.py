import shlex
import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sr_jax.report import html
from sr_jax.report.model import Bullets, Command, Note, Section, Table

WORDS = st.lists(st.text("ab '\"$*\\`#~<&\n-", max_size=40), min_size=1, max_size=12)


def words_of(command):
  """The words that a shell makes of a command."""
  script = f"printf '%s\\0' {command}"
  done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
  return done.stdout.split("\0")[:-1]


@settings(deadline=None, max_examples=30)
@given(WORDS)
@example(["--data=folder:/my  photos " * 9, "--steps=7", "a\\", "-" * 100])
def test_a_shell_reads_the_words_of_a_wrapped_command(words):
  assert words_of(html.wrap(shlex.join(words))) == words


def test_a_plain_command_is_wrapped_between_words():
  words = ["python", "launch.py", "--experiment=smoke", *(f"--field-{i}=0.{i}" for i in range(12))]
  lines = html.wrap(" ".join(words)).split(" \\\n  ")
  assert [word for line in lines for word in line.split(" ")] == words
  assert len(lines) == 3
  assert all(70 < len(line) <= 88 for line in lines[:-1])


def test_every_text_is_escaped():
  evil = '<b title="\'">&'
  blocks = [evil, Note(evil), Bullets([evil]), Table([[evil], [evil]]), Command(shlex.quote(evil))]
  page = html.render(Section(evil, *blocks, Section(evil, *blocks, is_folded=True)))
  assert "<b" not in page.replace("<body", "")
  assert page.count("&lt;b title=") == 15


def test_columns_of_numbers_are_set_to_the_right():
  rows = [["", "dB", "kind", "why"], ["a", "31.2 (7 of 8)", "x", "long " * 9], ["b", "-", "y", ""]]
  page = html.render(Section("", Table(rows)))
  assert '<th></th><th class="number">dB</th><th>kind</th><th class="prose">why</th>' in page


def test_what_is_empty_is_left_out():
  empty = Section("Nothing", "", Bullets(), Table([["header"]]), Section("Inner"))
  assert html.render(Section("Title", empty)) == html.render(Section("Title"))
