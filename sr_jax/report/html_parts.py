"""The pieces of a page of HTML: each escapes the text that it is given."""

import base64
import re
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path

# As "31.20", "+0.1 to +0.2", "30.12 (7 of 8)", "30.12, 1 of 2 diverged"; "-" where there is none.
NUMBER = re.compile(r"([-+\d.,e() ]|to|of|diverged|did not learn)*")

WIDTH = 88  # characters of a line of a command
CONTINUED = " \\\n  "

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: #1a1a1a; background: #fff;
  font: 1.0625rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0; text-wrap: balance; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1.0625rem; margin: 1.5rem 0 0.25rem; }
p, li, figcaption, summary { max-width: 44rem; overflow-wrap: anywhere; }
.what, figcaption { color: #555; font-size: 0.9375rem; }
.answer { border-left: 0.4rem solid; padding: 0.1rem 0 0.1rem 1rem; margin: 1.25rem 0; }
.answer p { margin: 0.4rem 0; }
.effect { font-size: 2.2rem; font-weight: 700; line-height: 1.15; white-space: nowrap; }
.interval { font-size: 1.25rem; white-space: nowrap; }
.badge { display: inline-block; padding: 0.1rem 0.6rem; border-radius: 1rem; color: #fff;
  font-weight: 600; vertical-align: middle; }
.supported { border-color: #00664b; } .badge.supported { background: #00664b; }
.reversed { border-color: #a64600; } .badge.reversed { background: #a64600; }
.equivalent { border-color: #00568a; } .badge.equivalent { background: #00568a; }
.undecided, .too-few-photographs { border-color: #595959; }
.badge.undecided, .badge.too-few-photographs { background: #595959; }
figure { margin: 1rem 0; }
figure > img { display: block; width: 100%; max-width: 44rem; height: auto; }
.pair { display: grid; gap: 0 1rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
.thumbnails { display: grid; gap: 0.75rem; grid-template-columns: repeat(3, 1fr);
  max-width: 44rem; }
.thumbnails figure { margin: 0; }
.thumbnails img { aspect-ratio: 1; object-fit: contain; background: #f4f4f4; }
.thumbnails figcaption { font-size: 0.8125rem; line-height: 1.3; }
.wide { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; font-size: 0.8125rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.5rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; }
th { background: #f4f4f4; vertical-align: bottom; }
td { white-space: nowrap; }
.n { text-align: right; }
td.prose { min-width: 12rem; white-space: normal; }
td:first-child { position: sticky; left: 0; background: #fff; }
pre { background: #f4f4f4; padding: 0.75rem; overflow-x: auto; font-size: 0.875rem; }
details { margin: 1rem 0; }
@media (max-width: 30rem) {
  h1 { font-size: 1.4rem; }
  .effect { font-size: 1.8rem; }
  .interval { font-size: 1.0625rem; }
}
@media print { .wide { overflow: visible; } }
"""


def page(title: str, head: str, body: str) -> str:
  """A whole page: its title, what stands under it, and the sections."""
  return (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    f"<header>\n<h1>{escape(title)}</h1>\n{head}</header>\n{body}</main>\n</body>\n</html>\n"
  )


def section(title: str, *parts: str) -> str:
  """A section; nothing if it has no content."""
  content = "".join(parts)
  return f"<section>\n<h2>{escape(title)}</h2>\n{content}</section>\n" if content else ""


def say(text: str, kind: str = "") -> str:
  """A paragraph; nothing without text."""
  marked = f' class="{kind}"' if kind else ""
  return f"<p{marked}>{escape(text)}</p>\n" if text else ""


def bullets(texts: Sequence[str]) -> str:
  """A list; nothing without items."""
  items = "".join(f"<li>{escape(text)}</li>\n" for text in texts)
  return f"<ul>\n{items}</ul>\n" if items else ""


def command(text: str) -> str:
  """A command, quoted for a shell, on lines that the shell joins again."""
  lines: list[str] = []
  for word in map(shlex.quote, shlex.split(text)):
    if lines and len(lines[-1]) + 1 + len(word) <= WIDTH:
      lines[-1] += f" {word}"
    else:
      lines.append(word)
  return f"<pre><code>{escape(CONTINUED.join(lines))}</code></pre>\n"


def table(rows: Sequence[Sequence[str]]) -> str:
  """A table in a container that scrolls, columns of numbers to the right; nothing without rows."""
  if len(rows) < 2:
    return ""
  kinds = ["", *map(_kind, list(zip(*rows[1:], strict=True))[1:])]

  def line(cells: Sequence[str], tag: str) -> str:
    return "".join(
      f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True)
    )

  body = "".join(f"<tr>{line(row, 'td')}</tr>\n" for row in rows[1:])
  return (
    '<div class="wide" role="region" aria-label="table" tabindex="0">\n<table>\n'
    f"<thead><tr>{line(rows[0], 'th')}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
  )


def _kind(cells: Sequence[str]) -> str:
  if all(NUMBER.fullmatch(cell) for cell in cells):
    return ' class="n"'
  return ' class="prose"' if max(map(len, cells)) > 30 else ""


def details(summary: str, content: str) -> str:
  """Content that opens on a click; nothing without content."""
  if not content:
    return ""
  return f"<details>\n<summary>{escape(summary)}</summary>\n{content}</details>\n"


def figure(path: Path, alt: str, caption: str = "") -> str:
  """A picture within the page; nothing if the file is not there."""
  if not path.exists():
    return ""
  kind = {".png": "image/png", ".jpg": "image/jpeg"}[path.suffix]
  data = base64.b64encode(path.read_bytes()).decode()
  below = f"<figcaption>{escape(caption)}</figcaption>\n" if caption else ""
  return f'<figure>\n<img alt="{escape(alt)}" src="data:{kind};base64,{data}">\n{below}</figure>\n'
