"""Features of images: what the distances between sets of images are taken on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.metrics.inputs import as_images, as_tensor, check_whole


def features_of(features_fn: Callable, images, batch_size: int = 500) -> torch.Tensor:
    """Return the features (N, D) of images, on the CPU.

    Real and generated images take the same way in: they are rounded to the 256 levels of a byte,
    because pixels that no file could hold would tell a network which images are generated.

    Args:
        features_fn: float32 images (B, C, H, W) in [0, 1] -> (B, D). An nn.Module, or a method of
            one, runs in eval mode, on its own device, and gets its modes back afterwards; a
            lambda hides its network, so put that one in eval mode yourself.
        images: (N, C, H, W), uint8 or float in [0, 1].
        batch_size: images in one call of `features_fn`.

    Raises CourseError for bad images, images that the network cannot take, and features that are
    not (B, D) or not finite.
    """
    x = as_images(images, "images")
    check_whole(batch_size, "batch_size")
    module = module_behind(features_fn)
    device = device_of(module, x.device)
    with evaluating(module):
        parts = [called(features_fn, to_bytes(b).to(device)) for b in x.split(batch_size)]
    for part, batch in zip(parts, x.split(batch_size), strict=True):
        check_features(part, len(batch))
    return as_tensor(torch.cat(parts).cpu(), "the features")


def called(network: Callable, x: torch.Tensor):
    """Return network(x); a network that is made for other images says so in our words."""
    try:
        return network(x)
    except RuntimeError as error:
        if "memory" in str(error):
            raise
        reason = str(error).splitlines()[0]
        raise CourseError(
            f"the network cannot take images of shape {tuple(x.shape)}; give it those that it was "
            f"trained on, or another network ({reason})"
        ) from error


def to_bytes(x: torch.Tensor) -> torch.Tensor:
    """Round images in [0, 1] to the nearest of 256 levels, and return them in [0, 1]."""
    return (x * 255).round() / 255


def check_features(features, n: int) -> None:
    """Raise CourseError unless `features` is a tensor (n, D)."""
    if not isinstance(features, torch.Tensor):
        raise CourseError(f"features_fn returned {type(features).__name__}; it must return (B, D)")
    if features.ndim != 2 or len(features) != n:
        raise CourseError(
            f"features_fn returned shape {tuple(features.shape)} for {n} images; "
            f"it must return ({n}, D), one row per image"
        )


def module_behind(fn: Callable) -> nn.Module | None:
    """Return the nn.Module that `fn` is, or is a method of; None for a plain function."""
    owner = fn if isinstance(fn, nn.Module) else getattr(fn, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None


def device_of(module: nn.Module | None, default: torch.device) -> torch.device:
    """Return where the parameters of `module` rest, or `default` where there are none."""
    parameter = None if module is None else next(module.parameters(), None)
    return default if parameter is None else parameter.device


@contextlib.contextmanager
def evaluating(module: nn.Module | None):
    """Run a block without gradients and with `module` in eval mode; then restore every mode.

    Modes are kept layer by layer: a network in training may have layers that are frozen in eval.
    """
    modes = {} if module is None else {part: part.training for part in module.modules()}
    try:
        if module is not None:
            module.eval()
        with torch.no_grad():
            yield
    finally:
        for part, training in modes.items():
            part.training = training
