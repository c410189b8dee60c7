"""A network of the user's own: a Flax Linen or NNX module, named as `mypackage.mymodule:MyNetwork`.

It maps luminance in 0..1, `(batch, h, w, 1)`, to HR luminance, `(batch, scale * h, scale * w, 1)`,
for images of any size, and has parameters and no other state. Its module is imported because the
user named it, on a command line or in the run that is opened, and no other module is.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
from flax import linen as nn
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float

from sr_jax.config import InputError
from sr_jax.operators.conv import conv, current

SOURCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
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
    """Ten hexadecimal digits of its module's source, which change if that does."""
    file = inspect.getsourcefile(_load_class(self.source))
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:10] if file else ""

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
    scale: upscaling factor; the class gets it as `scale`, if it takes that.
    arguments: its other keyword arguments, as a JSON object.

  Raises:
    InputError: the class cannot be imported or constructed, is of no Flax module, does not map
      luminance to HR luminance, holds more than parameters, or has no gradient.
  """
  text = json.dumps(json.loads(arguments), sort_keys=True)
  network = OwnNetwork(source, scale, text)
  lr = jax.ShapeDtypeStruct((*PROBE, 1), jnp.float32)
  hr = (PROBE[0], scale * PROBE[1], scale * PROBE[2], 1)
  params = _abstract_params(network, lr)
  kinds = {leaf.dtype.name for leaf in jax.tree.leaves(params)}
  if kinds != {"float32"}:
    raise InputError(f"{source} has {' and '.join(kinds) or 'no'} parameters, where float32 is due")
  output = _abstract_output(network, params, lr)
  if (output.shape, output.dtype) != (hr, jnp.float32):
    kind = "RGB, " if output.shape[3:] == (3,) else ""
    raise InputError(
      f"{source} makes {kind}{output.dtype} {output.shape} of LR luminance {lr.shape}; at "
      f"--scale={scale} it must make HR luminance, float32 {hr}"
    )
  with _sentences(f"{source} has no gradient"):
    jax.eval_shape(jax.grad(lambda p, x: network.apply({"params": p}, x).sum()), params, lr)
  return network


def abstract_params(network: OwnNetwork) -> Any:
  """The shapes of a network's parameters."""
  return _abstract_params(network, jax.ShapeDtypeStruct((*PROBE, 1), jnp.float32))


class _Functions(NamedTuple):
  """A module as functions."""

  init: Callable[[Array, Any], Any]  # of a key and an image, makes the parameters
  apply: Callable[[Any, Any], Any]  # of parameters and images, makes HR images


@functools.lru_cache(maxsize=256)
def _functions(network: OwnNetwork) -> _Functions:
  module_class = _load_class(network.source)
  takes = inspect.signature(module_class.__init__).parameters  # type: ignore[misc]
  arguments = json.loads(network.arguments)
  if "scale" in takes:
    arguments = {"scale": network.scale, **arguments}
  given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
  with _sentences(f"{network.source} cannot be constructed with {given or 'no arguments'}"):
    if issubclass(module_class, nn.Module):
      return _linen_functions(module_class(**arguments), network.source)

    def make(key: Array) -> Any:
      rngs = {"rngs": nnx.Rngs(key)} if "rngs" in takes else {}
      return module_class(**arguments, **rngs)

    return _nnx_functions(make, network.source)


def _linen_functions(module: nn.Module, source: str) -> _Functions:
  def init(key: Array, x: Any) -> Any:
    variables = module.init(key, x)
    _refuse_state(source, variables.keys() - {"params"})
    return variables.get("params", {})

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


def _load_class(source: str) -> type:
  """The class that a source names; imports its module."""
  if not SOURCE.fullmatch(source):
    raise InputError(f"{source} is not MODULE:CLASS, as in mypackage.mymodule:MyNetwork")
  module_name, _, name = source.partition(":")
  with _sentences(
    f"{source}: the module {module_name} cannot be imported, from the folder where this was "
    "started or from what is installed"
  ):
    module = importlib.import_module(module_name)
  if not hasattr(module, name):
    raise InputError(f"{source}: {module.__name__} ({module.__file__}) has no {name}")
  module_class = getattr(module, name)
  if not (isinstance(module_class, type) and issubclass(module_class, nn.Module | nnx.Module)):
    raise InputError(f"{source} is no class of a flax.linen.Module or flax.nnx.Module")
  return module_class


def _abstract_params(network: OwnNetwork, lr: jax.ShapeDtypeStruct) -> Any:
  functions = _functions(network)
  with _sentences(lambda: _not_applicable(network)):
    return jax.eval_shape(functions.init, _abstract_key(), lr)


def _abstract_output(network: OwnNetwork, params: Any, lr: jax.ShapeDtypeStruct) -> Any:
  with _sentences(lambda: _not_applicable(network)):
    output = jax.eval_shape(network.apply, {"params": params}, lr)
  if not isinstance(output, jax.ShapeDtypeStruct):
    raise InputError(f"{network.source} returns a {type(output).__name__}, not one array")
  return output


def _not_applicable(network: OwnNetwork) -> str:
  """Why a network fails on luminance, as far as another trial shows it."""
  functions = _functions(network)
  rgb = jax.ShapeDtypeStruct((*PROBE, 3), jnp.float32)
  with contextlib.suppress(Exception):
    params = jax.eval_shape(functions.init, _abstract_key(), rgb)
    jax.eval_shape(functions.apply, params, rgb)
    return f"{network.source} takes RGB, not luminance (b, h, w, 1), which alone is compared here"
  return f"{network.source} cannot be applied to luminance {(*PROBE, 1)}"


def _abstract_key() -> jax.ShapeDtypeStruct:
  """A key in shape only: to make one would start JAX's devices, which a launcher has to set up."""
  return jax.eval_shape(lambda: jax.random.key(0))


def _refuse_state(source: str, kinds: Any) -> None:
  if kinds:
    raise InputError(
      f"{source} holds {', '.join(sorted(kinds))} beside its parameters; only parameters are "
      "trained and kept here, so leave batch statistics, dropout and the like out"
    )


@contextlib.contextmanager
def _sentences(what: str | Callable[[], str]) -> Iterator[None]:
  """Turns any error of the user's code into an InputError: what failed, and why."""
  try:
    yield
  except InputError:
    raise
  except Exception as error:
    reason = next(iter(str(error).strip().splitlines()), "")
    phrase = what if isinstance(what, str) else what()
    raise InputError(f"{phrase} ({type(error).__name__}: {reason})") from error
