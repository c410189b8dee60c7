"""What the note says (arXiv 1609.07009), sentence by sentence, and what a computation finds.

Each check measures in float64 and returns a verdict with its evidence; nothing is typed in.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from sr_jax.budget import budget
from sr_jax.networks import HRNetwork, LiftedNetwork, LRNetwork, lift_network, upscale
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv
from sr_jax.operators.lifting import fits
from sr_jax.operators.upsampling import sub_pixel_conv, transposed_conv, zero_insertion_conv

Verdict = Literal["right", "right when", "loose", "wrong"]
EXACT = 1e-12  # of float64 sums in another order

LR_PAIR, HR_PAIR = LRNetwork(), HRNetwork()  # the note's Section 3: 32 maps 3x3, 8 maps 6x6


@dataclasses.dataclass(frozen=True)
class Finding:
  """A sentence of the note and what was found of it."""

  where: str
  sentence: str
  verdict: Verdict
  evidence: str


def deviation_of_three_implementations(axes: int, scale: int, size: int, low: int) -> float:
  """Largest difference between the three forms of one random layer, in float64."""
  with jax.enable_x64():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, *(5,) * axes, 3)))
    kernel = jnp.asarray(rng.standard_normal((*(size,) * axes, 3, 2)))
    padding = ((low, size - 1 - low),) * axes
    forms = [f(x, kernel, scale, padding) for f in (zero_insertion_conv, sub_pixel_conv)]
    exact = transposed_conv(x, kernel, scale, padding)
    return max(float(jnp.abs(form - exact).max()) for form in forms)


def reversed_filter() -> tuple[Verdict, str]:
  """Transposed convolution against sub-pixel convolution on many layers."""
  layers = list(itertools.product((1, 2, 3), (2, 3), (2, 3, 4), (0, 1)))
  worst = max(deviation_of_three_implementations(*layer) for layer in layers)
  evidence = f"largest difference over {len(layers)} layers of 1 to 3 axes: {worst:.0e}"
  return ("right" if worst < EXACT else "wrong"), evidence


def one_to_one() -> tuple[Verdict, str]:
  """For which kernels and crops is the correspondence one to one, without structural zeros?"""
  cases = [(r, K, p) for r in (2, 3, 4) for K in range(r, 13) for p in range(K)]
  dense, round_trips = set(), True
  for scale, size, low in cases:
    kernel = np.arange(1.0, size + 1, dtype=np.float32)[:, None, None]
    form = deconv_to_lr(kernel, scale, ((low, 0),))
    back, _ = lr_to_deconv(form[0], scale, *form[1:])
    if form[0].size == kernel.size:
      dense.add((scale, size, low))
      round_trips = round_trips and np.array_equal(back, kernel)
  aligned = {(r, K, p) for r, K, p in cases if K % r == 0 and p % r == 0}
  evidence = (
    f"one to one, bit for bit, in {len(dense)} of {len(cases)} (r, K, p0): exactly those with "
    "K = k r and p0 = 0 mod r; elsewhere the LR kernel has taps that must stay zero"
  )
  if dense != aligned or not round_trips:
    return "wrong", f"one to one in {len(dense)} cases, of which {len(dense & aligned)} aligned"
  return ("right when" if len(dense) < len(cases) else "right"), evidence


def other_sizes() -> tuple[Verdict, str]:
  """Kernels whose size is not a multiple of the scale, as the note's f = (1, 2, 3)."""
  layers = [(1, r, K, 0) for r in (2, 3, 4) for K in range(1, 10) if K % r]
  worst = max(deviation_of_three_implementations(*layer) for layer in layers)
  lr_kernel, _, _ = deconv_to_lr(np.array([1.0, 2, 3], np.float32)[:, None, None], 2, ((0, 0),))
  zeros = int((np.asarray(lr_kernel) == 0).sum())
  evidence = (
    f"largest difference over {len(layers)} sizes: {worst:.0e}; f = (1, 2, 3) fills "
    f"{lr_kernel.size - zeros} of {lr_kernel.size} taps"
  )
  return ("right" if worst < EXACT else "wrong"), evidence


