"""What `course doctor` finds: versions, device, data and folders, and what to do about each."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import course_utils
from course_utils import runtime
from course_utils.runtime import CourseError

Finding = tuple[str, str, str]  # topic, what was found, what to do ("" where nothing is wrong)


def findings() -> Iterator[Finding]:
    """Yield what is there and what is missing, the quick things first; torch may be absent."""
    yield "course", f"{course_utils.__version__} in {Path(course_utils.__file__).parent}", ""
    yield "system", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", ""
    found = runtime.versions()
    yield "versions", ", ".join(f"{name} {version}" for name, version in found.items()), ""
    yield from folders()
    if importlib.util.find_spec("torch") is None:
        yield "torch", "missing", "pip install torch torchvision (in a clone: make test)"
        return
    yield "device", *device()
    yield from data()


def folders() -> Iterator[Finding]:
    """Yield the folders that the course writes to."""
    yield "cache", *writable(runtime.cache_dir())
    folder = runtime.runs_dir()
    found, problem = writable(folder)
    kept = len(list(folder.glob("*/run.json"))) if folder.is_dir() else 0
    yield "runs", f"{found}, {kept} kept", problem


def writable(folder: Path) -> tuple[str, str]:
    """Return the folder as text, and what to do when nothing can be written there."""
    try:
        runtime.make_folder(folder)
    except CourseError as error:
        return str(folder), str(error)
    return str(folder), ""


def device() -> tuple[str, str]:
    """Return the device that would be used, with its threads, and what to do when it is none."""
    try:
        return runtime.device_label(runtime.device()), ""
    except CourseError as error:
        return "none", str(error)


def data() -> Iterator[Finding]:
    """Yield where the real data are, and how to get those that are missing."""
    from course_utils.data import idx

    source = os.environ.get("COURSE_SOURCE") or "auto"
    yield "source", f"{source} (COURSE_SOURCE)", ""
    try:
        folder = runtime.data_dir()
    except CourseError as error:
        yield "data", "unusable", str(error)
        return
    for name in idx.SHA256:
        command = f"course data {name.lower()}"
        absent = idx.missing(folder, name)
        if not absent:
            yield name, f"in {folder / name / 'raw'} ({command} --verify checks it)", ""
        elif len(absent) < len(idx.FILES):
            yield name, f"incomplete in {folder / name / 'raw'}", f"{command} fetches it"
        else:
            instead = f"drawn images are used; for the real ones: {command}"
            yield name, f"not in {folder}: {instead}", ""
