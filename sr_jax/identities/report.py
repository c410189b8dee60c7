"""The report of the equivalence experiment: verdicts first, then the identities with pictures."""

from sr_jax.report import pages
from sr_jax.report.model import Figure, Json, Section, Table
from sr_jax.runtime.run_folder import RunFolder


def rows(results: Json, timing: Json) -> list[list[str]]:
  """The judged sentences of the note with their verdicts, as text cells, the header first."""
  findings = [*results["sentences"], timing["speed"]]
  columns = ("where", "sentence", "verdict", "evidence")
  cells = [[finding[column] for column in columns] for finding in findings]
  return [["where", "what the note says", "it is", "because"], *cells]


def theorem_rows(results: Json) -> list[list[str]]:
  """The theorems as text cells, the header first."""
  cells = [
    [theorem["statement"], "shown" if theorem["is_shown"] else "not shown", theorem["evidence"]]
    for theorem in results["theorems"]
  ]
  return [["theorem", "it is", "by"], *cells]


def write(run_dir: RunFolder, results: Json, timing: Json) -> None:
  """Writes the report of a run from what its results.json and timing.json hold."""
  line, plane = results["one_dimension"], results["two_dimensions"]
  layer, folder = results["trained_layer"], run_dir.figures
  axes = [["axes", "largest difference of the three forms"]]
  axes += [[str(check["axes"]), f"{check['difference']:.0e}"] for check in results["axes"]]
  lifts = [["HR kernel", "lifts to LR pixels a side", "K <= r (k - 1) + 1, k = 3"]]
  for kernel in results["lift"]:
    size = f"{kernel['kernel']}x{kernel['kernel']}"
    lifts.append([size, str(kernel["lr_pixels"]), "fits" if kernel["fits"] else "does not fit"])
  sums = ", ".join(f"{padded['sum']:g}" for padded in plane.values())
  taps = ", ".join(str(padded["lr_kernel_size"]) for padded in plane.values())
  report = Section(
    "Is the deconvolution layer the same as a convolutional layer?",
    Table(rows(results, timing)),
    Section("Which family of networks contains which", Table(theorem_rows(results))),
    Section(
      "One dimension (Fig. 2 and 3)",
      "x = (1, 2, 3, 4, 5), f = (1, 2, 3, 4), r = 2. The transposed convolution, 2 samples cropped "
      f"on each side, gives {line['transposed']}; the sub-pixel convolution with padding 1 gives "
      f"{line['sub_pixel']}. Rows of one colour are one LR filter of the transposed convolution: "
      f"{line['lr_filters']}.",
      Figure(folder / "one_dimension.png", "The matrices"),
      f"With f = (1, 2, 3) the sub-pixel convolution gives {line['sub_pixel_of_three_taps']} from "
      f"the LR filters {line['lr_filters_of_three_taps']}: a tap stays zero because of where it "
      "is.",
    ),
    Section(
      "Two dimensions (Fig. 4 to 7)",
      "A 4x4 image and a 4x4 filter, both 1 to 16 row by row, r = 2. Padding the zero-filled image "
      f"by (1, 3), (2, 2) and (3, 1) gives outputs that sum to {sums}, from LR filters of {taps} "
      "taps a side.",
      Figure(folder / "two_dimensions.png", "Four phases"),
    ),
    Section(
      "A trained layer",
      f"The last layer of an LR network ({layer['source']}). Its kernel {layer['lr_kernel']} is "
      f"the deconvolution {layer['deconvolution']} cropped by {layer['padding']}, the taps of each "
      f"phase read backwards. There and back is bit for bit equal: "
      f"{layer['round_trip_is_bit_exact']}.",
      Figure(folder / "trained_layer.png", "A trained layer"),
    ),
    Section(
      "One, two and three axes",
      Table(axes),
      "Zero insertion, transposed convolution and LR convolution with shuffle, r = 2, K = 4, "
      "float64.",
    ),
    Section(
      "The lift",
      "An HR convolution is an LR convolution on space_to_depth maps. Equal colours are one tied "
      "weight. At r = 2:",
      Table(lifts),
      Figure(folder / "lift.png", "The lift"),
    ),
  )
  pages.write(run_dir, report)
