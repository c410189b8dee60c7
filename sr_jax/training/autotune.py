"""Which form of convolution trains a population fastest on the accelerator at hand.

Under `vmap` the members' convolutions become grouped ones, or one batched matrix product: which is
faster depends on shapes and device, so that it is measured. On CPU, where members are taken one by
one, the canonical form has won at every shape that was measured.
"""

import jax

from sr_jax.data.patches import Store
from sr_jax.runtime.processes import is_multiprocess
from sr_jax.training.population import Population
from sr_jax.training.timing import call_of, seconds_a_step

BATCHED_FORMS = ("plain", "matrix_product")
SECONDS = 0.3  # of measuring each form


def form_seconds(population: Population, store: Store, batch: int, patch: int) -> dict[str, float]:
  """Seconds of a training step by form of convolution, of those that the device can run.

  Args:
    population: to measure with; its state is left unchanged.
    store: the training images, from `sharding.upload`.
    batch: patches in a batch.
    patch: side of a patch in LR pixels.

  Raises:
    JaxRuntimeError: no form can be run.
  """
  seconds: dict[str, float] = {}
  for form in BATCHED_FORMS:
    computation = population.computation._replace(form=form)
    call = call_of(population._replace(computation=computation), store, batch, patch)
    try:
      seconds |= seconds_a_step({form: call}, SECONDS, rounds=1)
    except jax.errors.JaxRuntimeError as error:
      if is_multiprocess():  # in the other processes it may have run
        raise
      failure = error  # such as windows that do not fit the memory
  if not seconds:
    raise failure
  return seconds
