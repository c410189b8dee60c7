"""What several processes of one run, on one machine or many, exchange.

Every process runs the same code and takes part in every computation. The primary one alone writes
the run's folder and prints. What it reads there, what it measures, and an error in any of them
reach all, so that none takes another branch and leaves the others waiting.
"""

import json
import os
import platform
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from sr_jax.config import InputError, NotSavedError
from sr_jax.runtime import console, watchdog

Result = TypeVar("Result")
USER_ERRORS = (InputError, NotSavedError, OSError)  # errors that all processes end with
REPORTED = "reported by another process"
SHUTDOWN_SECONDS = 10  # to wait for the others at the end
CONNECT_SECONDS = 300  # a pod's last machine may start that much later


def detect_cluster(environment: Any = os.environ) -> str | None:
  """The environment variable that makes this process one of several, as NAME=VALUE, or None.

  JAX finds the others from the same variables, but takes a single process on a cluster, and a
  program that a job starts beside its tasks, for a broken one.
  """
  for name in (
    "JAX_NUM_PROCESSES",
    "SLURM_STEP_NUM_TASKS",  # unlike SLURM_NTASKS it is about this very step of the job
    "OMPI_COMM_WORLD_SIZE",
    "MEGASCALE_NUM_SLICES",
  ):
    value = environment.get(name, "")
    if value not in ("", "1"):
      return f"{name}={value}"
  for name in ("TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES"):
    if "," in (value := environment.get(name, "")):
      return f"{name}={value}"
  if "KUBERNETES_SERVICE_HOST" in environment and "JOB_COMPLETION_INDEX" in environment:
    return f"JOB_COMPLETION_INDEX={environment['JOB_COMPLETION_INDEX']}"
  return None


def start(distributed: str, heartbeat_seconds: int) -> None:
  """Connects to the other processes; to be called before JAX is used.

  `distributed` is "on", "off", or "auto": where `detect_cluster` finds a variable. A process that
  is silent for `heartbeat_seconds` is taken for dead. Raises an InputError if there should be
  others, and they are not found.
  """
  variable = detect_cluster()
  if distributed == "on" or (distributed == "auto" and variable):
    source = variable or "--distributed=on"
    console.log(f"One of several processes ({source}): waiting for the others")
    # JAX's own handler of SIGTERM would take the place of ours.
    jax.config.update("jax_enable_preemption_service", False)
    try:
      jax.distributed.initialize(
        **_explicit_settings(),
        heartbeat_timeout_seconds=heartbeat_seconds,
        initialization_timeout=CONNECT_SECONDS,
        shutdown_timeout_seconds=SHUTDOWN_SECONDS,
      )
    except (ValueError, TypeError, RuntimeError) as error:
      why = f"{variable} says that this is one of several processes" if variable else "as asked for"
      raise InputError(
        f"--distributed={distributed}: {why}, but the others were not found "
        f"({' '.join(str(error).split())}); set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and "
        "JAX_PROCESS_ID, or --distributed=off if it is to run alone"
      ) from error
  elif jax.process_count() > 1:  # as on a TPU slice, which knows of its hosts by itself
    raise InputError(
      f"--distributed={distributed}: this is one of {jax.process_count()} processes; use "
      "--distributed=on"
    )
  if is_multiprocess():
    devices = Counter(device.process_index for device in jax.devices())
    if len(set(devices.values())) > 1:
      raise InputError(
        f"the processes have {' and '.join(map(str, sorted(set(devices.values()))))} devices and "
        "should have as many each; on CPU JAX_NUM_CPU_DEVICES says how many"
      )
    watchdog.start()
    exchange_bytes(b"")  # Gloo has little patience with who comes late to its first exchange
  if not is_primary():
    console.silence()


def _explicit_settings() -> dict[str, Any]:
  """The user's settings of the processes; none of them where JAX is to ask the cluster."""
  names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
  given = {name: value for name in names if (value := os.environ.get(name))}
  if not given:
    return {}
  if lacking := ", ".join(name for name in names if name not in given):
    raise ValueError(f"{lacking} is not set")
  address, count, index = given.values()
  return {
    "coordinator_address": address,
    "num_processes": int(count),
    "process_id": int(index),
    "cluster_detection_method": "deactivate",
  }


def is_multiprocess() -> bool:
  """Whether there are other processes."""
  return jax.process_count() > 1


def is_primary() -> bool:
  """Whether this process is the one that writes and prints."""
  return jax.process_index() == 0


def index() -> int:
  """Number of this process, from 0."""
  return jax.process_index()


def count() -> int:
  """How many processes there are."""
  return jax.process_count()


def count_on_this_machine() -> int:
  """Number of processes that share this machine's memory, this one included."""
  return all_gather(platform.node).count(platform.node())


def exchange_bytes(mine: bytes) -> list[bytes]:
  """The bytes that every process gives, in their order."""
  if not is_multiprocess():
    return [mine]
  sizes = multihost_utils.process_allgather(np.array([len(mine)], np.uint32))[:, 0]
  padded = np.zeros(1 << int(sizes.max()).bit_length(), np.uint8)  # few lengths: each compiles
  padded[: len(mine)] = np.frombuffer(mine, np.uint8)
  rows = multihost_utils.process_allgather(padded)
  return [row[:size].tobytes() for row, size in zip(rows, sizes, strict=True)]


