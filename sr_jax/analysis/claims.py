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

from sr_jax.budget import budget, note_pair
from sr_jax.networks import HRNetwork, LiftedNetwork, LRNetwork, lift_network, upscale
from sr_jax.operators.conv import conv, same_padding
from sr_jax.operators.conversion import deconv_to_lr, lr_to_deconv
from sr_jax.operators.lifting import lift_conv
from sr_jax.operators.shuffle import depth_to_space
from sr_jax.operators.upsampling import sub_pixel_conv, transposed_conv, zero_insertion_conv

Verdict = Literal["right", "right when", "loose", "wrong"]
EXACT = 1e-12  # of float64 sums in another order
LARGEST = 12  # kernel whose correspondence is looked at for every crop

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

    def deviations(x: jax.Array, kernel: jax.Array) -> list[jax.Array]:
      forms = [f(x, kernel, scale, padding) for f in (zero_insertion_conv, sub_pixel_conv)]
      exact = transposed_conv(x, kernel, scale, padding)
      return [jnp.abs(form - exact).max() for form in forms]

    return max(map(float, jax.jit(deviations)(x, kernel)))


def _exact(deviation: float, what: str, tolerance: float = EXACT) -> str:
  """The deviation as text.

  Raises:
    ArithmeticError: it is no rounding error: then this project is wrong, not the note.
  """
  if not deviation < tolerance:
    raise ArithmeticError(f"{what} deviates by {deviation:.1e}: a bug of the operators")
  return f"{deviation:.0e}"


def reversed_filter() -> tuple[Verdict, str]:
  """Transposed convolution against sub-pixel convolution on many layers."""
  layers = list(itertools.product((1, 2, 3), (2, 3), (2, 3, 4), (0, 1)))
  worst = max(deviation_of_three_implementations(*layer) for layer in layers)
  shown = _exact(worst, "a transposed convolution as a sub-pixel convolution")
  return "right", (
    f"with padding q = K - 1 - p; largest difference over {len(layers)} layers of 1 to 3 axes: "
    f"{shown}"
  )


def deviation_of_lr_form(axes: int, scale: int, size: int, low: int) -> float:
  """Largest difference between a random layer and the shuffled LR convolution of its kernel."""
  with jax.enable_x64():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((1, *(4,) * axes, 2)))
    kernel = jnp.asarray(rng.standard_normal((*(size,) * axes, 2, 3)))
    padding = ((low, low),) * axes

    def deviation(x: jax.Array, kernel: jax.Array) -> jax.Array:
      lr_kernel, lr_padding, _ = deconv_to_lr(kernel, scale, padding)
      y = transposed_conv(x, kernel, scale, padding)
      form = depth_to_space(conv(x, lr_kernel, lr_padding), scale)
      return jnp.abs(form[tuple(slice(length) for length in y.shape)] - y).max()

    return float(jax.jit(deviation)(x, kernel))


def one_to_one() -> tuple[Verdict, str]:
  """For which kernels and crops is the correspondence one to one, without structural zeros?"""
  cases = [(r, K, p) for r in (2, 3, 4) for K in range(r, LARGEST + 1) for p in range(K)]
  dense = set()
  for scale, size, low in cases:
    kernel = np.arange(1.0, size + 1, dtype=np.float32)[:, None, None]
    form = deconv_to_lr(kernel, scale, ((low, 0),))
    back, _ = lr_to_deconv(form[0], scale, *form[1:])
    if form[0].size == kernel.size and np.array_equal(back, kernel):
      dense.add((scale, size, low))
  checked = [
    (axes, r, k * r, p) for axes in (1, 2, 3) for r in (2, 3) for k in (2, 3) for p in (0, r)
  ]
  worst = max(deviation_of_lr_form(*layer) for layer in checked)
  shown = _exact(worst, "an LR convolution and a shuffle as the deconvolution")
  aligned = {(r, K, p) for r, K, p in cases if K % r == 0 and p % r == 0}
  rule = "exactly those" if dense == aligned else f"not those ({len(dense & aligned)} of them)"
  evidence = (
    f"the one always is the other, in 1 to 3 axes to {shown}; one to one, bit for bit, in "
    f"{len(dense)} of {len(cases)} (r, K, p0), {rule} with K = k r and p0 = 0 mod r; elsewhere the "
    "LR kernel has taps that must stay zero"
  )
  return ("right" if len(dense) == len(cases) else "right when"), evidence


def other_sizes() -> tuple[Verdict, str]:
  """Kernels whose size is not a multiple of the scale, as the note's f = (1, 2, 3)."""
  layers = [(1, r, K, 0) for r in (2, 3, 4) for K in range(1, 10) if K % r]
  worst = max(deviation_of_three_implementations(*layer) for layer in layers)
  shown = _exact(worst, "a filter of another size")
  lr_kernel, _, _ = deconv_to_lr(np.array([1.0, 2, 3], np.float32)[:, None, None], 2, ((0, 0),))
  zeros = int((np.asarray(lr_kernel) == 0).sum())
  return "right", (
    f"largest difference over {len(layers)} sizes: {shown}; an injection, not onto: f = (1, 2, 3) "
    f"fills {lr_kernel.size - zeros} of {lr_kernel.size} taps"
  )


