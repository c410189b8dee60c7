"""Sentences of the note (arXiv 1609.07009), and what computations find of them.

Each check measures in float64; its verdict and its words are chosen by what it measured. What it
does not decide is said to be open. `CHECKS` lists the sentences that are judged, not all of the
note's.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sr_jax.identities.layer_overlap import (
  EXACT_LIFT,
  compare_layers,
  deviation_of_lift,
  tied_share,
)
from sr_jax.identities.theorems import neither_contains_the_other, whole
from sr_jax.networks import Network, hr_network, lr_network
from sr_jax.networks.budget import budget, note_pair
from sr_jax.networks.pair import lifted
from sr_jax.operators.conv import conv
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv
from sr_jax.operators.shuffle import depth_to_space
from sr_jax.operators.upsampling import sub_pixel_conv, transposed_conv, zero_insertion_conv

Verdict = Literal["right", "right when", "loose", "wrong"]
EXACT = 1e-12  # of float64 sums in another order
LARGEST = 12  # kernel whose correspondence is looked at for every crop
Layer = tuple[int, int, int, int]  # spatial axes, scale, kernel size, samples cropped at the start
LAYERS: list[Layer] = list(itertools.product((1, 2, 3), (2, 3), (2, 3, 4), (0, 1)))
OTHER_SIZES = [(1, r, K, 0) for r in (2, 3, 4) for K in range(1, 10) if K % r]

LR_PAIR, HR_PAIR = whole("lr"), whole("hr")  # the note's Section 3: 32 maps 3x3, 8 maps 6x6


@dataclasses.dataclass(frozen=True)
class Finding:
  """A sentence of the note and what was found of it."""

  where: str
  sentence: str
  verdict: Verdict
  evidence: str


def deviations_of_three_implementations(layers: Sequence[Layer]) -> list[float]:
  """Largest difference between the three forms of each random layer, in float64."""

  def deviation(layer: Layer, x: jax.Array, kernel: jax.Array) -> jax.Array:
    axes, scale, size, low = layer
    padding = ((low, size - 1 - low),) * axes
    forms = [f(x, kernel, scale, padding) for f in (zero_insertion_conv, sub_pixel_conv)]
    exact = transposed_conv(x, kernel, scale, padding)
    return jnp.stack([jnp.abs(form - exact).max() for form in forms]).max()

  return [float(value) for value in _measure(deviation, layers)]


def deviations_of_sub_pixel(layers: Sequence[Layer]) -> list[tuple[float, float]]:
  """How far a sub-pixel convolution is from the transposed convolution of a random filter.

  The sub-pixel convolution is written out as the note draws it (Fig. 3): zeros between the samples,
  q = K - 1 - p around them, and a correlation.

  Returns:
    for each layer the largest difference in float64 if its filter is the other's reversed, and if
    it is the same.
  """

  def deviation(layer: Layer, x: jax.Array, kernel: jax.Array) -> list[jax.Array]:
    axes, scale, size, low = layer
    p = (low, size - 1 - low)
    q = tuple(size - 1 - crop for crop in p)
    exact = transposed_conv(x, kernel, scale, (p,) * axes)
    edges = ((0, 0, 0), *((0, 0, scale - 1),) * axes, (0, 0, 0))
    between = lax.pad(x, jnp.zeros((), x.dtype), edges)
    filters = (lax.rev(kernel, tuple(range(axes))), kernel)
    return [jnp.abs(conv(between, f, (q,) * axes) - exact).max() for f in filters]

  return [(float(first), float(second)) for first, second in _measure(deviation, layers)]


def _measure(
  deviation: Callable[[Layer, jax.Array, jax.Array], Any], layers: Sequence[Layer]
) -> Any:
  """`deviation(layer, x, kernel)` of each layer on random numbers, in float64 and one program."""
  arrays = []
  for axes, _, size, _ in layers:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *(5,) * axes, 3))
    arrays.append((x, rng.standard_normal((*(size,) * axes, 3, 2))))

  def program(arrays: list[tuple[jax.Array, jax.Array]]) -> list[Any]:
    return [deviation(layer, *each) for layer, each in zip(layers, arrays, strict=True)]

  with jax.enable_x64():
    return jax.device_get(jax.jit(program)(arrays))


def reversed_filter() -> tuple[Verdict, str]:
  """Transposed convolution against sub-pixel convolution, its filter reversed and not."""
  reversed_, unreversed = zip(*deviations_of_sub_pixel(LAYERS), strict=True)
  forms = deviations_of_three_implementations(LAYERS)
  worst, control = float(np.max([*reversed_, *forms])), float(np.min(unreversed))
  evidence = (
    f"with padding q = K - 1 - p; largest difference over {len(LAYERS)} layers of "
    f"{min(LAYERS)[0]} to {max(LAYERS)[0]} axes: {worst:.0e}, smallest with the filter not "
    f"reversed: {control:.1g}"
  )
  if not worst < EXACT:
    return "wrong", evidence
  if not control > EXACT:
    return "loose", f"the filter need not be reversed: {evidence}"
  return "right", evidence


def deviations_of_lr_form(layers: Sequence[Layer]) -> list[float]:
  """Largest difference between each random layer and the shuffled LR convolution of its kernel."""

  def deviation(layer: Layer, x: jax.Array, kernel: jax.Array) -> jax.Array:
    axes, scale, _, low = layer
    padding = ((low, low),) * axes
    lr_kernel, lr_padding, _ = deconv_to_lr(kernel, scale, padding)
    y = transposed_conv(x, kernel, scale, padding)
    form = depth_to_space(conv(x, lr_kernel, lr_padding), scale)
    return jnp.abs(form[tuple(slice(length) for length in y.shape)] - y).max()

  return [float(value) for value in _measure(deviation, layers)]


def one_to_one() -> tuple[Verdict, str]:
  """For which kernels and crops is the correspondence one to one, without structural zeros?"""
  cases = [(r, K, p) for r in (2, 3, 4) for K in range(r, LARGEST + 1) for p in range(K)]
  kernels = [np.arange(1.0, size + 1, dtype=np.float32)[:, None, None] for _, size, _ in cases]

  def there_and_back(kernels: list[jax.Array]) -> list[tuple[jax.Array, jax.Array]]:
    both = []
    for kernel, (scale, _, low) in zip(kernels, cases, strict=True):
      lr_kernel, lr_padding, crop = deconv_to_lr(kernel, scale, ((low, 0),))
      both.append((lr_kernel, lr_to_deconv(lr_kernel, scale, lr_padding, crop)[0]))
    return both

  dense, with_zeros = set(), set()
  forms = jax.device_get(jax.jit(there_and_back)(kernels))
  for case, kernel, (lr_kernel, back) in zip(cases, kernels, forms, strict=True):
    if lr_kernel.size == kernel.size and np.array_equal(back, kernel):
      dense.add(case)
    elif (lr_kernel == 0).any():
      with_zeros.add(case)
  checked = [
    (axes, r, k * r, p) for axes in (1, 2, 3) for r in (2, 3) for k in (2, 3) for p in (0, r)
  ]
  worst = float(np.max(deviations_of_lr_form(checked)))
  if not worst < EXACT:
    return "wrong", f"the two differ, in 1 to 3 axes, by up to {worst:.0e}"
  aligned = {(r, K, p) for r, K, p in cases if K % r == 0 and p % r == 0}
  rule = "exactly those" if dense == aligned else f"not those ({len(dense & aligned)} of them)"
  evidence = (
    f"the one always is the other, in 1 to 3 axes to {worst:.0e}; one to one, bit for bit, in "
    f"{len(dense)} of {len(cases)} (r, K, p0), {rule} with K = k r and p0 = 0 mod r"
  )
  rest = len(cases) - len(dense)
  if rest:
    where = "elsewhere" if len(with_zeros) == rest else f"in {len(with_zeros)} of the {rest} others"
    evidence += f"; {where} the LR kernel has taps that must stay zero"
  if not dense:
    return "wrong", evidence
  return ("right when" if rest else "right"), evidence


def _filled_taps(scale: int, size: int) -> tuple[int, int, bool]:
  """How many LR taps a filter fills and of how many, and whether each of its own is there once."""
  kernel = np.arange(1.0, size + 1, dtype=np.float32)
  lr_kernel = np.asarray(deconv_to_lr(kernel[:, None, None], scale, ((0, 0),))[0])
  filled = np.sort(lr_kernel[lr_kernel != 0])
  return filled.size, lr_kernel.size, np.array_equal(filled, kernel)


def other_sizes() -> tuple[Verdict, str]:
  """Kernels whose size is not a multiple of the scale, as the note's f = (1, 2, 3)."""
  worst = float(np.max(deviations_of_three_implementations(OTHER_SIZES)))
  taps = [_filled_taps(scale, size) for _, scale, size, _ in OTHER_SIZES]
  onto = sum(filled == room for filled, room, _ in taps)
  injective = all(once for _, _, once in taps)
  kind = "an injection" if injective else "not an injection"
  if onto < len(taps):
    kind += f", {f'onto for {onto} sizes only' if onto else 'not onto'}"
  else:
    kind += ", and onto"
  filled, room, _ = _filled_taps(2, 3)
  return ("right" if worst < EXACT else "wrong"), (
    f"largest difference over {len(OTHER_SIZES)} sizes: {worst:.0e}; {kind}: f = (1, 2, 3) fills "
    f"{filled} of {room} taps"
  )


