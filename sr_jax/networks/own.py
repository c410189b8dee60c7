"""A network of the user's own: a Flax Linen or NNX module, named as `mypackage.mymodule:MyNetwork`.

It maps luminance in 0..1, `(batch, h, w, 1)`, to HR luminance, `(batch, scale * h, scale * w, 1)`,
for images of any size, and has parameters and no other state. Its module is imported because the
user named it, on a command line or in the run that is opened, and no other module is.
"""

import contextlib
import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
from flax import linen as nn
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import lax
from jax import numpy as jnp
from jax.interpreters.partial_eval import dce_jaxpr
from jaxtyping import Array, Float

from sr_jax.config import InputError
from sr_jax.networks.own_source import code_of, load_class, sentences
from sr_jax.operators.conv import conv, current

PROBE = (2, 14, 17)  # images: not square, and of an odd side, as photographs are
PRECISIONS = {"float32": "float32", "tf32": "tensorfloat32", "bfloat16": "bfloat16"}
CHANNELS_LAST = lax.conv_dimension_numbers((0,) * 4, (0,) * 4, ("NHWC", "HWIO", "NHWC"))


@dataclasses.dataclass(frozen=True)
class OwnNetwork:
  """A user's network, as data; `own_network` makes it and checks it.

  Attributes:
    source: where its class is, "module:Class".
    scale: upscaling factor r.
    arguments: keyword arguments of the class, as a JSON object with sorted keys.
    margin: as of `Network`.
    has_two_executions: as of `Network`.
  """

  source: str
  scale: int
  arguments: str = "{}"
  margin: ClassVar[int] = 0
  has_two_executions: ClassVar[bool] = False

  @property
  def name(self) -> str:
    """Of the class."""
    return self.source.partition(":")[2]

  @property
  def code(self) -> str:
    """Ten hexadecimal digits of its module's file, which change if that does."""
    return code_of(self.source)

  def init(self, key: Array, x: Float[Array, "b h w 1"]) -> dict[str, Any]:
    """`{"params": params}`, nested dictionaries by the names of the module's parts."""
    return {"params": _functions(self).init(key, x)}

  def apply(self, variables: Mapping[str, Any], x: Float[Array, "b h w 1"]) -> Any:
    """Maps luminance in 0..1 to HR luminance.

    Flax's convolutions are computed as this package computes its own, see operators/conv.py; all
    other products have its precision.
    """
    with jax.default_matmul_precision(PRECISIONS[current().precision]):
      return _functions(self).apply(variables["params"], x)


@functools.lru_cache(maxsize=256)
def own_network(source: str, scale: int, arguments: str = "{}") -> OwnNetwork:
  """Makes a network of a user's class, and checks without computing that it can be compared.

  Args:
    source: "module:Class" of a `flax.linen.Module`, or of a `flax.nnx.Module` that takes `rngs`.
    scale: upscaling factor; the class gets it as `scale`, if it takes that or any.
    arguments: its other keyword arguments, as a JSON object.

  Raises:
    InputError: the class cannot be imported or constructed, is of no Flax module, does not map
      luminance to HR luminance or ignores it, holds more than parameters, or has no gradient.
  """
  text = json.dumps(json.loads(arguments), sort_keys=True)
  network = OwnNetwork(source, scale, text)
  lr = _images(*PROBE)
  params = _abstract_params(network, lr)
  kinds = sorted({leaf.dtype.name for leaf in jax.tree.leaves(params)})
  if kinds != ["float32"]:
    raise InputError(f"{source} has {' and '.join(kinds) or 'no'} parameters, where float32 is due")
  _check_output(network, params, lr)
  with sentences(f"{source} has no gradient"):
    jax.eval_shape(jax.grad(lambda p, x: network.apply({"params": p}, x).sum()), params, lr)
  return network


@functools.lru_cache(maxsize=256)
def check_on_patches(network: OwnNetwork, batch: int, side: int) -> None:
  """Checks without computing that a network maps patches of so many LR pixels to HR patches.

  Raises:
    InputError: it does not, though it passed `own_network`.
  """
  _check_output(network, abstract_params(network), _images(batch, side, side))


