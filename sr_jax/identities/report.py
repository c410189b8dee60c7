"""The report of the equivalence experiment: verdicts first, then the identities with pictures."""

from typing import Any

from sr_jax.runtime.console import markdown_table
from sr_jax.runtime.run_folder import RunFolder


def rows(results: dict[str, Any], timing: dict[str, Any]) -> list[list[str]]:
  """The judged sentences of the note with their verdicts, as text cells, the header first."""
  found = [["where", "what the note says", "it is", "because"]]
  for finding in [*results["sentences"], timing["speed"]]:
    found.append([finding[key] for key in ("where", "sentence", "verdict", "evidence")])
  return found


def markdown(results: dict[str, Any], timing: dict[str, Any]) -> str:
  """The text of report.md."""
  one, two, layer = (results[key] for key in ("one_dimension", "two_dimensions", "trained_layer"))
  axes = [["axes", "largest difference of the three forms"]]
  axes += [[str(found["axes"]), f"{found['difference']:.0e}"] for found in results["axes"]]
  lifts = [["HR kernel", "lifts to LR pixels a side", "K <= r (k - 1) + 1, k = 3"]]
  for found in results["lift"]:
    size = f"{found['kernel']}x{found['kernel']}"
    lifts.append([size, str(found["lr_pixels"]), "fits" if found["fits"] else "does not fit"])
  sums = ", ".join(f"{found['sum']:g}" for found in two.values())
  taps = ", ".join(str(found["lr_kernel_size"]) for found in two.values())
  return f"""# Is the deconvolution layer the same as a convolutional layer?

{markdown_table(rows(results, timing))}

## One dimension (Fig. 2 and 3)

x = (1, 2, 3, 4, 5), f = (1, 2, 3, 4), r = 2. The transposed convolution, 2 samples cropped on each
side, gives {one["transposed"]}; the sub-pixel convolution with padding 1 gives {one["sub_pixel"]}.
Rows of one colour are one LR filter of the transposed convolution: {one["lr_filters"]}.

![The matrices](figures/one_dimension.png)

With f = (1, 2, 3) the sub-pixel convolution gives {one["sub_pixel_of_three_taps"]} from the LR
filters {one["lr_filters_of_three_taps"]}: a tap stays zero because of where it is.

## Two dimensions (Fig. 4 to 7)

A 4x4 image and a 4x4 filter, both 1 to 16 row by row, r = 2. Padding the zero-filled image by
(1, 3), (2, 2) and (3, 1) gives outputs that sum to {sums}, from LR filters of {taps} taps a side.

![Four phases](figures/two_dimensions.png)

## A trained layer

The last layer of an LR network ({layer["source"]}). Its kernel {layer["lr_kernel"]} is the
deconvolution {layer["deconvolution"]} cropped by {layer["padding"]}, the taps of each phase read
backwards. There and back is bit for bit equal: {layer["round_trip_is_bit_exact"]}.

![A trained layer](figures/trained_layer.png)

## One, two and three axes

{markdown_table(axes)}

Zero insertion, transposed convolution and LR convolution with shuffle, r = 2, K = 4, float64.

## The lift

An HR convolution is an LR convolution on space_to_depth maps. Equal colours are one tied weight. At
r = 2:

{markdown_table(lifts)}

![The lift](figures/lift.png)
"""


def write(run_dir: RunFolder, results: dict[str, Any], timing: dict[str, Any]) -> None:
  """Writes report.md."""
  run_dir.markdown_report.write_text(markdown(results, timing))
