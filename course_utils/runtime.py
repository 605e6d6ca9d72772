"""Where a run happens: device, seed, precision, profile, folders, and safe writing.

torch is imported inside the functions that use it, so that `course --help`, `course claims` and the
book's Sphinx extensions start at once and work where torch is not installed.
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.provenance import (  # cells of the chapters know them by these names
    data_in_use,
    device_label,
    processor_name,
    use_data,
    versions,
)

if TYPE_CHECKING:
    import torch

__all__ = ["data_in_use", "device_label", "processor_name", "use_data", "versions"]

PROFILES = ("quick", "full")
PRECISIONS = ("float32", "bf16")


class CourseError(Exception):
    """A mistake that the person at the keyboard can mend; the message says how."""


def profile(name: str | None = None) -> str:
    """Return the profile to work in: `name`, else COURSE_PROFILE, else "quick".

    Raises CourseError for anything but "quick" and "full".
    """
    chosen = name or os.environ.get("COURSE_PROFILE") or "quick"
    if chosen not in PROFILES:
        raise CourseError(f"profile {chosen!r} is unknown; choose one of: {', '.join(PROFILES)}")
    return chosen


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


# ---------------------------------------------------------------------------------------- folders


def data_dir() -> Path:
    """Return the folder that holds real data: COURSE_DATA, else `data` in the cache.

    Raises CourseError when COURSE_DATA is set to something that is not a folder.
    """
    named = os.environ.get("COURSE_DATA")
    if not named:
        return cache_dir() / "data"
    folder = Path(named).expanduser()
    if not folder.is_dir():
        kind = "a file, not a folder" if folder.exists() else "not there"
        raise CourseError(
            f"COURSE_DATA is {named!r}, which is {kind}; "
            "name the folder that holds MNIST/raw, or unset COURSE_DATA"
        )
    return folder.resolve()


def cache_dir() -> Path:
    """Return the folder for downloads, drawn data and runs: COURSE_CACHE, else the user's cache."""
    named = os.environ.get("COURSE_CACHE")
    if named:
        return Path(named).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("autoencoder-course", appauthor=False))


def runs_dir() -> Path:
    """Return the folder that keeps finished runs: COURSE_RUNS, else `runs` in the cache."""
    named = os.environ.get("COURSE_RUNS")
    return Path(named).expanduser().resolve() if named else cache_dir() / "runs"


def make_folder(folder: Path) -> Path:
    """Create `folder` and check that files can be written in it; return it.

    Raises CourseError when they cannot: a file in the way, no permission, no space.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as error:
        raise cannot_write(folder, error) from None
    return folder


def cannot_write(path: Path, error: OSError) -> CourseError:
    """Return the CourseError that tells a person about a failed write."""
    return CourseError(
        f"cannot write to {path}: {error.strerror or error}; free some space, "
        "or choose another folder (--out DIR, COURSE_RUNS or COURSE_CACHE)"
    )


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Raises CourseError when the disk is full or the folder cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextlib.contextmanager
def replacing(path: Path):
    """Yield a temporary path beside `path`; on success move it over `path`, else remove it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as written:  # on disk before the rename, or a crash loses both
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)
