"""Which form of convolution trains a population fastest on the accelerator at hand.

Under `vmap` the members' convolutions become grouped ones, or one batched matrix product: which is
faster depends on shapes and device, so that it is measured, once, and kept with the run. On CPU,
where members are taken one by one, the canonical form has won at every shape that was measured.
"""

from pathlib import Path

import jax
from jax.sharding import Mesh

from sr_jax.data.patches import Store
from sr_jax.networks import Network
from sr_jax.operators.conv import Computation
from sr_jax.processes import from_first, several
from sr_jax.run_folder import read_json, write_json
from sr_jax.training.population import Members, State, make_train_steps
from sr_jax.training.sharding import one_by_one
from sr_jax.training.timing import seconds_a_step, training_call

BATCHED_FORMS = ("plain", "matrix_product")
SECONDS = 0.3  # of measuring each form


def choose(
  run_dir: Path,
  arm: str,
  precision: str,
  network: Network,
  batch: int,
  patch: int,
  state: State,
  members: Members,
  store: Store,
  mesh: Mesh,
) -> Computation:
  """The computation of a population: as the run's folder says, else measured and written there.

  Args:
    run_dir: the run's folder; `computation.json` in it holds the form of every population.
    arm: name of the arm.
    precision: of products, from the recipe.
    network: its network.
    batch: patches in a batch.
    patch: side of a patch in LR pixels.
    state: a population to measure with; it is left as it is.
    members: who they are.
    store: the training images on the mesh.
    mesh: where the population is.
  """
  if one_by_one(mesh):
    return Computation("canonical", precision)
  file = run_dir / "computation.json"
  chosen = from_first(lambda: read_json(file) if file.exists() else {})
  population = f"{arm}, {len(members.seed)} members"
  if population not in chosen:
    seconds: dict[str, float] = {}
    for form in BATCHED_FORMS:
      computation = Computation(form, precision)
      train_steps = make_train_steps(network, batch, patch, mesh, computation)
      call = training_call(train_steps, state, members, store)
      try:
        seconds |= seconds_a_step({form: call}, SECONDS, rounds=1)
      except jax.errors.JaxRuntimeError as error:
        if several():  # others may not have failed
          raise
        failed = error  # say, windows that do not fit the memory
    if not seconds:
      raise failed
    best = min(seconds, key=lambda form: seconds[form])
    chosen[population] = {"form": best, "step_seconds": seconds}
    from_first(lambda: write_json(file, chosen))
  return Computation(chosen[population]["form"], precision)
