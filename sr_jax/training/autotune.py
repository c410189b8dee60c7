"""Which form of convolution trains a population fastest on the devices at hand.

On CPU, where members are taken one by one, it is XLA's convolution or the native one. On an
accelerator, under `vmap`, the members' convolutions become grouped ones, or one batched matrix
product. Which is faster depends on shapes and device, so that it is measured.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
from jax.sharding import Mesh

from sr_jax.config import InputError
from sr_jax.operators import native_conv
from sr_jax.operators.native.library import UnavailableError
from sr_jax.runtime.console import log
from sr_jax.runtime.processes import all_gather, is_multiprocess
from sr_jax.training.objective import Objective
from sr_jax.training.population import Population
from sr_jax.training.sharding import MEMBER, one_by_one
from sr_jax.training.timing import gradient_call, seconds_a_step

CPU_FORMS = {"xla": "canonical", "native": "native"}  # by the name of the convolution
CONVOLUTIONS = ("auto", *CPU_FORMS)
BATCHED_FORMS = ("plain", "matrix_product")
SECONDS = 0.05  # of measuring each form, in each of several rounds


def forms_of(convolution: str, precision: str, mesh: Mesh) -> tuple[str, ...]:
  """The forms of convolution that populations on a mesh may have, of `CONVOLUTIONS`.

  Compiles the native one if this is its first use. Where one process cannot, none takes it.

  Raises:
    InputError: the native convolution is demanded, and not available here.
  """
  if not one_by_one(mesh):
    if convolution == "native":
      raise InputError("--convolution=native is a convolution for CPUs; leave it at auto here")
    return BATCHED_FORMS
  if convolution != "xla" and (reason := _why_not_native(precision)):
    if convolution == "native":
      raise InputError(f"--convolution=native is not available here: {reason}")
    log(f"XLA's convolution is used; the native one is not available here: {reason}")
    convolution = "xla"
  return tuple(CPU_FORMS.values()) if convolution == "auto" else (CPU_FORMS[convolution],)


def _why_not_native(precision: str) -> str:
  """Why this process or another one cannot use the native convolution; empty where all can."""
  if precision == "bfloat16":
    return "it computes in float32, not in --precision=bfloat16"

  def reason() -> str:
    try:
      native_conv.register()
    except UnavailableError as error:
      return str(error)
    return ""

  return next(filter(None, all_gather(reason)), "")


def form_seconds(
  populations: Mapping[str, Population],
  batch: int,
  patch: int,
  forms: Sequence[str],
  objective: Objective | None = None,
) -> dict[str, dict[str, float]]:
  """Seconds of a member's gradients, by population and by form of convolution that it can have.

  On CPU a device takes one member for it, elsewhere the whole population.

  Args:
    populations: to measure with, which take turns; their states are left unchanged.
    batch: patches in a batch.
    patch: side of a patch in LR pixels.
    forms: of convolution, to measure.
    objective: that they learn; of None super-resolution of photographs.

  Raises:
    JaxRuntimeError: a population cannot be trained in any form.
  """
  calls: dict[str, Callable[[int], None]] = {}
  by_form: dict[str, dict[str, float]] = {name: {} for name in populations}
  counts: dict[str, int] = {}
  for name, population in populations.items():
    mesh = population.mesh
    counts[name] = mesh.shape[MEMBER] if one_by_one(mesh) else len(population.members.seed)
    for form in forms:
      computation = population.computation._replace(form=form)
      timed = population._replace(computation=computation)
      call = gradient_call(timed, counts[name], batch, patch, objective)
      try:
        call(1)
      except jax.errors.JaxRuntimeError as error:
        if is_multiprocess():  # in the other processes it may have run
          raise
        failure = error  # such as windows that do not fit the memory
      else:
        calls[f"{form} {name}"] = call
    if not any(key.endswith(f" {name}") for key in calls):
      raise failure
  for key, seconds in seconds_a_step(calls, SECONDS).items():
    form, _, name = key.partition(" ")
    by_form[name][form] = seconds / counts[name]
  return by_form
