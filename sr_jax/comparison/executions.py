"""Where HR maps are computed: in HR space, or lifted to LR space. It changes rounding alone."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from sr_jax.config import setting
from sr_jax.networks import AnyNetwork, Network
from sr_jax.networks.budget import Arm, budget
from sr_jax.networks.network import EXECUTIONS
from sr_jax.training.choices import MEASURE, Choices

WIDEST_LIFT = 3  # times the MACs: lifting pays on CPU at 2.25 times, and no longer at 4


def hr_execution_setting(networks: str) -> Any:
  """The setting of a config that says where these networks are computed."""
  text = (
    f"where {networks} are computed; auto: where each trains faster, as measured before the run; "
    f"fewer: in LR space if under {WIDEST_LIFT} times the MACs"
  )
  return setting(MEASURE, text, choices=(MEASURE, *EXECUTIONS, "fewer"))


def by_rule(network: Network, hr_execution: str) -> Network:
  """The network in the execution of the setting; with "auto" in HR space until that is measured."""
  if not network.has_two_executions:
    return network
  cost = budget(network.clone(execution="lr_space"))
  pays = hr_execution == "fewer" and cost.executed_macs < WIDEST_LIFT * cost.macs
  in_lr_space = hr_execution == "lr_space" or pays
  return network.clone(execution="lr_space" if in_lr_space else "hr_space")


def by_time(name: str, network: AnyNetwork, hr_execution: str, choices: Choices) -> AnyNetwork:
  """The network of this name in the execution that trains faster, if the setting is "auto"."""
  if not isinstance(network, Network) or not network.has_two_executions or hr_execution != MEASURE:
    return network
  networks = {execution: network.clone(execution=execution) for execution in EXECUTIONS}
  return networks[choices.fastest(name, networks)]


def in_faster_execution(
  arms: Iterable[Arm], hr_execution: str, choices: Choices
) -> tuple[Arm, ...]:
  """The arms, each with its network in the execution that `by_time` gives."""
  return tuple(
    dataclasses.replace(arm, network=by_time(arm.name, arm.network, hr_execution, choices))
    for arm in arms
  )
