"""Which form of convolution trains a population fastest on the accelerator at hand.

Under `vmap` the members' convolutions become grouped ones, or one batched matrix product: which is
faster depends on shapes and device, so that it is measured. On CPU, where members are taken one by
one, the canonical form has won at every shape that was measured.
"""

import jax
from jax.sharding import Mesh

from sr_jax.data.patches import Store
from sr_jax.networks import Network
from sr_jax.operators.conv import Computation
from sr_jax.runtime.processes import is_multiprocess
from sr_jax.training.population import Members, State, make_train_steps
from sr_jax.training.sharding import one_by_one
from sr_jax.training.timing import seconds_a_step, training_call

BATCHED_FORMS = ("plain", "matrix_product")
SECONDS = 0.3  # of measuring each form


def fastest_form(
  precision: str,
  network: Network,
  batch: int,
  patch: int,
  state: State,
  members: Members,
  store: Store,
  mesh: Mesh,
) -> Computation:
  """The computation that trains a population fastest; without measuring where there is one only."""
  if one_by_one(mesh):
    return Computation("canonical", precision)
  seconds = form_seconds(precision, network, batch, patch, state, members, store, mesh)
  return Computation(min(seconds, key=lambda form: seconds[form]), precision)


def form_seconds(
  precision: str,
  network: Network,
  batch: int,
  patch: int,
  state: State,
  members: Members,
  store: Store,
  mesh: Mesh,
) -> dict[str, float]:
  """Seconds of a training step by form of convolution, of those that the device can run.

  Args:
    precision: of products, from the recipe.
    network: of the population.
    batch: patches in a batch.
    patch: side of a patch in LR pixels.
    state: a population to measure with; it is left as it is.
    members: who is in it.
    store: the training images on the mesh.
    mesh: where the population is.

  Raises:
    JaxRuntimeError: no form can be run.
  """
  seconds: dict[str, float] = {}
  for form in BATCHED_FORMS:
    computation = Computation(form, precision)
    train_steps = make_train_steps(network, batch, patch, mesh, computation)
    call = training_call(train_steps, state, members, store)
    try:
      seconds |= seconds_a_step({form: call}, SECONDS, rounds=1)
    except jax.errors.JaxRuntimeError as error:
      if is_multiprocess():  # others may not have failed
        raise
      failed = error  # say, windows that do not fit the memory
  if not seconds:
    raise failed
  return seconds