def equal_cost() -> tuple[Verdict, str]:
  """MACs, activations and parameters of the note's pair of networks, at three scales."""
  holds, sentences = True, []
  pairs = [(LR_PAIR, HR_PAIR)]
  for scale, features in ((3, 36), (4, 64)):
    maps, kernel_size = note_pair(scale, features, 3, 4, 0.0)
    pairs.append((lr_network(scale, features), hr_network(scale, maps, kernel_size=kernel_size)))
  for network, partner in pairs:
    lr, hr, scale = budget(network), budget(partner), network.scale
    ratio = lr.parameters / hr.parameters
    holds &= lr.macs == hr.macs and lr.activations == hr.activations
    holds &= abs(ratio / scale**2 - 1) < 0.01
    sentences.append(
      f"r = {scale}: {float(lr.macs):g} and {float(hr.macs):g} MACs, {float(lr.activations):g} and "
      f"{float(hr.activations):g} activations a HR pixel, {ratio:.4g} times the parameters"
    )
  return ("right" if holds else "wrong"), "; ".join(sentences)


def equal_receptive_fields() -> tuple[Verdict, str]:
  """One layer, then stacks of them."""
  sides = {}
  for depth in (1, 2, 4):
    lr = LR_PAIR.scale * (1 + depth * (_kernel_size(LR_PAIR) - 1))
    sides[depth] = (lr, 1 + depth * (_kernel_size(HR_PAIR) - 1))
  whole = (budget(LR_PAIR).receptive_field, budget(HR_PAIR).receptive_field)
  evidence = "; ".join(f"depth {d}: {a} and {b} HR pixels" for d, (a, b) in sides.items())
  evidence += f"; whole networks, bicubic included: {whole[0]} and {whole[1]}"
  if sides[1][0] != sides[1][1]:
    return "wrong", evidence
  if all(a == b for a, b in sides.values()):
    return "right", evidence
  return "right when", f"it is one layer, not a stack: {evidence}"


