"""Upscales images with a trained network: `python -m sr_jax.upscale`."""