def equal_cost() -> tuple[Verdict, str]:
  """MACs, activations and parameters of the note's pair of networks, at three scales."""
  holds, said = True, []
  for scale, features in ((LR_PAIR.scale, LR_PAIR.features), (3, 36), (4, 64)):
    network = LR_PAIR.clone(scale=scale, features=features)
    if scale == LR_PAIR.scale:
      partner = HR_PAIR
    else:
      maps, kernel_size = note_pair(network, 0.0)
      partner = HR_PAIR.clone(scale=scale, features=maps, kernel_size=kernel_size)
    lr, hr = budget(network), budget(partner)
    ratio = lr.parameters / hr.parameters
    holds &= lr.macs == hr.macs and lr.activations == hr.activations
    holds &= abs(ratio / scale**2 - 1) < 0.01
    said.append(
      f"r = {scale}: {float(lr.macs):g} and {float(hr.macs):g} MACs, {float(lr.activations):g} and "
      f"{float(hr.activations):g} activations a HR pixel, {ratio:.4g} times the parameters"
    )
  return ("right" if holds else "wrong"), "; ".join(said)


def equal_receptive_fields() -> tuple[Verdict, str]:
  """One layer, then stacks of them."""
  sides = {}
  for depth in (1, 2, 4):
    lr = LR_PAIR.scale * (1 + depth * (LR_PAIR.kernel_size - 1))
    sides[depth] = (lr, 1 + depth * (HR_PAIR.kernel_size - 1))
  whole = (budget(LR_PAIR).receptive_field, budget(HR_PAIR).receptive_field)
  evidence = "; ".join(f"depth {d}: {a} and {b} HR pixels" for d, (a, b) in sides.items())
  evidence += f"; whole networks, bicubic included: {whole[0]} and {whole[1]}"
  if sides[1][0] != sides[1][1]:
    return "wrong", evidence
  if all(a == b for a, b in sides.values()):
    return "right", evidence
  return "right when", f"it is one layer, not a stack: {evidence}"


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


def tied_share(kernel_size: int, scale: int, lr_kernel_size: int) -> tuple[int, float]:
  """How one HR layer and one LR layer of a map a phase overlap, measured by linear algebra.

  Returns:
    how many LR pixels a side a lifted random HR kernel really uses, and which part (0 to 1) of a
    random LR kernel no lifted HR kernel reproduces.
  """
  with jax.enable_x64():
    taps, phases = kernel_size**2, scale**2
    padding = (same_padding(kernel_size),) * 2
    basis = jnp.eye(taps).reshape(kernel_size, kernel_size, 1, taps)
    lr_basis, _ = lift_conv(basis, scale, padding)
    side = lr_basis.shape[0]
    lifted = np.asarray(lr_basis).reshape(side, side, phases, phases, taps)
    used = np.flatnonzero(np.abs(lifted).sum(axis=(1, 2, 3, 4)))
    room = max(side, lr_kernel_size)
    rng = np.random.default_rng(0)
    wanted = np.zeros((room, room, phases, phases))
    edge = (room - lr_kernel_size) // 2
    window = slice(edge, edge + lr_kernel_size)
    wanted[window, window] = rng.standard_normal((lr_kernel_size, lr_kernel_size, phases, phases))
    padded = np.zeros((room, room, phases, phases, taps))
    padded[:side, :side] = lifted
    family = padded.reshape(-1, taps)
    nearest = family @ np.linalg.lstsq(family, wanted.ravel(), rcond=None)[0]
    missing = np.linalg.norm(wanted.ravel() - nearest) / np.linalg.norm(wanted)
    return int(used[-1] - used[0] + 1), float(missing)


def more_representation_power() -> tuple[Verdict, str]:
  """Does the LR family contain the HR family? The lift says exactly when."""
  scale, k = LR_PAIR.scale, LR_PAIR.kernel_size
  tied = HR_PAIR.clone(kernel_size=scale * (k - 1) + 1, upsampling="transposed_conv")
  worst = _exact(max(deviation_of_lift(tied), deviation_of_lift(HR_PAIR)), "the lift", 1e-10)
  size = f"{HR_PAIR.kernel_size}x{HR_PAIR.kernel_size}"
  if LiftedNetwork(HR_PAIR).layers == LR_PAIR.layers:
    return "right", f"HR {size} lifts into the LR family (exact to {worst})"
  needed, missing = tied_share(HR_PAIR.kernel_size, scale, k)
  subset = LiftedNetwork(tied).layers == LR_PAIR.layers
  return "loose", (
    f"a lifted HR layer of {size} uses {needed}x{needed} LR pixels, an LR layer has {k}x{k}, and "
    f"{missing:.0%} of a random one no HR layer of {size} reproduces, so neither network contains "
    f"the other and the question is empirical; HR {tied.kernel_size}x{tied.kernel_size} with a "
    f"learned front is {'' if subset else 'not '}a subset of LR (lift exact to {worst})"
  )


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
  """Every sentence checked, but the one about speed, which `same_speed` judges."""
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
