"""Which runs are kept: listed, and deleted when somebody says so."""

from __future__ import annotations

import contextlib
import fnmatch
import re
import time
from dataclasses import dataclass
from pathlib import Path

from course_utils import folders
from course_utils.errors import CourseError
from course_utils.runs.code import staleness
from course_utils.runs.folder import CHECKPOINT, INFO, LOCK, is_ours, read_info, recipe_of

NAME = re.compile(r"(?P<recipe>.+)-(?P<profile>quick|full)-s(?P<seed>\d+)-[0-9a-f]{10}")
AGES = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


@dataclass(frozen=True)
class Kept:
    """A run's folder, as far as it can be told without loading the run.

    Attributes:
        path: of the folder.
        recipe, profile, seed: by the folder's name.
        size: of the run's files, in bytes.
        age: seconds since it was last written to.
        state: "finished", "stale", "unfinished", "in training" or "damaged".
        remark: why it is stale or damaged; else nothing.
    """

    path: Path
    recipe: str
    profile: str
    seed: int
    size: int
    age: float
    state: str
    remark: str = ""


def kept_runs(folder: Path | None = None) -> list[Kept]:
    """Return the runs in a folder, by name; in `folders.runs_dir()` where None.

    Raises CourseError where this user may not look.
    """
    places = folders.listing(folder or folders.runs_dir())
    return [look_at(path) for path in places if NAME.fullmatch(path.name) and folders.is_dir(path)]


def look_at(path: Path) -> Kept:
    """Return what can be told of a run by its folder."""
    match = NAME.fullmatch(path.name)
    stats = [file.stat() for file in ours_in(path)]
    written = max((stat.st_mtime for stat in stats), default=path.stat().st_mtime)
    size, age = sum(stat.st_size for stat in stats), max(0.0, time.time() - written)
    state, remark = state_of(path)
    return Kept(
        path, match["recipe"], match["profile"], int(match["seed"]), size, age, state, remark
    )


def ours_in(path: Path) -> list[Path]:
    """Return the files in a run's folder that the course puts there."""
    return [p for p in folders.listing(path) if is_ours(p.name) and p.is_file()]


def state_of(path: Path) -> tuple[str, str]:
    """Return the state of a run's folder and a remark: see `Kept`."""
    if in_training(path):
        return "in training", ""
    if folders.exists(path / INFO):
        try:
            info = read_info(path)
            stale = staleness(recipe_of(info), info)
        except CourseError as error:
            return "damaged", str(error)
        return ("stale", stale) if stale else ("finished", "")
    if folders.exists(path / CHECKPOINT):
        return "unfinished", ""
    return "damaged", f"neither {INFO} nor {CHECKPOINT}"


def in_training(path: Path) -> bool:
    """Tell whether a process holds the lock of a run's folder."""
    import filelock

    lock = path / LOCK
    if not folders.exists(lock):
        return False
    try:
        with folders.in_words("write to", lock), filelock.FileLock(lock, timeout=0):
            return False
    except (filelock.Timeout, CourseError):  # held, or another user's
        return True


def chosen(runs: list[Kept], names: list[str], states: set[str]) -> list[Kept]:
    """Return the runs that names and states pick.

    Args:
        runs: to choose among.
        names: of folders or recipes, with * and ? for whatever; all where empty.
        states: see `Kept`; all where empty.

    Raises CourseError for a name that fits no run.
    """
    for name in names:
        if not any(fits(run.path.name, name) for run in runs):
            raise CourseError(f"no kept run is called {name!r}; `course runs` lists them")
    return [
        run
        for run in runs
        if (not names or any(fits(run.path.name, name) for name in names))
        and (not states or run.state in states)
    ]


def fits(folder: str, name: str) -> bool:
    """Tell whether a name, with * and ? for whatever, is that of a run's folder or its recipe."""
    recipe = NAME.fullmatch(folder)["recipe"]
    return any(fnmatch.fnmatchcase(own, name) for own in (folder, recipe))


def delete(run: Kept) -> list[str]:
    """Delete the files of a run, and its folder if nothing else is in it.

    Returns the names of what is in the folder and not the course's, which stays. Raises CourseError
    when the run is being trained, or the files cannot be deleted.
    """
    if in_training(run.path):
        raise CourseError(f"{run.path} is being trained; stop that first")
    with folders.in_words("delete", run.path):
        for file in sorted(ours_in(run.path), key=lambda file: file.name != INFO):
            file.unlink(missing_ok=True)  # run.json first: what is half deleted is no run
        with contextlib.suppress(OSError):
            run.path.rmdir()
    return [path.name for path in folders.listing(run.path)]


def table(runs: list[Kept]) -> list[str]:
    """Return a line for each run: its folder's name, size, age and state."""
    width = max((len(run.path.name) for run in runs), default=0)
    return [
        f"{run.path.name:{width}} {readable_size(run.size):>10} {readable_age(run.age):>10}  "
        + (f"{run.state}: {run.remark}" if run.remark else run.state)
        for run in runs
    ]


def readable_size(size: int) -> str:
    """Return a number of bytes as "1.2 MB"."""
    return f"{size / 1e6:,.1f} MB"


def readable_age(seconds: float) -> str:
    """Return a time as "3 days", in the largest unit of which there are two, or in seconds."""
    for length, unit in AGES:
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return "1 second"
