"""What the reports of all runs share: their two files, and how to make the run again."""

from sr_jax.config import as_flags
from sr_jax.report import html, markdown
from sr_jax.report.model import Command, Json, Section, Table
from sr_jax.runtime.files import replace_text
from sr_jax.runtime.run_folder import RunFolder
from sr_jax.training.choices import reproducing

SESSION = "Wall time of the session that finished the run"


def write(run_dir: RunFolder, report: Section) -> None:
  """Writes report.md and report.html; a file that has the same text already is left alone."""
  texts = {
    run_dir.markdown_report: markdown.render(report, run_dir.path),
    run_dir.report: html.render(report),
  }
  for path, text in texts.items():
    if not path.exists() or path.read_text(encoding="utf-8") != text:
      replace_text(path, text)


def reproduce(results: Json, timing: Json, about: Json, times: str = SESSION) -> Section:
  """The section with a run's command, versions and wall time; `times` says whose time it is."""
  seconds = timing["phase_seconds"]
  return Section(
    "Reproduce",
    Command(command(results)),
    f"Begun {about['began']}. The times below sum to {sum(seconds.values()) / 60:.1f} minutes.",
    Table([["", "version"], *([name, str(value)] for name, value in about["provenance"].items())]),
    Section(
      f"{times}, on {timing['device']}",
      Table([["phase", "seconds"], *([name, f"{value:.1f}"] for name, value in seconds.items())]),
      is_folded=True,
    ),
  )


def command(results: Json) -> str:
  """The command that makes the bits of a run again, with all that was chosen by measuring."""
  config = reproducing(results) if "choices" in results else results["config"]
  return f"python launch.py --experiment={results['experiment']} {as_flags(config)}"