def abstract_params(network: OwnNetwork) -> Any:
  """The shapes of a network's parameters."""
  return _abstract_params(network, _images(*PROBE))


def own_function(network: OwnNetwork) -> Callable[[Any, Any], Array]:
  """A network as a function of its parameters and images, which insists on HR images.

  To be traced under `guarding`, as sizes are met that were not checked.
  """

  def function(params: Any, x: Any) -> Array:
    output = network.apply({"params": params}, x)
    if problem := _problem(network, output, x):
      raise InputError(f"it {problem}")
    return output

  return function


class _Functions(NamedTuple):
  """A module as functions."""

  init: Callable[[Array, Any], Any]  # of a key and an image, makes the parameters
  apply: Callable[[Any, Any], Any]  # of parameters and images, makes HR images


@functools.lru_cache(maxsize=256)
def _functions(network: OwnNetwork) -> _Functions:
  module_class = load_class(network.source)
  parameters = inspect.signature(module_class.__init__).parameters  # type: ignore[misc]
  takes_any = any(each.kind == each.VAR_KEYWORD for each in parameters.values())
  arguments = json.loads(network.arguments)
  if takes_any or "scale" in parameters:
    arguments = {"scale": network.scale, **arguments}
  given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
  with sentences(f"{network.source} cannot be constructed with {given or 'no arguments'}"):
    if issubclass(module_class, nn.Module):
      return _linen_functions(module_class(**arguments), network.source)

    def make(key: Array) -> Any:
      rngs = {"rngs": nnx.Rngs(key)} if takes_any or "rngs" in parameters else {}
      return module_class(**arguments, **rngs)

    return _nnx_functions(make, network.source)


def _linen_functions(module: nn.Module, source: str) -> _Functions:
  def init(key: Array, x: Any) -> Any:
    variables = module.init(key, x)
    _refuse_state(source, variables.keys() - {"params"})
    return nn.meta.unbox(variables.get("params", {}))  # as of nn.with_partitioning

  def apply(params: Any, x: Any) -> Any:
    with nn.intercept_methods(_use_conv):
      return module.apply({"params": params}, x)

  return _Functions(init, apply)


def _use_conv(call: Callable, arguments: tuple, keywords: dict, context: Any) -> Any:
  """Has a Linen convolution call `_convolve`, unless the user's code gave it another function."""
  module = context.module
  if isinstance(module, nn.Conv) and module.conv_general_dilated is None:
    object.__setattr__(module, "conv_general_dilated", _convolve)  # modules are frozen
  return call(*arguments, **keywords)


def _nnx_functions(make: Callable[[Array], Any], source: str) -> _Functions:
  module = nnx.eval_shape(lambda: make(jax.random.key(0)))
  graph, (abstract, rest) = nnx.split(module)[0], nnx.state(module, nnx.Param, ...)
  _refuse_state(source, {type(variable).__name__ for _, variable in nnx.to_flat_state(rest)})
  variables = nnx.to_flat_state(abstract)

  def init(key: Array, x: Any) -> Any:
    del x
    params = nnx.to_flat_state(nnx.state(make(key), nnx.Param))
    flat = {tuple(map(str, path)): leaf[...] for path, leaf in params}
    return unflatten_dict(flat)  # by text: parts in a list have numbers for names

  def apply(params: Any, x: Any) -> Any:
    flat = flatten_dict(params)
    filled = [(path, leaf.replace(flat[*map(str, path)])) for path, leaf in variables]
    module = nnx.merge(graph, nnx.from_flat_state(filled))
    for _, part in nnx.iter_modules(module):
      if isinstance(part, nnx.Conv) and part.conv_general_dilated is lax.conv_general_dilated:
        part.conv_general_dilated = _convolve
    return module(x)

  return _Functions(init, apply)


