"""The numbers of one training step: they change only when training itself does."""

import numpy as np
import pytest

from sr_jax.data import patches
from sr_jax.data.images import make_pair
from sr_jax.networks import hr_network, lr_network
from sr_jax.training import population
from sr_jax.training.sharding import make_mesh, replicate

PATCH, BATCH, STEPS = 6, 4, 30
PHOTO = np.random.default_rng(0).integers(0, 256, (32, 40), np.uint8)
GOLDEN = {  # mean squared error on the batch of step 0, before that step and after it
  "lr": (0.06737677, 0.06598519),
  "hr": (0.06744282, 0.06696731),
}


@pytest.mark.parametrize(
  ("name", "network"),
  [("lr", lr_network(features=8, depth=1)), ("hr", hr_network(features=2, depth=1))],
)
def test_one_step_gives_the_golden_losses(name, network):
  mesh = make_mesh(1, BATCH, "member:1")
  members = replicate(mesh, population.make_members([0], [3e-2]))
  store = replicate(mesh, patches.make_store([make_pair("noise", PHOTO, 2)], PATCH))
  state = population.initialise(network, name, members, mesh)
  train_steps = population.make_train_steps(network, BATCH, PATCH, mesh)
  state, before = train_steps(state, members, store, 0, 1, STEPS)
  _, after = train_steps(state, members, store, 0, 1, STEPS)
  losses = float(before[0]), float(after[0])
  assert losses == pytest.approx(GOLDEN[name], rel=1e-4), (
    f"One training step of {name} now gives the losses {losses}, not {GOLDEN[name]}. If the "
    "initialisation, the batches, the loss or the optimiser was meant to change, put the new "
    "numbers into GOLDEN and say in the commit what changed; results of earlier revisions are then "
    "no longer reproduced. If not, find the change with `git bisect`."
  )
