"""What the folder of a run holds, told on any machine: `python -m sr_jax.inspect_checkpoint`."""
