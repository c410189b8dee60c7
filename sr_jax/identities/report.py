"""The report of the equivalence experiment: verdicts first, then the identities with pictures."""

from pathlib import Path
from typing import Any

from sr_jax.report import pages
from sr_jax.report.model import Figure, Section, Table, Text
from sr_jax.runtime.run_folder import RunFolder


def rows(results: dict[str, Any], timing: dict[str, Any]) -> list[list[str]]:
  """The judged sentences of the note with their verdicts, as text cells, the header first."""
  findings = [*results["sentences"], timing["speed"]]
  columns = ("where", "sentence", "verdict", "evidence")
  cells = [[finding[column] for column in columns] for finding in findings]
  return [["where", "what the note says", "it is", "because"], *cells]


def write(run_dir: RunFolder, results: dict[str, Any], timing: dict[str, Any]) -> None:
  """Writes the report of a run from what its results.json and timing.json hold."""
  axes = [["axes", "largest difference of the three forms"]]
  axes += [[str(check["axes"]), f"{check['difference']:.0e}"] for check in results["axes"]]
  report = Section(
    "Is the deconvolution layer the same as a convolutional layer?",
    [
      Section("What the note says, and whether it is so", [Table(rows(results, timing))]),
      _one_dimension(results["one_dimension"], run_dir.figures),
      _two_dimensions(results["two_dimensions"], run_dir.figures),
      _trained_layer(results["trained_layer"], run_dir.figures),
      Section(
        "One, two and three axes",
        [
          Table(axes),
          Text(
            "Zero insertion, transposed convolution and LR convolution with shuffle, r = 2, K = 4, "
            "float64."
          ),
        ],
      ),
      _lift(results["lift"], run_dir.figures),
    ],
  )
  pages.write(run_dir, report)


def _one_dimension(numbers: dict[str, Any], folder: Path) -> Section:
  return Section(
    "One dimension (Fig. 2 and 3)",
    [
      Text(
        "x = (1, 2, 3, 4, 5), f = (1, 2, 3, 4), r = 2. The transposed convolution, 2 samples "
        f"cropped on each side, gives {numbers['transposed']}; the sub-pixel convolution with "
        f"padding 1 gives {numbers['sub_pixel']}. Rows of one colour are one LR filter of the "
        f"transposed convolution: {numbers['lr_filters']}."
      ),
      Figure(folder / "one_dimension.png", "The matrices"),
      Text(
        f"With f = (1, 2, 3) the sub-pixel convolution gives {numbers['sub_pixel_of_three_taps']} "
        f"from the LR filters {numbers['lr_filters_of_three_taps']}: a tap stays zero because of "
        "where it is."
      ),
    ],
  )


def _two_dimensions(numbers: dict[str, Any], folder: Path) -> Section:
  sums = ", ".join(f"{output['sum']:g}" for output in numbers.values())
  taps = ", ".join(str(output["lr_kernel_size"]) for output in numbers.values())
  return Section(
    "Two dimensions (Fig. 4 to 7)",
    [
      Text(
        "A 4x4 image and a 4x4 filter, both 1 to 16 row by row, r = 2. Padding the zero-filled "
        f"image by (1, 3), (2, 2) and (3, 1) gives outputs that sum to {sums}, from LR filters of "
        f"{taps} taps a side."
      ),
      Figure(folder / "two_dimensions.png", "Four phases"),
    ],
  )


def _trained_layer(layer: dict[str, Any], folder: Path) -> Section:
  return Section(
    "A trained layer",
    [
      Text(
        f"The last layer of an LR network ({layer['source']}). Its kernel {layer['lr_kernel']} is "
        f"the deconvolution {layer['deconvolution']} cropped by {layer['padding']}, the taps of "
        "each phase read backwards. There and back is bit for bit equal: "
        f"{layer['round_trip_is_bit_exact']}."
      ),
      Figure(folder / "trained_layer.png", "A trained layer"),
    ],
  )


def _lift(kernels: list[dict[str, Any]], folder: Path) -> Section:
  lifts = [["HR kernel", "lifts to LR pixels a side", "K <= r (k - 1) + 1, k = 3"]]
  for kernel in kernels:
    size = f"{kernel['kernel']}x{kernel['kernel']}"
    lifts.append([size, str(kernel["lr_pixels"]), "fits" if kernel["fits"] else "does not fit"])
  return Section(
    "The lift",
    [
      Text(
        "An HR convolution is an LR convolution on space_to_depth maps. Equal colours are one tied "
        "weight. At r = 2:"
      ),
      Table(lifts),
      Figure(folder / "lift.png", "The lift"),
    ],
  )
