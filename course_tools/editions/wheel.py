"""The one wheel that a set-up cell installs: the package, with statements and records in it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat

from course_tools.chapters import exercises, stored
from course_utils import folders
from course_utils.errors import CourseError

FOLDER = "wheels"  # in the student edition
TEXTS = (".py", ".toml", ".json", ".md", ".txt")


def build(into: Path, root: Path = stored.ROOT) -> Path:
    """Build the wheel of the clone at `root` into a folder; return its path.

    The same sources give the same bytes. Raises CourseError when it cannot be built, or when the
    solution of a graded exercise is in it.
    """
    folders.make_folder(into)
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place]
        done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True,
                              encoding="utf-8", errors="replace")  # fmt: skip
        made = sorted(Path(place).glob("*.whl"))
        if done.returncode or len(made) != 1:
            raise CourseError(f"the wheel was not built: {done.stderr.strip()[-400:]}")
        refuse_solutions(made[0], root)
        path = into / made[0].name
        folders.write_atomically(path, made[0].read_bytes())
    return path


def refuse_solutions(wheel: Path, root: Path) -> None:
    """Raise CourseError when a part of a graded solution is in a wheel."""
    notebooks = [nbformat.read(path, as_version=4) for path in stored.exercises(root / "notebooks")]
    graded = [e for nb in notebooks for e in exercises.exercises(nb) if e.graded]
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if not name.endswith(TEXTS):
                continue
            found = exercises.leaks(archive.read(name).decode("utf-8", "replace"), graded)
            if found:
                raise CourseError(f"{name} gives a graded solution away: {', '.join(found)}")
