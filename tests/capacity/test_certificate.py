import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import capacity
from experiments.capacity import Config
from sr_jax.capacity import certificate, certificate_report
from sr_jax.capacity.bounded_jacobian import TANH, inputs_of, random_stack, rows_of_image
from sr_jax.capacity.certificate import certify
from sr_jax.data.sources import Photos
from sr_jax.networks import hr_network, lr_network, upscale
from sr_jax.networks.budget import budget
from sr_jax.networks.pair import lifted

LR = lr_network(features=4, depth=1)
UNTIED = hr_network(features=1, depth=1, upsampling="transposed_conv", untied=True)
LIFT = lifted(hr_network(features=1, depth=1))
SIDE = 4


@pytest.fixture
def image():
  return np.random.default_rng(0).integers(0, 1025, (1, SIDE, SIDE, 1)) / 1024


@pytest.mark.parametrize("network", [LR, UNTIED, LIFT], ids=["lr", "untied", "lift"])
def test_the_rows_are_the_derivative_of_the_network(network, image):
  with jax.enable_x64():
    stack, own = random_stack(network, 0)
    rows = rows_of_image(stack, inputs_of(network, jnp.asarray(image)))
    weights = [leaf for pair in zip(stack.kernels, stack.biases, strict=True) for leaf in pair]
    assert budget(network).parameters == len(own)
    # All other weights are zero.
    np.testing.assert_array_equal(np.flatnonzero(np.concatenate(list(map(np.ravel, weights)))), own)
    in_lr_space = lifted(network)
    names = [layer.name for layer in in_lr_space.layers]

    def outputs(kernels, biases):
      leaves = zip(names, kernels, biases, strict=True)
      return upscale(
        in_lr_space, {n: {"kernel": k, "bias": b} for n, k, b in leaves}, jnp.asarray(image)
      )

    by_kernel, by_bias = jax.jacrev(outputs, (0, 1))(stack.kernels, stack.biases)
    blocks = [d for pair in zip(by_kernel, by_bias, strict=True) for d in pair]
    expected = np.concatenate([np.reshape(d, (4 * SIDE**2, -1)) for d in blocks], axis=1)
  by_phase = expected.reshape(SIDE, 2, SIDE, 2, -1).swapaxes(1, 2).reshape(expected.shape)
  np.testing.assert_allclose(rows.values, by_phase, atol=1e-13)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_errors_of_single_precision_are_within_their_bounds(activation, image):
  network = lr_network(features=4, depth=2, activation=activation)
  with jax.enable_x64():
    stack, _ = random_stack(network, 0)
    # Parameters that single precision holds, so that its results are roundings of the exact ones.
    single = [[leaf.astype("f").astype("d") for leaf in leaves] for leaves in stack[:2]]
    stack = stack._replace(kernels=single[0], biases=single[1])
    x = jnp.asarray(image - 0.5)
    rounded, exact = rows_of_image(stack, x.astype("f")), rows_of_image(stack, x)
    assert rounded.values.dtype == "float32"
    error = np.abs(np.asarray(rounded.values, "d") - np.asarray(exact.values))
  bounds = np.asarray(rounded.errors, "d")
  assert rounded.clearance > 1
  assert np.all(error <= bounds)
  assert error.max() > 0
  # They are not so wide as to say nothing.
  assert np.linalg.norm(bounds) < 1e-3 * np.linalg.norm(exact.values)


def test_tanh_is_as_exact_as_is_assumed(optimised):
  del optimised
  x = np.concatenate([np.linspace(-20, 20, 200_001), np.logspace(-300, 1, 10_000)])
  with jax.enable_x64():
    y = np.asarray(jax.jit(jnp.tanh)(x))
  exact = np.tanh(x.astype(np.longdouble))
  if np.finfo(np.longdouble).eps > 1e-18:
    pytest.skip("there is no type more exact than double precision")
  assert np.all(np.abs(y - exact) <= TANH / 2 * 2.0**-53 * np.abs(exact))


