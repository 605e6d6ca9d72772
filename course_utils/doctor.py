"""What `course doctor` finds: versions, device, data and folders, and what to do about each."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import course_utils
from course_utils import folders, runtime
from course_utils.errors import CourseError

Finding = tuple[str, str, str]  # topic, what was found, what to do ("" where nothing is wrong)


def findings() -> Iterator[Finding]:
    """Yield what is there and what is missing, the quick things first; torch may be absent."""
    yield "course", f"{course_utils.__version__} in {Path(course_utils.__file__).parent}", ""
    yield "system", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", ""
    found = runtime.versions()
    yield "versions", ", ".join(f"{name} {version}" for name, version in found.items()), ""
    yield from places()
    if importlib.util.find_spec("torch") is None:
        yield "torch", "missing", "pip install torch torchvision (in a clone: make test)"
        return
    yield "device", *device()
    yield from data()


def places() -> Iterator[Finding]:
    """Yield the folders that the course writes to."""
    yield "cache", *writable(folders.cache_dir)
    found, problem = writable(folders.runs_dir)
    if problem:
        yield "runs", found, problem
    else:
        kept = len(folders.listing(Path(found), "*/run.json"))
        yield "runs", f"{found}, {kept} kept", ""


def writable(find: Callable[[], Path]) -> tuple[str, str]:
    """Return the folder that `find` names, and what to do when nothing can be written there."""
    folder = None
    try:
        folder = find()
        folders.make_folder(folder)
    except CourseError as error:
        return str(folder or "unknown"), str(error)
    return str(folder), ""


def device() -> tuple[str, str]:
    """Return the device that would be used, with its threads, and what to do when it is none."""
    try:
        return runtime.device_label(runtime.device()), ""
    except CourseError as error:
        return "none", str(error)


def data() -> Iterator[Finding]:
    """Yield where the real data are, and how to get those that are missing."""
    from course_utils.data import COLLECTIONS

    source = os.environ.get("COURSE_SOURCE") or "auto"
    yield "source", f"{source} (COURSE_SOURCE)", ""
    try:
        root = folders.data_dir()
    except CourseError as error:
        yield "data", "unusable", str(error)
        return
    for collection in COLLECTIONS.values():
        try:
            yield collection.title, *images(collection, root)
        except CourseError as error:
            yield collection.title, "unusable", str(error)


def images(collection, root: Path) -> tuple[str, str]:
    """Return where the images of a collection are, and what to do when some are missing."""
    command, place = f"course data {collection.command}", root / collection.folder
    absent = collection.missing(root)
    if not absent:
        return f"in {place} ({command} --verify checks it)", ""
    if len(absent) < len(collection.files):
        return f"incomplete in {place}: no {', '.join(absent)}", f"{command} fetches it"
    return f"not in {root}: drawn images are used; for the real ones: {command}", ""
