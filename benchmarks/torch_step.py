"""A PyTorch script's training step, as a process that `benchmarks/train.py` times.

Builds one network (JSON in the first argument), then for every number of steps that it reads
trains so many steps of Adam on a fixed batch and answers "done": fixed inputs, a fused optimizer,
channels last, and CUDA graphs on a GPU, which is what PyTorch has to offer for such small networks.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional


def build(about: dict[str, Any]) -> Callable:
  """The network as a module list and the function that applies it."""
  scale = about["scale"]
  layers = nn.ModuleList()
  for layer in about["layers"]:
    low, high = layer["padding"]
    # The layer's own padding is faster, but knows only equal sides.
    own = low if low == high else 0
    layers.append(nn.Conv2d(layer["inputs"], layer["outputs"], layer["kernel_size"], padding=own))

  class Network(nn.Module):
    def __init__(self) -> None:
      super().__init__()
      self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
      bicubic = None
      if about["skip"] or about["bicubic_first"]:
        bicubic = functional.interpolate(x, scale_factor=scale, mode="bicubic")
      y = bicubic if about["bicubic_first"] else x
      for i, (layer, shape) in enumerate(zip(self.layers, about["layers"], strict=True)):
        low, high = shape["padding"]
        y = layer(y if low == high else functional.pad(y, (low, high, low, high)))
        if i + 1 < len(self.layers):
          y = torch.tanh(y) if about["activation"] == "tanh" else torch.relu(y)
      y = y if about["bicubic_first"] else functional.pixel_shuffle(y, scale)
      return y if bicubic is None or not about["skip"] else y + bicubic

  return Network


def main(about: dict[str, Any]) -> None:
  """Trains for every number of steps that standard input gives."""
  torch.set_num_threads(about["threads"])
  device = about["device"]
  precision = about["precision"]
  torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
  torch.backends.cudnn.benchmark = True
  network = build(about)().to(device, memory_format=torch.channels_last)
  side, scale = about["patch"], about["scale"]
  x = torch.rand(about["batch"], 1, side, side, device=device)
  x = x.to(memory_format=torch.channels_last)
  y = torch.rand(about["batch"], 1, scale * side, scale * side, device=device)
  optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True, capturable=device == "cuda")

  def step() -> None:
    optimizer.zero_grad()
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
      loss = functional.mse_loss(network(x).float(), y)
    loss.backward()
    optimizer.step()

  if device == "cuda":
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
      for _ in range(5):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
      step()
    run = graph.replay
  else:
    run = step
  print("ready", flush=True)
  for line in sys.stdin:
    for _ in range(int(line)):
      run()
    if device == "cuda":
      torch.cuda.synchronize()
    print("done", flush=True)


if __name__ == "__main__":
  main(json.loads(sys.argv[1]))