def more_representation_power() -> tuple[Verdict, str]:
  """Does the LR family contain the HR family?

  Layers that contain one another one by one make networks that do. The reverse is not so: what a
  layer cannot compute, several may. That whole networks do not contain one another is a theorem.
  """
  scale, k = LR_PAIR.scale, _kernel_size(LR_PAIR)
  size, lr_size = (f"{_kernel_size(n)}x{_kernel_size(n)}" for n in (HR_PAIR, LR_PAIR))
  if _is_subset(HR_PAIR):
    worst = deviation_of_lift(HR_PAIR)
    if worst < EXACT_LIFT:
      return "right", (
        f"HR {size} lifts into the LR family (exact to {worst:.0e}), so LR has all of its "
        "representation power"
      )
    return "loose", f"open: HR {size} differs from its lift into the LR family by {worst:.0e}"
  side, missing = tied_share(_kernel_size(HR_PAIR), scale, k)
  layers = compare_layers(size, lr_size, f"{side}x{side}" if side > k else None, missing)
  maps, depth, tied_size = (
    HR_PAIR.layers[-1].inputs.hr,
    len(HR_PAIR.layers) - 2,
    scale * (k - 1) + 1,
  )
  tied = hr_network(scale, maps, depth, tied_size, upsampling="transposed_conv")
  worst = deviation_of_lift(tied)
  contained = _is_subset(tied) and worst < EXACT_LIFT
  neither = neither_contains_the_other().is_shown
  whole = f"{'neither' if neither else 'whether one'} of the whole networks contains the other"
  return "loose", (
    f"{layers}; {whole}{'' if neither else ' is open'}, and which is better is an empirical "
    f"question; HR {tied_size}x{tied_size} with a learned front is "
    f"{'' if contained else 'not shown to be '}a subset of LR (its lift deviates by {worst:.0e})"
  )


