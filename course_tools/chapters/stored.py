"""Chapters and exercises as they are stored: where they lie, and what belongs to each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_tools.chapters.cells import code_cells, judged_ids
from course_utils import claims
from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
EXERCISES = "exercises"  # the folder beside the chapters
# exercises are executed as they are tested, so that their outputs are the same everywhere
AS_TESTED = {"COURSE_PROFILE": "quick", "COURSE_SOURCE": "drawn", "COURSE_DATA": ""}
NUMBERED = re.compile(r"(\d\d)_")


@dataclass(frozen=True)
class Notebook:
    """A chapter or exercise as it is stored, with what its claims say.

    Attributes:
        nb: the notebook.
        chapter: the claims file that it belongs to: "01", "scoring".
        claims: every statement of the book, by id.
        records: what was recorded, by id.
        elsewhere: ids that the chapter's other notebooks judge.
        exercise: it lies among the exercises: no chapter of its own, quick and on drawn data.
    """

    nb: NotebookNode
    chapter: str
    claims: dict[str, claims.Claim]
    records: dict[str, dict]
    elsewhere: tuple[str, ...] = ()
    exercise: bool = False

    @property
    def code(self) -> list[NotebookNode]:
        """Its code cells."""
        return code_cells(self.nb)

    def stated(self) -> list[str]:
        """Return the ids of the claims of this chapter."""
        return [id for id, claim in self.claims.items() if claim.chapter == self.chapter]


def numbered(notebook: Notebook) -> Iterator[tuple[str, NotebookNode]]:
    """Yield "code cell 3 ('first line')" and the cell, for all code cells."""
    for number, cell in enumerate(notebook.code, 1):
        first = cell.source.strip().split("\n")[0][:40]
        yield f"code cell {number} ({first!r})", cell


def chapters(folder: Path = FOLDER) -> list[Path]:
    """Return the files of all chapters, the numbered ones first, in order."""
    found = [path for path in folder.glob("*.ipynb") if not path.name.startswith(".")]
    return sorted(found, key=lambda path: (not NUMBERED.match(path.name), path.name))


def exercises(folder: Path = FOLDER) -> list[Path]:
    """Return the files of all exercises, in order."""
    return chapters(folder / EXERCISES)


def is_exercise(path: Path) -> bool:
    """Tell whether a notebook is an exercise, by its folder."""
    return path.absolute().parent.name == EXERCISES


def find(names: list[str], folder: Path = FOLDER) -> list[Path]:
    """Return the files of the chapters and exercises named, all when none is.

    A name is a file's, with or without folder and ending, or a number: both notebooks of a chapter
    that has two. The exercises of a chapter are "exercises/NN".
    """
    known = [*chapters(folder), *exercises(folder)]
    if not names:
        return known
    return [path for name in names for path in matching(name, known)]


def matching(name: str, known: list[Path]) -> list[Path]:
    """Return the notebooks among `known` that a name means; CourseError where there is none."""
    wanted = Path(name).name.removesuffix(".ipynb")
    exercise = Path(name).parent.name == EXERCISES
    among = [path for path in known if is_exercise(path) == exercise]
    matches = [path for path in among if wanted in (path.stem, path.name.split("_")[0])]
    matches = matches or [path for path in known if wanted == path.stem]
    if not matches:
        what, folder = ("exercise", f"{EXERCISES}/") if exercise else ("chapter", "")
        there = ", ".join(folder + path.stem for path in among) or "none yet"
        raise CourseError(f"no {what} is called {name!r}; there are: {there}")
    return matches


def judged_in(nb: NotebookNode) -> list[str]:
    """Return the ids of the claims that a notebook judges."""
    return [id for cell in code_cells(nb) for id in judged_ids(cell) if id]


def chapter_of(path: Path, nb: NotebookNode, stated: dict[str, claims.Claim]) -> str:
    """Return the claims file that a notebook belongs to, without its ending.

    That of its number; without a number, the file that states what it judges.
    """
    if number := NUMBERED.match(path.name):
        return number[1]
    files = [stated[id].chapter for id in judged_in(nb) if id in stated]
    return max(files, key=files.count) if files else path.stem


def read(path: Path) -> Notebook:
    """Return the notebook stored at `path`, with the statements and records of the book.

    Raises CourseError for a file that is no notebook.
    """
    try:
        nb = nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        why = str(error).partition("\n")[0][:80]
        raise CourseError(f"{path} cannot be read as a notebook ({why})") from None
    stated = claims.load()
    if is_exercise(path):
        return Notebook(nb, path.stem[:2], {}, {}, exercise=True)
    chapter = chapter_of(path, nb, stated)
    return Notebook(nb, chapter, stated, claims.records(), judged_beside(path, chapter, stated))


def judged_beside(path: Path, chapter: str, stated: dict[str, claims.Claim]) -> tuple[str, ...]:
    """Return the ids that the other notebooks of the same chapter judge."""
    others = [other for other in chapters(path.parent) if other.name != path.name]
    read = [(other, nbformat.read(other, as_version=4)) for other in others]
    own = [nb for other, nb in read if chapter_of(other, nb, stated) == chapter]
    return tuple(id for nb in own for id in judged_in(nb))
