import html
import shlex
import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sr_jax.report import html_parts as parts


def text_of(page):
  return html.unescape(page.removeprefix("<pre><code>").removesuffix("</code></pre>\n"))


def words_of(command):
  """The words that a shell makes of a command."""
  script = f"printf '%s\\0' {command}"
  done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
  return done.stdout.split("\0")[:-1]


WORDS = st.lists(st.text("ab '\"$*\\`#~<&\n-", max_size=40), min_size=1, max_size=12)


@settings(deadline=None, max_examples=30)
@given(WORDS)
@example(["--data=folder:/my  photos " * 9, "--steps=7", "a\\", "-" * 100])
def test_a_shell_reads_the_words_of_a_wrapped_command(words):
  assert words_of(text_of(parts.command(shlex.join(words)))) == words


def test_a_plain_command_is_wrapped_between_words():
  words = ["python", "launch.py", "--experiment=smoke", *(f"--field-{i}=0.{i}" for i in range(12))]
  lines = text_of(parts.command(" ".join(words))).split(" \\\n  ")
  assert [word for line in lines for word in line.split(" ")] == words
  assert len(lines) == 3
  assert all(70 < len(line) <= 88 for line in lines[:-1])
