"""Networks that cannot be computed are refused, with what is wrong."""

import dataclasses

import pytest

from sr_jax.networks import Maps, srcnn
from sr_jax.networks.maps import Layer
from sr_jax.networks.network import Network
from sr_jax.networks.pair import lifted, scheduled_network


def layer(name, inputs, outputs, **fields):
  return Layer(name, Maps(*inputs), Maps(*outputs), 3, 6, **fields)


def test_layers_that_do_not_fit_each_other_are_refused():
  layers = (layer("first", (1, 0), (4, 1)), layer("last", (8, 0), (0, 1)))
  with pytest.raises(
    ValueError, match=r"last reads Maps\(lr=8, hr=0\), .*first writes .*\(lr=4, h"
  ):
    Network(2, layers)


def test_names_that_it_does_not_know_are_refused():
  layers = (layer("first", (1, 0), (0, 2)), layer("last", (0, 2), (0, 1)))
  with pytest.raises(ValueError, match="execution must be hr_space or lr_space, not 'fast'"):
    Network(2, layers, execution="fast")
  with pytest.raises(ValueError, match="padding must be same or valid, not 'full'"):
    dataclasses.replace(layers[1], padding="full")
  with pytest.raises(ValueError, match="last has no activation 'gelu'"):
    dataclasses.replace(layers[1], activation="gelu")


def test_layers_that_lose_hr_pixels_must_be_padded_in_lr_space():
  layers = (layer("first", (1, 0), (4, 1)), layer("last", (4, 1), (0, 1), padding="valid"))
  with pytest.raises(ValueError, match="last must be padded in LR space: it loses HR pixels"):
    Network(2, layers)
  with pytest.raises(ValueError, match="first must be padded in LR space: it loses HR pixels"):
    srcnn().clone(execution="lr_space")


def with_identity(inputs, **fields):
  return scheduled_network(inputs=inputs, bicubic_skip=False, identity_skip=True, **fields)


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: Network(2, ()), "a network needs layers"),
    (lambda: Network(2, (layer("first", (1, 0), (4, 1)),)), "from maps of one kind"),
    (lambda: Maps(-4, 9), r"a state has no map, or a negative number.*lr=-4"),
    (lambda: Layer("last", Maps(4), Maps(4)), "last has no kernel from"),
    (lambda: Layer("last", Maps(hr=1), Maps(hr=1), 3), "last has no kernel from"),
    (
      lambda: Network(2, (layer("last", (0, 1), (0, 1)),), bicubic_skip=True),
      "bicubic_skip needs an LR image",
    ),
    (lambda: srcnn().clone(bicubic_skip=True), "layers without padding must read maps of one kind"),
    (lambda: Network(2, (layer("last", (1, 0), (3, 0)),)), "the last layer writes"),
    (lambda: layer("last", (1, 1), (0, 1), transposed_size=9), "has a transposed_size, and is not"),
    (lambda: layer("last", (1, 1), (0, 1), resize="linear"), "has a resize, and is not from LR"),
    (lambda: layer("last", (1, 0), (0, 1), resize="cubic"), "last has no resize 'cubic'"),
    (lambda: layer("last", (1, 0), (0, 1), resize="linear", tied=False), "its phases are tied"),
    (lambda: Layer("last", Maps(1), Maps(hr=1), 4, resize="nearest"), "must be odd HR pixels, not"),
    (lambda: scheduled_network(resize="nearest"), "no layer goes from LR maps alone to HR maps"),
    (lambda: scheduled_network(inputs=Maps(lr=3)), r"interpolates one LR map, .* read Maps\(lr=3"),
    (
      lambda: scheduled_network(target=Maps(hr=3)),
      r"added to one HR map, .* write Maps\(lr=0, hr=3",
    ),
    (
      lambda: scheduled_network(inputs=Maps(hr=2), bicubic_first=True),
      r"interpolates to one HR map, .* read Maps\(lr=0, hr=2",
    ),
    (
      lambda: scheduled_network(mid_output=0.0),
      "mid_input and mid_output must be equal, not 0.5 and 0$",
    ),
    (lambda: with_identity(Maps(lr=4)), r"adds the HR maps .* read Maps\(lr=4, hr=0\) and write"),
    (lambda: with_identity(Maps(hr=2)), r"adds the HR maps .* read Maps\(lr=0, hr=2\) and write"),
    (lambda: with_identity(None, bicubic_first=True), "adds the HR maps .* of an interpolation"),
    (lambda: lifted(srcnn()), "first must be padded: in LR space"),
  ],
)
def test_networks_that_cannot_be_computed_are_refused(make, message):
  with pytest.raises(ValueError, match=message):
    make()
