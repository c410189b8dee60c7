import numpy as np
import pytest

from sr_jax.comparison.nested_verdict import NOT_SHOWN, USED, decide
from sr_jax.report import nested_figures, nested_report
from sr_jax.runtime.run_folder import RunFolder
from tests.comparison.made_up_nested import results

ALIKE = (0.2, 0.3)


def decided(*gains):
  made_up = results(*gains)
  return made_up | decide(made_up)


@pytest.fixture
def mixed():
  return decided(ALIKE, (-0.2, 0.3), (0.0, 0.0))


def test_every_pair_has_its_costs_effects_and_finding(mixed):
  header, first, second, _ = nested_report.rows(mixed)
  assert len(header) == len(first)
  assert first[0] == "HR learned to HR untied"
  assert first[1:3] == ["x 1.00", "x 1.00"]
  assert first[3].startswith("+0.2")
  assert first[6].startswith("+0.30")
  assert [first[-1], second[-1]] == [USED, "used by L-BFGS alone"]


def test_what_a_network_reached_is_of_its_own_members_and_a_diverged_one_is_named(mixed):
  _, tied, untied, *_ = nested_report.level_rows(mixed)
  assert tied[0] == "HR learned"
  assert (tied[-2], untied[-2]) == ("33.000", "33.301")  # on the patches of L-BFGS
  mixed["arms"]["hr_untied"]["lbfgs"]["members"][0]["psnr"] = None
  assert nested_report.level_rows(mixed)[2][-2] == "diverged"


def test_the_curves_are_differences_without_what_diverged(mixed):
  curve = mixed["arms"]["hr_untied"]["lbfgs"]["patches_psnr"]
  curve["members"][2][1] = None
  above, below = nested_figures.curves(mixed).axes
  line = above.lines[1]  # after that at zero
  np.testing.assert_allclose(line.get_ydata(), [0, 0.2], atol=1e-9)
  assert below.lines[1].get_xdata().tolist() == [1, 260, 300]
  np.testing.assert_allclose(below.lines[1].get_ydata(), [0, 0.3, 0], atol=1e-9)


@pytest.mark.parametrize(
  ("gains", "badge"),
  [
    ((ALIKE, ALIKE, ALIKE), "supported"),
    (((0.0, 0.0),) * 3, "equivalent"),
    (((-0.2, 0.0),) * 3, "undecided"),
    ((ALIKE, ALIKE, (0.0, 0.0)), "mixed"),
  ],
)
def test_the_badge_is_of_all_pairs(gains, badge, tmp_path):
  made_up = decided(*gains)
  made_up |= {"experiment": "nested", "notes": [], "choices": {}}
  run_dir = RunFolder(tmp_path)
  timing = {"device": "cpu", "phase_seconds": {"load": 1.0}}
  about = {"began": "today", "provenance": {"jax": "1"}}
  nested_report.write(run_dir, made_up, timing, about)
  text = run_dir.markdown_report.read_text()
  used = list(made_up["verdict"]["findings"].values()).count(USED)
  assert f"**{badge}** {used} of 3 pairs" in text
  assert "(figures/untied.png)" in text
  assert "(figures/untied_curves.png)" in text
  assert (NOT_SHOWN in text) == (badge == "undecided")