def equal_cost() -> tuple[Verdict, str]:
  """MACs, activations and parameters of the note's two networks."""
  lr, hr = budget(LR_PAIR), budget(HR_PAIR)
  weights = [
    sum(layer.kernel_size**2 * layer.inputs * layer.outputs for layer in network.layers[1:-1])
    for network in (LR_PAIR, HR_PAIR)
  ]
  same = lr.macs == hr.macs and lr.activations == hr.activations
  evidence = (
    f"{float(lr.macs):g} and {float(hr.macs):g} MACs, {float(lr.activations):g} and "
    f"{float(hr.activations):g} activations a HR pixel; {weights[0] / weights[1]:g} times the "
    "hidden weights"
  )
  return ("right" if same and weights[0] == LR_PAIR.scale**2 * weights[1] else "wrong"), evidence


def equal_receptive_fields() -> tuple[Verdict, str]:
  """One layer, then stacks of them."""
  sides = {}
  for depth in (1, 2, 4):
    lr = LR_PAIR.scale * (1 + depth * (LR_PAIR.kernel_size - 1))
    sides[depth] = (lr, 1 + depth * (HR_PAIR.kernel_size - 1))
  evidence = "; ".join(
    f"{d} layer{'s' * (d > 1)}: {a} and {b} HR pixels" for d, (a, b) in sides.items()
  )
  whole = (budget(LR_PAIR).receptive_field, budget(HR_PAIR).receptive_field)
  evidence += f"; whole networks, bicubic included: {whole[0]} and {whole[1]}"
  if sides[1][0] != sides[1][1]:
    return "wrong", evidence
  return ("right" if all(a == b for a, b in sides.values()) else "right when"), (
    f"for a single layer: {evidence}"
  )


def deviation_of_lift(network: HRNetwork) -> float:
  """Largest difference between a random HR network and its lift, in float64."""
  with jax.enable_x64():
    rng = np.random.default_rng(0)
    params = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]
    params = jax.tree.map(lambda p: jnp.asarray(p + 0.1 * rng.standard_normal(p.shape)), params)
    x = jnp.asarray(rng.random((1, 9, 8, 1)))
    lifted, lr_params = lift_network(network, params)
    difference = upscale(network, params, x) - upscale(lifted, lr_params, x)
    return float(jnp.abs(difference).max())


def more_representation_power() -> tuple[Verdict, str]:
  """Does the LR family contain the HR family? The lift says exactly when."""
  scale, k = LR_PAIR.scale, LR_PAIR.kernel_size
  size = scale * (k - 1) + 1
  tied = HRNetwork(kernel_size=size, depth=LR_PAIR.depth, upsampling="transposed_conv")
  contained = LiftedNetwork(tied).layers == LR_PAIR.layers
  worst = max(deviation_of_lift(tied), deviation_of_lift(HR_PAIR))
  needed = LiftedNetwork(HR_PAIR).layers[1].kernel_size
  evidence = (
    f"HR {tied.kernel_size}x{tied.kernel_size} with a learned front is a subset of LR {k}x{k} "
    f"(lift exact to {worst:.0e}); the note's {HR_PAIR.kernel_size}x{HR_PAIR.kernel_size} lifts to "
    f"{needed}x{needed}, so neither contains the other, and the question is empirical"
  )
  if worst > 1e-10 or not contained:
    return "wrong", f"the lift deviates by {worst:.0e}"
  return ("right" if fits(HR_PAIR.kernel_size, scale, k) else "loose"), evidence


CHECKS: tuple[tuple[str, str, Callable[[], tuple[Verdict, str]]], ...] = (
  (
    "Section 1, Fig. 2 and 3",
    "A transposed convolution is a sub-pixel convolution with the filter reversed",
    reversed_filter,
  ),
  (
    "Section 2, Fig. 4 to 7",
    "A convolution (o r^2, i, k, k) in LR space and a shuffle is a deconvolution (o, i, k r, k r)",
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
  """Every sentence checked, but the one about speed, which `same_speed` judges."""
  return [Finding(where, sentence, *check()) for where, sentence, check in CHECKS]


def same_speed(step_seconds: dict[str, float]) -> Finding:
  """Whether equal MACs took equal time.

  Args:
    step_seconds: measured time of "lr", "hr", and "hr (lr_space)".
  """
  lr, hr, lifted = (step_seconds[name] for name in ("lr", "hr", "hr (lr_space)"))
  more = budget(HR_PAIR.clone(execution="lr_space")).executed_macs / budget(HR_PAIR).macs
  evidence = (
    f"at equal MACs HR takes {hr / lr:.2f} times as long as LR; lifted to LR space, with "
    f"{float(more):.2f} times the MACs, {lifted / lr:.2f} times"
  )
  verdict: Verdict = "right" if 0.9 < hr / lr < 1.1 else "wrong"
  return Finding("Section 3", "Both run at the same speed", verdict, evidence)
