"""Where a run happens: device, seed, precision, profile.

torch is imported inside the functions that use it, so that `course --help`, `course claims` and the
book's Sphinx extensions start at once and work where torch is not installed.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import random
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
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
from course_utils.provenance import (
    data_in_use,
    device_label,
    processor_name,
    use_data,
    use_device,
    versions,
)

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
    otherwise = "try --device cpu, or leave the device out to take the best one"
    try:
        found = torch.device(chosen)
    except RuntimeError:  # torch would list all that it was ever built for
        raise CourseError(f"device {chosen!r} is unknown (cpu, cuda, mps); {otherwise}") from None
    try:
        torch.ones(1, device=found).item()  # a name may parse and the device still be absent
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = textwrap.shorten(str(error).splitlines()[0], 160, placeholder=" ...")
        raise CourseError(
            f"device {chosen!r} cannot be used here ({reason}); {otherwise}"
        ) from None
    use_device(device_label(found))
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


# --------------------------------------------------------------------------------------- precision


def precision_on(on: torch.device, wanted: str = "auto") -> str:
    """Return "float32" or "bf16": what is wanted, "auto" settled for a device.

    "auto" is bf16 where the device computes with it natively. Elsewhere it is emulated, 7 to 17
    times slower than float32.

    Raises CourseError for another word.
    """
    if wanted not in (*PRECISIONS, "auto"):
        known = ", ".join((*PRECISIONS, "auto"))
        raise CourseError(f"precision {wanted!r} is unknown; choose one of: {known}")
    if wanted != "auto":
        return wanted
    return "bf16" if has_native_bf16(on) else "float32"


def has_native_bf16(on: torch.device) -> bool:
    """Tell whether a device multiplies matrices of bfloat16 natively.

    A graphics card from compute capability 8 (torch.cuda.is_bf16_supported() counts the emulation
    of a T4 too), a processor with AVX512_BF16 or AMX.
    """
    import torch

    if on.type == "cuda":
        return torch.cuda.get_device_capability(on)[0] >= 8
    return on.type == "cpu" and bool(processor_flags() & {"avx512_bf16", "amx_bf16"})


def processor_flags(source: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Return the instruction sets that Linux names; nothing where it is not Linux."""
    with contextlib.suppress(OSError):
        for line in source.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("flags"):
                return set(line.partition(":")[2].split())
    return set()


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


# ----------------------------------------------------------------------------------------- threads

REPAYS = 20_000  # parameters: below it a step is too short to share between threads
LOOK = 0.1  # seconds that the processor's other work is watched for


def threads_for(parameters: int, wanted: int | None = None) -> int:
    """Return how many threads a training on the processor shall use.

    All that torch would use where the cores are idle and the model repays them, else one. Threads
    wait for each other at every layer, spinning: beside one busy process an epoch of the recipe
    `ae`, 0.17 s with two threads on two idle cores, took 0.7 to 23 s with two and 0.25 s with one.

    Args:
        parameters: of the model.
        wanted: settles it; COURSE_THREADS where None.

    Raises CourseError for a `wanted` or COURSE_THREADS that is no number from 1.
    """
    if wanted is None:
        wanted = threads_named()
    if wanted is not None:
        return whole_number(wanted, "threads", least=1, most=1024)
    every = all_threads()
    if every == 1 or parameters < REPAYS or idle_cores() < every - 0.5:
        return 1
    return every


def threads_named() -> int | None:
    """Return COURSE_THREADS, None where it is not set or "auto"."""
    named = os.environ.get("COURSE_THREADS") or "auto"
    if named == "auto":
        return None
    if not named.isdecimal():
        raise CourseError(f"COURSE_THREADS is {named!r}; it must be a whole number, 1 or more")
    return whole_number(int(named), "COURSE_THREADS", least=1, most=1024)


@functools.cache  # before anything changes it
def all_threads() -> int:
    """Return the number of threads that torch uses by itself: of cores, or OMP_NUM_THREADS."""
    import torch

    return torch.get_num_threads()


@contextlib.contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads during the block."""
    import torch

    all_threads()
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cores() -> set[int]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def free_memory(source: Path = Path("/proc/meminfo")) -> float:
    """Return how many bytes of memory are free for new programs; infinity if Linux does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in source.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    return math.inf


def idle_cores() -> float:
    """Return how many of this process's cores nobody else uses, by a look of a tenth of a second.

    Where the system does not tell, by the load of the last minute; where it tells neither, all.
    """
    try:
        before = core_times()
        time.sleep(LOOK)
        after = core_times()
        return sum(share_idle(before[core], after[core]) for core in cores())
    except (OSError, KeyError, ValueError, IndexError):
        pass
    with contextlib.suppress(OSError, AttributeError):
        return len(cores()) - os.getloadavg()[0]
    return len(cores())


def core_times(source: Path = Path("/proc/stat")) -> dict[int, tuple[int, int]]:
    """Return (idle, total) ticks of every core, from Linux's own count."""
    times = {}
    for line in source.read_text(encoding="ascii").splitlines():
        name, *counts = line.split()
        if name.startswith("cpu") and name != "cpu":
            ticks = [int(count) for count in counts[:8]]  # guests are counted in `user` already
            times[int(name[3:])] = (ticks[3] + ticks[4], sum(ticks))  # idle and waiting for a disk
    return times


def share_idle(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return which part of the time between two looks a core was idle; 1 if none has passed."""
    idle, total = after[0] - before[0], after[1] - before[1]
    return idle / total if total > 0 else 1.0
