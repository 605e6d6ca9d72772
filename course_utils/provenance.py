"""What a result comes from: the data, runs and device that this process used, and the versions.

Whoever loads data, a run or a device says so here, in one line; `claims.judge` and the stamps of
the chapters read it. Standard library alone: the book is built where torch is not installed.
"""

from __future__ import annotations

import contextlib
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

COMPUTING = ("torch", "torchvision", "numpy", "matplotlib", "scikit-learn")  # what may matter


@dataclass(frozen=True)
class DataUse:
    """A data set that this process loaded.

    Attributes:
        name: "mnist", "fashion-mnist", "lfw", "drawn digits", ...
        sha256: of its content and splits, where it has one.
        real: False for what was drawn: a stand-in, or a collection that is meant to be drawn.
    """

    name: str
    sha256: str | None
    real: bool

    @property
    def counts(self) -> bool:
        """Tell whether this is what its name says; a stand-in under a real name is not."""
        return self.real or self.name.startswith("drawn")


@dataclass(frozen=True)
class RunUse:
    """A finished run that this process trained or loaded.

    Attributes:
        recipe: its name.
        seed: of the run.
        device: on which it was trained, as `device_label` tells it.
        versions: with which it was trained.
        stale: None, or in words why the code of today would give another run.
    """

    recipe: str
    seed: int
    device: str
    versions: dict[str, str]
    stale: str | None = None


_data: dict[str, DataUse] = {}  # by name, in the order of the last use
_runs: dict[tuple[str, int, str], RunUse] = {}  # by recipe, seed and folder
_device: list[str] = []  # the label of the device in use, or nothing


# ------------------------------------------------------------------------------------------- data


def use_data(name: str, sha256: str | None = None, real: bool = True) -> None:
    """Remember that this process loaded a data set.

    Args:
        name: as claims name it; what is drawn is called "drawn ...".
        sha256: of its content and splits.
        real: False for what was drawn; it counts for no claim about the real thing.
    """
    _data.pop(name, None)
    _data[name] = DataUse(name, sha256, real and not name.startswith("drawn"))


def data_used() -> dict[str, DataUse]:
    """Return all data sets that this process loaded, by name, the latest last."""
    return dict(_data)


def data_in_use() -> str:
    """Return the name of the data set loaded last, e.g. "drawn digits"; "no data" before any."""
    return next(reversed(_data), "no data")


def forget() -> None:
    """Forget everything that this process used, as if it had just begun."""
    _data.clear()
    _runs.clear()
    _device.clear()


# ------------------------------------------------------------------------------ runs and devices


def use_run(
    recipe: str,
    seed: int,
    device: str,
    versions: dict[str, str],
    stale: str | None = None,
    folder: str = "",
) -> None:
    """Remember that this process uses a finished run.

    Args:
        recipe, seed, device, versions, stale: see `RunUse`.
        folder: in which it is kept: variants of a recipe share their name.
    """
    device = said_today(device)
    _runs[recipe, seed, folder] = RunUse(recipe, seed, device, dict(versions), stale)


def runs_used(recipe: str | None = None) -> list[RunUse]:
    """Return the runs that this process uses, in the order of their first use.

    Args:
        recipe: of which; of all where None.
    """
    return [run for run in _runs.values() if recipe in (None, run.recipe)]


def use_device(label: str) -> None:
    """Remember on which device this process computes, as `device_label` tells it."""
    _device[:] = [label]


def device_in_use() -> str:
    """Return the label of the device that was asked for last; the processor's before any."""
    return _device[0] if _device else device_label()


def device_label(on: torch.device | None = None) -> str:
    """Return the device as a reader wants to see it, e.g. "cpu (AMD EPYC, 2 threads)"."""
    import torch

    if on is not None and on.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(on)})"
    if on is not None and on.type != "cpu":
        return on.type
    threads = torch.get_num_threads()
    return f"cpu ({processor_name()}, {threads} thread{'s' if threads > 1 else ''})"


def said_today(label: str) -> str:
    """Return a device's label as it is written today; older runs and records say "1 threads"."""
    return label.replace(", 1 threads)", ", 1 thread)")


def processor_name() -> str:
    """Return the processor's model name, or its architecture where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in (
            Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        ):
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions that a result depends on, as {"python": ..., "torch": ..., ...}."""
    found = {"python": platform.python_version()}
    for package in COMPUTING:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