def all_gather(work: Callable[[], Result]) -> list[Result]:
  """Runs `work` in every process and returns the results, JSON data, in their order.

  Raises:
    InputError, NotSavedError, OSError: it was raised in a process, and is in all.
    RuntimeError: the processes are at different places of the program.
  """
  if not is_multiprocess():
    return [work()]
  place = _call_site()
  problem: Exception | None = None
  result = None
  try:
    result = work()
  except USER_ERRORS as error:
    problem = error
  texts = exchange_bytes(json.dumps([result, problem and _described(problem), place]).encode())
  results, descriptions, places = zip(*map(json.loads, texts), strict=True)
  if len(set(places)) > 1:
    ways = " and ".join(sorted(set(places)))
    raise RuntimeError(f"the processes went different ways, to {ways}")
  if problem is not None:
    raise problem
  for kind, arguments in filter(None, descriptions):
    elsewhere = USER_ERRORS[kind](*arguments)
    elsewhere.add_note(REPORTED)
    raise elsewhere
  return list(results)


def is_for_user(error: BaseException) -> bool:
  """Whether a sentence explains an error: an OSError without a number comes from no system call."""
  return isinstance(error, USER_ERRORS) and getattr(error, "errno", 0) is not None


def _call_site() -> str:
  frame = sys._getframe()
  while frame.f_back is not None and frame.f_code.co_filename == __file__:
    frame = frame.f_back
  return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def assert_equal_across_processes(value: Any, sentence: str) -> None:
  """Raises an InputError with this sentence unless `value`, JSON data, is equal in all of them."""
  primary, *others = all_gather(lambda: value)
  if any(other != primary for other in others):
    raise InputError(sentence)


def broadcast_from_primary(work: Callable[[], Result]) -> Result:
  """Runs `work` in the primary process alone; its result, JSON data, or error reaches all."""
  return all_gather(lambda: work() if is_primary() else None)[0]  # type: ignore[return-value]


def _described(error: Exception) -> tuple[int, list[Any]]:
  """The place of an error's kind in USER_ERRORS, and its arguments as JSON data."""
  kind = next(i for i, kind in enumerate(USER_ERRORS) if isinstance(error, kind))
  if not isinstance(error, OSError) or error.errno is None:
    return kind, [str(error)]
  path = error.filename
  return kind, [error.errno, error.strerror, path if isinstance(path, int | None) else str(path)]


def to_host(tree: Any) -> Any:
  """Arrays as NumPy arrays, also those of which other processes have parts."""

  def whole(array: Any) -> np.ndarray:
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
      return np.asarray(multihost_utils.process_allgather(array, tiled=True))
    return np.asarray(array)

  return jax.tree.map(whole, tree)


def local_rows(array: jax.Array) -> dict[int, np.ndarray]:
  """The rows of the leading axis that are on devices of this process, by their number."""
  rows: dict[int, np.ndarray] = {}
  for shard in array.addressable_shards:
    rows.update(enumerate(np.asarray(shard.data), start=shard.index[0].start or 0))
  return rows


class AllReduceMax:
  """The largest of every process's numbers, none negative, known to all a dispatch later.

  Cast between two dispatches, the result is ready when the dispatch before it has ended, so that
  nobody waits for it. In a single process it is that of the moment.
  """

  def __init__(self, ask: Callable[[], tuple[float, ...]]) -> None:
    self._ask = ask
    self._cast: jax.Array | None = None
    if is_multiprocess():
      one_each = {device.process_index: device for device in reversed(jax.devices())}
      devices = [one_each[i] for i in sorted(one_each)]
      mesh = Mesh(devices, ("process",), axis_types=(AxisType.Auto,))
      self._parts = NamedSharding(mesh, P("process"))
      self._largest = jax.jit(lambda x: x.max(0), out_shardings=NamedSharding(mesh, P()))

  def cast(self) -> None:
    """Sends the numbers; to be called in every process at the same point of the program."""
    if is_multiprocess():
      mine = np.array([self._ask()], np.float32)
      self._cast = self._largest(jax.make_array_from_process_local_data(self._parts, mine))

  def result(self) -> tuple[float, ...]:
    """The largest numbers of the last `cast`."""
    wanted = self._ask() if self._cast is None else np.asarray(self._cast).tolist()
    return tuple(float(number) for number in wanted)


def is_reported(error: BaseException) -> bool:
  """Whether another process raised an error and reports it."""
  return REPORTED in getattr(error, "__notes__", ())


def abort(error: BaseException) -> None:
  """Ends this process, if it is one of several, at an error of which the others do not know.

  An orderly exit would wait for them, and they wait for this one.
  """
  if is_multiprocess():
    watchdog.stop()
    message = " ".join(str(error).split())[:200]
    if "Gloo" in message or "NCCL" in message:
      what = "a computation of all processes failed, most likely since one of them has died"
      console.error(f"launch.py: {what} ({message}); {watchdog.AGAIN}")
    else:
      traceback.print_exception(error)
      console.error(f"launch.py: this ends the other processes, too; {watchdog.AGAIN}")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