def test_a_rank_is_shown_up_to_the_rank_and_not_beyond():
  # ReLU lets each of 8 hidden units trade scale between the weights before and after it: of 400
  # columns no more than 392 are independent.
  network = lr_network(features=4, depth=1)
  assert certify(network, 300, images=12, side=6).rank == 300
  shown = certify(network, 393, images=12, side=6)
  assert shown.rank == 0
  assert shown.ratio == 0
  smooth = certify(lr_network(features=4, depth=1, activation="tanh"), 400, images=12, side=6)
  assert smooth.rank == smooth.parameters == 400
  assert smooth.clearance is None
  assert smooth.ratio > 10


def test_the_smallest_singular_value_is_that_of_the_scaled_columns():
  rng = np.random.default_rng(0)
  matrix = rng.standard_normal((40, 20))
  exact = np.linalg.svd(matrix, compute_uv=False)[-1]
  gram = np.asfortranarray(matrix.T @ matrix)
  smallest = certificate._smallest_singular_value(gram.copy(order="F"), 1e-8)
  assert smallest == pytest.approx(exact, rel=1e-3)
  assert certificate._smallest_singular_value(gram.copy(order="F"), 1.01 * exact**2) is None
  gram[0, 0] = np.nan
  assert certificate._smallest_singular_value(gram, 1e-8) is None


def test_errors_that_are_too_large_show_nothing(monkeypatch):
  assert certify(LR, 50, images=2).rank == 50
  exact = certificate.rows_of_image

  def rough(stack, x):
    rows = exact(stack, x)
    return rows._replace(errors=rows.errors + 0.1 * abs(rows.values))

  monkeypatch.setattr(certificate, "rows_of_image", rough)
  assert certify(LR, 50, images=2).rank == 0

  def at_a_kink(stack, x):
    return exact(stack, x)._replace(clearance=np.float64(0.9))

  monkeypatch.setattr(certificate, "rows_of_image", at_a_kink)
  assert certify(LR, 50, images=2).rank == 0


def test_networks_that_the_argument_is_not_about_are_refused():
  tied = hr_network(features=1, depth=1, upsampling="transposed_conv")
  with pytest.raises(ValueError, match="weights are tied over phases"):
    certify(tied, 10)
  with pytest.raises(ValueError, match="no plain sequence"):
    certify(lr_network(features=4, depth=1).clone(contrast=2.0), 10)
  with pytest.raises(ValueError, match="parameters move an output of the first image, fewer than"):
    certify(LR, 401)


def test_the_part_says_what_is_excluded(monkeypatch):
  monkeypatch.setattr(capacity, "CERTIFIED", 4)
  small = functools.partial(capacity.note_networks, depth=1)
  monkeypatch.setattr(capacity, "note_networks", small)
  monkeypatch.setattr(certificate, "certify", functools.partial(certify, images=3))
  measured = capacity.measure_certificate(Config(parts=("certificate",)), Photos([], [], {}, []))
  assert measured["smaller"] == {"hr": 100, "hr_learned": 175, "lr_tied": 153}
  for networks in measured["shown"].values():
    assert {shown["rank"] for shown in networks.values()} == {176}
  text = certificate_report.sentence(measured)
  assert (
    "LR: rank of at least 176, so none of HR (100 parameters; relu and tanh), HR learned" in text
  )
  measured["shown"]["tanh"]["lr"]["rank"] = 0
  for activation in ("relu", "tanh"):
    measured["shown"][activation]["hr_untied"]["rank"] = 0
  text = certificate_report.sentence(measured)
  assert "LR: rank of at least 0 to 176, so none of HR (100 parameters; relu)" in text
  assert "HR untied: rank of at least 0, so nothing is excluded" in text
  assert certificate_report.rows(measured)[3][4] == "not shown"