def _kernel_size(network: Network) -> int:
  """The side of the last layer's kernel, and of hidden ones, in pixels of its grid."""
  return network.layers[-1].hr_kernel_size or network.layers[-1].kernel_size


def _is_subset(network: Network) -> bool:
  """Whether the layers of a lifted HR network are those of the LR network."""
  return lifted(network).layers == LR_PAIR.layers


CHECKS: tuple[tuple[str, str, Callable[[], tuple[Verdict, str]]], ...] = (
  (
    "Section 1, Fig. 2 and 3",
    "A transposed convolution is a sub-pixel convolution with the filter reversed",
    reversed_filter,
  ),
  (
    "Section 2, Fig. 4 to 7",
    "LR convolutions (o r^2, i, k, k), shuffled, and deconvolutions (o, i, k r, k r) are one",
    one_to_one,
  ),
  ("Section 1", "It holds for filters of other sizes, as f = (1, 2, 3)", other_sizes),
  (
    "Section 3",
    "At equal complexity the LR network holds r^2 times the parameters on equal information",
    equal_cost,
  ),
  ("Section 3", "The receptive fields are equal", equal_receptive_fields),
  ("Section 3", "The LR network has more representation power", more_representation_power),
)


def findings() -> list[Finding]:
  """The sentences of `CHECKS`; `same_speed` judges one more, of which the time was measured."""
  return [Finding(where, sentence, *check()) for where, sentence, check in CHECKS]


def same_speed(step_seconds: dict[str, float], device: str) -> Finding:
  """Whether equal MACs took equal time.

  Args:
    step_seconds: measured time of "lr", "hr (hr_space)" and "hr (lr_space)".
    device: on which it was measured.
  """
  lr, hr, lifted = (step_seconds[name] for name in ("lr", "hr (hr_space)", "hr (lr_space)"))
  more = budget(HR_PAIR.clone(execution="lr_space")).executed_macs / budget(HR_PAIR).macs
  evidence = (
    f"a training step of HR takes {hr / lr:.2f} times that of LR; lifted to LR space, with "
    f"{float(more):.2f} times the MACs, {lifted / lr:.2f} times that of LR (17x17 patches, batch "
    f"16, {device})"
  )
  verdict: Verdict = "right" if 0.9 < hr / lr < 1.1 else "wrong"
  return Finding("Section 3", "Both run at the same speed", verdict, evidence)
