"""The same random numbers for every evaluation, and the training's own undisturbed."""

from __future__ import annotations

import contextlib

import torch


@contextlib.contextmanager
def same_noise(device: torch.device, seed: int = 0):
    """Seed what draws on the CPU and on `device`; put their states back afterwards."""
    on_device = {"cuda": torch.cuda, "mps": torch.mps}.get(device.type)
    cpu_state = torch.get_rng_state()
    device_state = on_device.get_rng_state() if on_device else None
    try:
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every device
        if on_device:
            on_device.manual_seed(seed)
        yield
    finally:
        torch.set_rng_state(cpu_state)
        if on_device:
            on_device.set_rng_state(device_state)
