"""Where a run happens: device, seed, precision, profile.

torch is imported inside the functions that use it, so that `course --help`, `course claims` and the
book's Sphinx extensions start at once and work where torch is not installed.
"""

from __future__ import annotations

import contextlib
import os
import random
from typing import TYPE_CHECKING

from course_utils.errors import CourseError

# cells of the chapters know these by the names that they have here
from course_utils.folders import (
    cache_dir,
    cannot_write,
    data_dir,
    make_folder,
    replacing,
    runs_dir,
    write_atomically,
)
from course_utils.provenance import data_in_use, device_label, processor_name, use_data, versions

if TYPE_CHECKING:
    import torch

__all__ = [
    "CourseError",
    "autocast",
    "best_device",
    "cache_dir",
    "cannot_write",
    "data_dir",
    "data_in_use",
    "device",
    "device_label",
    "make_folder",
    "processor_name",
    "profile",
    "replacing",
    "runs_dir",
    "seed_everything",
    "use_data",
    "versions",
    "write_atomically",
]

PROFILES = ("quick", "full")
PRECISIONS = ("float32", "bf16")


def profile(name: str | None = None) -> str:
    """Return the profile to work in: `name`, else COURSE_PROFILE, else "quick".

    Raises CourseError for anything but "quick" and "full".
    """
    chosen = name or os.environ.get("COURSE_PROFILE") or "quick"
    if chosen not in PROFILES:
        raise CourseError(f"profile {chosen!r} is unknown; choose one of: {', '.join(PROFILES)}")
    return chosen


def whole_number(value: object, what: str, least: int, most: int | None = None) -> int:
    """Return `value` when it is a whole number within the bounds (both included).

    Raises CourseError for anything else, "3" and True among it.
    """
    if type(value) is int and least <= value and (most is None or value <= most):
        return value
    bounds = f"{least:,} or more" if most is None else f"from {least:,} to {most:,}"
    raise CourseError(f"{what} is {value!r}; it must be a whole number, {bounds}")


def device(name: str | None = None) -> torch.device:
    """Return the torch device `name`, else COURSE_DEVICE, else the best that this machine has.

    Raises CourseError when the name is no device or this machine lacks it.
    """
    import torch

    chosen = name or os.environ.get("COURSE_DEVICE") or best_device()
    try:
        found = torch.device(chosen)
        torch.ones(1, device=found).item()  # a name may parse and the device still be absent
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise CourseError(
            f"device {chosen!r} cannot be used here ({reason}); "
            "try --device cpu, or leave the device out to take the best one"
        ) from None
    return found


def best_device() -> str:
    """Return "cuda", "mps" or "cpu": the first that works."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (every device)."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def autocast(on: torch.device, precision: str = "float32"):
    """Return the context in which a forward pass runs: autocast to bfloat16, or nothing.

    bfloat16 has the exponent range of float32, so no loss scaling is needed.
    """
    import torch

    if precision not in PRECISIONS:
        raise CourseError(f"precision {precision!r} is unknown; choose: {', '.join(PRECISIONS)}")
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(on.type, dtype=torch.bfloat16)
