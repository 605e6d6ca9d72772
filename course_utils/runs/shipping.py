"""Runs of the book, packed for a release, and fetched from there by who cannot train for hours.

A release holds an index, `runs.json`, and a ZIP file for each run. What is fetched is checked
against the index, and again against the hashes that the run itself keeps, before it is moved to its
place. A run that is there already is left as it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from course_utils import folders
from course_utils.data.mirrors import Unreachable, fetched
from course_utils.errors import CourseError
from course_utils.runs.catalogue import NAME, chosen, fits, kept_runs, readable_size
from course_utils.runs.folder import (
    HISTORY,
    INFO,
    MEASURED,
    WEIGHTS,
    finished,
    read_info,
    refuse_other_file,
)

INDEX = "runs.json"
SHIPPED = (INFO, WEIGHTS, HISTORY, MEASURED)
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same run gives the same bytes


def pack(out: Path, names: list[str], say: Callable[[str], None] = print) -> list[Path]:
    """Pack finished runs, and their index, into a folder; return the files.

    Args:
        out: new or empty, or with nothing but an older release in it.
        names: of folders or recipes, with * for whatever; all finished ones of the full profile
            where empty.
        say: is told each line.

    Raises CourseError when there is none, or `out` holds anything else.
    """
    out = folders.located(out)
    foreign = [path.name for path in folders.listing(out)
               if path.name != INDEX and not NAME.fullmatch(path.stem)]  # fmt: skip
    if foreign:
        raise CourseError(f"{out} holds something else ({foreign[0]}); name another folder")
    runs = chosen(kept_runs(), names, {"finished"})
    runs = [run for run in runs if names or run.profile == "full"]
    if not runs:
        raise CourseError("no finished run is kept that could be packed; `course runs` lists them")
    folders.make_folder(out)
    entries, files = {}, []
    for run in runs:
        content = zipped(run.path)
        files.append(out / f"{run.path.name}.zip")
        folders.write_atomically(files[-1], content)
        entries[run.path.name] = {"sha256": hashlib.sha256(content).hexdigest(),
                                  "size": len(content)}  # fmt: skip
        say(f"{run.path.name} {readable_size(len(content))}")
    folders.write_json(out / INDEX, {"runs": entries})
    return [*files, out / INDEX]


def zipped(folder: Path) -> bytes:
    """Return a run as a ZIP file, the same bytes each time."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in SHIPPED:
            if folders.is_file(folder / name):
                entry = zipfile.ZipInfo(name, LONG_AGO)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, folders.read_bytes(folder / name), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def fetch(names: list[str], place: str = "", say: Callable[[str], None] = print) -> list[Path]:
    """Fetch runs of the book into the folder of runs; return the folders of those that came.

    Args:
        names: of folders or recipes, with * for whatever; all where empty.
        place: address or folder of a release; COURSE_RELEASE where empty.
        say: is told each line.

    Raises CourseError when the place is not known or gives no index, when a name fits no run, and
    when what comes is not what the index describes: then nothing of that run is kept.
    """
    place = place or os.environ.get("COURSE_RELEASE", "")
    if not place:
        raise CourseError(
            "from where? The set-up cell of a published notebook sets COURSE_RELEASE; elsewhere "
            "type: course runs fetch --from https://github.com/OWNER/NAME/releases/download/TAG"
        )
    known = index(place)
    wanted = [run for run in known if not names or any(fits(run, name) for name in names)]
    for name in names:
        if not any(fits(run, name) for run in known):
            raise CourseError(f"{place} holds no run called {name!r}; it holds {shown(known)}")
    came = []
    for run in wanted:
        home = folders.runs_dir() / run
        if finished(home):
            say(f"{run} is there already")
            continue
        place_run(home, content_of(place, run, known[run]))
        came.append(home)
        say(f"{run} {readable_size(known[run]['size'])}")
    return came


def index(place: str) -> dict[str, dict]:
    """Return what a release holds: sha256 and size by run; CourseError where it has no index."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / INDEX
        copy.write_bytes(asked(place, INDEX))
        try:
            runs = folders.read_json(copy)["runs"]
            for name, entry in runs.items():
                if not NAME.fullmatch(name) or len(entry["sha256"]) != 64 or entry["size"] < 0:
                    raise CourseError(f"{name!r} is no run")
        except (CourseError, KeyError, TypeError, AttributeError) as error:
            raise CourseError(f"{INDEX} at {place} is no index of runs ({error})") from None
    return dict(sorted(runs.items()))


def asked(place: str, name: str) -> bytes:
    """Return a file of a release; CourseError in words where there is none."""
    try:
        return fetched(place, name)
    except Unreachable as error:
        raise CourseError(f"{name} could not be fetched from {place}: {error}") from None


def content_of(place: str, run: str, entry: dict) -> bytes:
    """Return the ZIP file of a run; CourseError unless it is the one of the index."""
    content = asked(place, f"{run}.zip")
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise CourseError(f"{run}.zip from {place} is not the file of its index; fetch it again")
    return content


def place_run(home: Path, content: bytes) -> None:
    """Unpack a run beside its place, check it by its own hashes, and move it there."""
    folders.make_folder(home.parent)
    with (
        folders.in_words("write to", home),
        tempfile.TemporaryDirectory(prefix=".fetching-", dir=home.parent) as beside,
    ):
        new = Path(beside) / home.name
        folders.make_folder(new)
        unpack(content, new)
        info = read_info(new)
        refuse_other_file(new / WEIGHTS, info["weights_sha256"])
        refuse_other_file(new / HISTORY, info.get("history_sha256"))
        if folders.exists(home):  # an unfinished training, perhaps: the user's
            raise CourseError(f"{home} holds an unfinished run; finish it, or delete it, first")
        shutil.move(new, home)


def unpack(content: bytes, into: Path) -> None:
    """Write the files of a run from a ZIP file, and no others; CourseError where it is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                if name not in SHIPPED:
                    raise CourseError(f"the ZIP file of {into.name} holds {name!r}, no run")
                (into / name).write_bytes(archive.read(name))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise CourseError(f"the ZIP file of {into.name} cannot be read ({error})") from None


def shown(known: dict) -> str:
    """Return the recipes of a release in words."""
    recipes = sorted({NAME.fullmatch(run)["recipe"] for run in known})
    return ", ".join(recipes[:12]) + (", ..." if len(recipes) > 12 else "") or "none"
