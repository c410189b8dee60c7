"""The cores and the memory that a process may use."""

import os

import jax


def use_all_cores() -> None:
  """Makes every CPU core a device of its own; to be called before JAX is used.

  One small convolution hardly gains from a second core; two members, or two halves of a batch, do.
  What the user has set (JAX_NUM_CPU_DEVICES, XLA_FLAGS) stays.
  """
  is_forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
  unset = jax.config.jax_num_cpu_devices < 1  # type: ignore[attr-defined]
  if unset and not is_forced:
    jax.config.update("jax_num_cpu_devices", cores())


def cores() -> int:
  """CPU cores that this process may use: it may be confined to fewer than there are, on Linux."""
  confined = getattr(os, "sched_getaffinity", None)
  return len(confined(0)) if confined else os.cpu_count() or 1


def device_memory(device: jax.Device) -> int:
  """The memory of a device in bytes; of a CPU device, the machine's."""
  return (device.memory_stats() or {}).get("bytes_limit") or machine_memory()


def machine_memory() -> int:
  """The memory of this machine in bytes."""
  return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
