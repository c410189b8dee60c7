"""A PyTorch script's training step, as a process that `benchmarks/train.py` times.

Builds one network (JSON in the first argument), then for every number of steps that it reads
trains so many steps of Adam on a fixed batch and answers "done": fixed inputs, a fused optimizer,
channels last, and CUDA graphs on a GPU, which is what PyTorch has to offer for such small networks.
"""

import json
import sys
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Network(nn.Module):
  """The network that the first argument describes."""

  def __init__(self, about: dict[str, Any]) -> None:
    super().__init__()
    self.about, self.layers = about, nn.ModuleList()
    for layer in about["layers"]:
      low, high = layer["padding"]
      sizes = layer["inputs"], layer["outputs"], layer["kernel_size"]
      # The layer's own padding is faster, but knows only equal sides.
      self.layers.append(nn.Conv2d(*sizes, padding=low if low == high else 0))

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Upscales images."""
    about, scale, bicubic = self.about, self.about["scale"], None
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


def main(about: dict[str, Any]) -> None:
  """Trains for every number of steps that standard input gives."""
  torch.set_num_threads(about["threads"])
  device, precision = about["device"], about["precision"]
  torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
  torch.backends.cudnn.benchmark = True
  network: Any = Network(about)
  network = network.to(device, memory_format=torch.channels_last)
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

  run = step
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
  print("ready", flush=True)
  for line in sys.stdin:
    for _ in range(int(line)):
      run()
    if device == "cuda":
      torch.cuda.synchronize()
    print("done", flush=True)


if __name__ == "__main__":
  main(json.loads(sys.argv[1]))
