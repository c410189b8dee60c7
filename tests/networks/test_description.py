import json

import pytest

from sr_jax.config import InputError
from sr_jax.networks import ESPCN, FSRCNN, SRCNN, HRNetwork, LRNetwork, build, describe


@pytest.mark.parametrize(
  "network",
  [
    LRNetwork(features=5, bicubic_skip=False),
    HRNetwork(upsampling="transposed_conv", execution="lr_space", untied=True),
    ESPCN(3, padding="valid", activation="relu"),
    SRCNN(2, padding="same"),
    FSRCNN(4),
  ],
)
def test_a_described_network_is_built_again(network):
  assert build(json.loads(json.dumps(describe(network)))) == network


@pytest.mark.parametrize("description", [{}, {"kind": "VDSR"}, {"kind": "SRCNN", "width": 3}])
def test_an_unknown_network_is_refused(description):
  with pytest.raises(InputError, match="this version of sr_jax has no network like"):
    build(description)
