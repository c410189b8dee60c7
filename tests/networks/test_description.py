import json

import jax
import jax.numpy as jnp
import pytest

from sr_jax.config import InputError
from sr_jax.networks import Maps, build, describe, espcn, fsrcnn, hr_network, lr_network, srcnn
from sr_jax.networks.pair import lifted, scheduled_network

NETWORKS = {
  "lr": lr_network(features=5, bicubic_skip=False),
  "hr": hr_network(upsampling="transposed_conv", execution="lr_space", untied=True),
  "espcn": espcn(3, padding="valid", activation="relu"),
  "srcnn": srcnn(2, padding="same"),
  "fsrcnn": fsrcnn(4),
  "schedule": scheduled_network(3, [Maps(9, 1), Maps(0, 2), Maps(18)], hr_kernel_size=8, dims=1),
  "hr-image": scheduled_network(
    2,
    [Maps(8), Maps(hr=2)],
    bicubic_skip=False,
    identity_skip=True,
    inputs=Maps(hr=3),
    target=Maps(hr=3),
    resize="linear",
    mid_input=0.25,
    mid_output=0.25,
  ),
  "lifted": lifted(hr_network(depth=1)),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_described_network_is_built_again(network):
  assert build(json.loads(json.dumps(describe(network)))) == network


# What checkpoints from before the family hold.
OLD = {
  "LRNetwork": (
    {"scale": 3, "features": 5, "depth": 1, "kernel_size": 3, "first_kernel_size": 5}
    | {"activation": "relu", "bicubic_skip": False},
    lr_network(3, 5, 1, bicubic_skip=False),
    {"first": (5, 5, 1, 5), "hidden_0": (3, 3, 5, 5), "last": (3, 3, 5, 9)},
  ),
  "HRNetwork": (
    {"scale": 2, "features": 3, "depth": 1, "kernel_size": 6, "first_kernel_size": 5}
    | {"activation": "tanh", "bicubic_skip": True, "upsampling": "transposed_conv"}
    | {"execution": "lr_space", "untied": True},
    hr_network(2, 3, 1, 6, 5, "tanh", True, "transposed_conv", "lr_space", True),
    {"transposed": (5, 5, 1, 12), "hidden_0": (6, 6, 3, 12), "last": (6, 6, 3, 4)},
  ),
  "ESPCN": (
    {"scale": 3, "features": [8, 4], "activation": "tanh", "padding": "valid"},
    espcn(3, (8, 4)),
    {"first": (5, 5, 1, 8), "hidden_0": (3, 3, 8, 4), "last": (3, 3, 4, 9)},
  ),
  "SRCNN": (
    {"scale": 2, "features": [8, 4], "padding": "same"},
    srcnn(2, (8, 4), padding="same"),
    {"first": (9, 9, 1, 8), "hidden_0": (1, 1, 8, 4), "last": (5, 5, 4, 1)},
  ),
  "FSRCNN": (
    {"scale": 2, "features": [6, 3], "depth": 1, "padding": "valid"},
    fsrcnn(2, (6, 3), 1),
    {"first": (5, 5, 1, 6), "shrink": (1, 1, 6, 3), "hidden_0": (3, 3, 3, 3)}
    | {"expand": (1, 1, 3, 6), "transposed": (9, 9, 6, 1)},
  ),
}


@pytest.mark.parametrize("kind", OLD)
def test_a_network_described_before_the_family_is_built_with_the_parameters_it_had(kind):
  fields, expected, kernels = OLD[kind]
  network = build({"kind": kind, **fields})
  assert network == expected
  params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 24, 24, 1)))["params"]
  assert {name: layer["kernel"].shape for name, layer in params.items()} == kernels


@pytest.mark.parametrize(
  "description",
  [
    {},
    {"kind": "VDSR"},
    {"kind": "SRCNN", "width": 3},
    {**describe(srcnn()), "layers": [{"name": "first"}]},
    {**describe(srcnn()), "layers": describe(espcn())["layers"][::-1]},
  ],
  ids=["empty", "unknown", "field", "layer", "order"],
)
def test_an_unknown_network_is_refused(description):
  with pytest.raises(InputError, match="this version of sr_jax has no network like"):
    build(description)
