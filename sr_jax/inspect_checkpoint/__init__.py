"""Describes the folder of a run on any machine: `python -m sr_jax.inspect_checkpoint`."""