def _convolve(
  x: Array,
  kernel: Array,
  window_strides: Any,
  padding: Any,
  *,
  lhs_dilation: Any = None,
  rhs_dilation: Any = None,
  dimension_numbers: Any = None,
  feature_group_count: int = 1,
  **more: Any,
) -> Array:
  """`lax.conv_general_dilated`; where the convolution is one that this package has, its own.

  Inside a loop on CPU, XLA's gradients of a convolution are about 20 times slower.
  """
  steps = (*window_strides, *(lhs_dilation or ()), *(rhs_dilation or ()))
  is_plain = set(steps) <= {1} and feature_group_count == 1
  if is_plain and dimension_numbers == CHANNELS_LAST and x.dtype == kernel.dtype == jnp.float32:
    if isinstance(padding, str):
      padding = lax.padtype_to_pads(x.shape[1:-1], kernel.shape[:-2], window_strides, padding)
    return conv(x, kernel, padding)
  return lax.conv_general_dilated(
    x,
    kernel,
    window_strides,
    padding,
    lhs_dilation=lhs_dilation,
    rhs_dilation=rhs_dilation,
    dimension_numbers=dimension_numbers,
    feature_group_count=feature_group_count,
    **{**more, "precision": None},  # of `OwnNetwork.apply`
  )


def _abstract_params(network: OwnNetwork, lr: jax.ShapeDtypeStruct) -> Any:
  functions = _functions(network)
  with sentences(lambda: _not_applicable(network, lr)):
    return jax.eval_shape(functions.init, _abstract_key(), lr)


def _check_output(network: OwnNetwork, params: Any, lr: jax.ShapeDtypeStruct) -> None:
  with sentences(lambda: _not_applicable(network, lr)):
    closed, output = jax.make_jaxpr(network.apply, return_shape=True)({"params": params}, lr)
  if problem := _problem(network, output, lr):
    raise InputError(f"{network.source} {problem}")
  _, uses = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
  if not uses[-1]:
    raise InputError(f"{network.source} ignores the image: no HR pixel depends on it")


def _problem(network: OwnNetwork, output: Any, lr: Any) -> str | None:
  """What is wrong with the output for LR images."""
  if not hasattr(output, "shape"):
    return f"returns a {type(output).__name__}, not one array"
  batch, height, width = lr.shape[:3]
  hr = (batch, network.scale * height, network.scale * width, 1)
  if (output.shape, output.dtype) == (hr, jnp.float32):
    return None
  kind = "RGB, " if output.shape[3:] == (3,) else ""
  return (
    f"makes {kind}{output.dtype} {output.shape} of LR luminance {lr.shape}; at "
    f"--scale={network.scale} it must make HR luminance, float32 {hr}"
  )


def _images(batch: int, height: int, width: int) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct((batch, height, width, 1), jnp.float32)


def _not_applicable(network: OwnNetwork, lr: jax.ShapeDtypeStruct) -> str:
  """Why a network fails on luminance, as far as another trial shows it."""
  functions = _functions(network)
  probe, rgb = (jax.ShapeDtypeStruct((*size, 3), jnp.float32) for size in (PROBE, lr.shape[:3]))
  with contextlib.suppress(Exception, SystemExit):
    params = jax.eval_shape(functions.init, _abstract_key(), probe)
    jax.eval_shape(functions.apply, params, rgb)
    return f"{network.source} takes RGB, not luminance (b, h, w, 1), which alone is compared here"
  return f"{network.source} cannot be applied to luminance {lr.shape}"


def _abstract_key() -> jax.ShapeDtypeStruct:
  """A key in shape only: to make one would start JAX's devices, which a launcher has to set up."""
  return jax.eval_shape(lambda: jax.random.key(0))


def _refuse_state(source: str, kinds: Any) -> None:
  if kinds:
    raise InputError(
      f"{source} holds {', '.join(sorted(kinds))} beside its parameters; only parameters are "
      "trained and kept here, so leave batch statistics, dropout and the like out"
    )
