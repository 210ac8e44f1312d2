"""A network of equal layers, so that one more is a known share of work; and a load beside it."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from groundspeed.artifact import Artifact
from groundspeed.deploy.exporting import Exporter
from groundspeed.deploy.sources import Network

LAYERS = 33  # one more is 3 %
NAME = "equal layers"  # of each, so that one is the baseline of another


def network(layers: int, seed: int = 0) -> Network:
    """Return a network of about two milliseconds, of equal layers; the seed makes its weights."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 32, 1), *(nn.Conv2d(32, 32, 1) for _ in range(layers)))
    inputs = (torch.randn(1, 3, 56, 56),)
    return Network(name=NAME, spec=NAME, module=module.eval(), inputs=inputs)


def exported(layers: int, folder: Path, *, seed: int = 0) -> Artifact:
    """Return the network's ONNX file."""
    return Exporter(network(layers, seed), folder).export("onnx", "fp32")


def compute(seconds: float) -> None:
    """Keep a core busy."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        np.linalg.norm(np.random.default_rng(0).standard_normal((300, 300)))


def keep_busy() -> None:
    """Compute for up to five seconds, rest for as long, for ever."""
    while True:
        compute(random.uniform(0, 5))
        time.sleep(random.uniform(0, 5))


@contextmanager
def load(wanted: bool) -> Iterator[None]:
    """Keep the machine busy meanwhile, if that is wanted."""
    process = multiprocessing.Process(target=keep_busy, daemon=True)
    if wanted:
        process.start()
    try:
        yield
    finally:
        if wanted:
            process.kill()
