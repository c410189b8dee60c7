"""What weakens or limits a comparison of explicit upsampling over tasks, in sentences."""

from collections.abc import Callable, Iterable

from sr_jax.comparison.explicit_effects import FEW_IMAGES, Results
from sr_jax.comparison.phrases import in_unit
from sr_jax.comparison.statistics import MIN_IMAGES
from sr_jax.comparison.task_arms import FORMS, LR
from sr_jax.comparison.titles import task_title, titled
from sr_jax.data.signals import SAMPLES
from sr_jax.data.volumes import MNI152


def cautions(results: Results) -> list[str]:
  """What weakens the verdict: members that failed, rates at the edge, few images, unsure gains."""

  def members(is_meant: Callable[[str], bool]) -> list[str]:
    return [
      f"{task_title(task)}, {titled(name)}: seeds {seeds}"
      for task, record in results["tasks"].items()
      for name, arm in record["arms"].items()
      if (seeds := [m["seed"] for m in arm["members"] if is_meant(m["status"])])
    ]

  at_edge = [
    f"{task_title(task)}, {titled(name)}: {arm['learning_rate']:g}"
    for task, record in results["tasks"].items()
    for name, arm in record["arms"].items()
    if arm["rate_at_edge"]
  ]
  tasks = results["verdict"]["tasks"]
  few = [task_title(name) for name, task in tasks.items() if task["images"] < MIN_IMAGES]
  unsure = [
    f"{task_title(name)} {in_unit(task['gain'], task['unit'])}"
    for name, task in tasks.items()
    if task["gain"]["low"] is None or task["gain"]["low"] <= 0
  ]
  listed = {
    "Diverged, and left out with the same seeds of the other network": members(
      lambda status: status == "diverged"
    ),
    "Did not beat no network, and stay in the comparison": members(
      lambda status: status not in ("ok", "diverged")
    ),
    "The best learning rate is at the edge of the grid, so that a wider --learning_rate may change "
    "the result": at_edge,
    f"Too few images for a decision, {FEW_IMAGES}": few,
    f"What {titled(LR)} gains over no network is not shown to be above zero": unsure,
  }
  return [f"{lead}: {'; '.join(names)}." for lead, names in listed.items() if names]


def not_shown(results: Results) -> str:
  """What the run cannot say."""
  tasks = results["tasks"]
  steps = _range(record["config"]["steps"] for record in tasks.values())
  images = _range(len(record["images"]["test"]) for record in tasks.values())
  head = ""
  if "volume" in tasks and results["config"].get("volume") == MNI152:
    head = "; heads other than one, whose slabs the volume's images are"
  return " ".join(
    [
      f"Not shown: training beyond {steps} steps; other data than these, with {images} test images "
      f"a task{head}; other widths, depths and scales; and the intervals take the learning rates, "
      f"from a short search, as given.",
      *_dependence(results),
      *_confounded(tasks),
      "The best explicit form is chosen by the same trained members on validation images, so that "
      "effects of seeds are selected, too: that is optimistic where it helps, and conservative "
      "where it is not needed.",
      *_baselines(tasks),
    ]
  )


def _dependence(results: Results) -> list[str]:
  """That tasks share images and seeds, which a mean over tasks takes as independent."""
  tasks, config = results["tasks"], results["config"]
  if len(tasks) < 2:
    return []
  lines = ""
  on_samples = config.get("data") == config.get("signal") == SAMPLES
  if on_samples and {"signal", "super_resolution"} <= tasks.keys():
    lines = ", and the signals are scan lines of the photographs of super-resolution"
  return [
    f"Tasks share test photographs and seeds{lines}: their errors are not independent, as the mean "
    f"over tasks takes them to be."
  ]


def _confounded(tasks: dict[str, Results]) -> list[str]:
  """What differs between LR and explicit forms beside the upsampling, from their budgets."""
  costs = {
    name: {arm: about["budget"] for arm, about in record["arms"].items() if arm in (LR, *FORMS)}
    for name, record in tasks.items()
  }
  ratios = [
    own[LR]["parameters"] / own[form]["parameters"]
    for own in costs.values()
    for form in own
    if form != LR
  ]
  differ = [
    name
    for name, own in costs.items()
    if len({budget["receptive_field"] for budget in own.values()}) > 1
  ]
  shifted = {
    form: names
    for form in FORMS
    if (names := [name for name, own in costs.items() if form in own and own[form]["shift"]])
  }
  small = [
    name
    for name, own in costs.items()
    if _side(tasks[name]) < max(budget["receptive_field"] for budget in own.values())
  ]
  phrases = []
  if ratios:
    low, high = (f"{ratio:.2g}" for ratio in (min(ratios), max(ratios)))
    times = low if low == high else f"{low} to {high}"
    phrases.append(f"{titled(LR)} has {times} times the parameters of the explicit forms")
  if differ:
    phrases.append(f"receptive fields differ between networks in {_titles(differ)}")
  phrases += [
    f"{titled(form)} is shifted by half an HR pixel in {_titles(names)}"
    for form, names in shifted.items()
  ]
  if any("linear" in own for own in costs.values()):
    phrases.append("linear interpolation takes values beyond the border as zero")
  if small:
    phrases.append(f"patches are smaller than the largest receptive field in {_titles(small)}")
  return [f"At equal MACs, more than the upsampling differs: {'; '.join(phrases)}."] * bool(phrases)


def _side(record: Results) -> int:
  """The side of a training patch in HR pixels."""
  return int(record["config"]["patch"] * record["task"]["scale"])


def _baselines(tasks: dict[str, Results]) -> list[str]:
  """That shares depend on what no network is, where that is not plain."""
  if "segmentation" not in tasks:
    return []
  return [
    "Shares of a gain depend on what no network is: in segmentation it is told which class is most "
    "frequent in the photograph."
  ]


def _titles(names: Iterable[str]) -> str:
  return ", ".join(map(task_title, names))


def _range(values: Iterable[int]) -> str:
  ordered = sorted(values)
  low, high = ordered[0], ordered[-1]
  return f"{low:,}" if low == high else f"{low:,} to {high:,}"
