"""A collection of images: how it is called, found, fetched, read, and drawn where it is not there.

Where the images come from is settled by COURSE_SOURCE: `auto` takes the data folder, else a
verified download, else draws; `real` and `drawn` insist.
"""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from pathlib import Path

from course_utils import folders, provenance, runtime
from course_utils.data.dataset import Dataset
from course_utils.errors import CourseError

SOURCES = ("auto", "real", "drawn")


class Collection(ABC):
    """One collection. A subclass says how; `load` decides which of them happens.

    Attributes:
        name: of the real thing, as claims name it: "mnist".
        title: as people write it: "MNIST".
        command: its word after `course data`.
        folder: its folder below the data folder.
        files: the names of what makes it complete.
        sizes: profile -> numbers of training, validation and test images.
        only_when_asked: large, so that `course data` alone fetches it: where it is not there,
            stand-ins are drawn, even if COURSE_DATA is set.
    """

    name: str
    title: str
    command: str
    folder: str
    files: tuple[str, ...]
    sizes: dict[str, tuple[int, int, int]]
    only_when_asked: bool = False

    @abstractmethod
    def missing(self, root: Path) -> list[str]:
        """Return the names of what the data folder `root` lacks; nothing when it is complete."""

    @abstractmethod
    def fetch(self, root: Path, archive: Path | None = None) -> None:
        """Bring what is missing into `root`, verified; from the file `archive` where one is named.

        Files of others stay. Raises CourseError when it can be had from nowhere.
        """

    def refuse_unknown(self, **options) -> None:  # noqa: B027
        """Raise CourseError where an option of `fetch` is none that this collection knows."""

    def refuse_other(self, root: Path, **options) -> None:  # noqa: B027
        """Raise CourseError where what is in `root` is not what options of `fetch` ask for."""

    @abstractmethod
    def verify(self, root: Path) -> str:
        """Check all that is in `root`; return in words what it is, or raise CourseError.

        The words follow a name: "is what was published: four files, SHA-256 checked".
        """

    @abstractmethod
    def real(self, root: Path, profile: str) -> Dataset:
        """Read the collection from `root`, verified."""

    @abstractmethod
    def drawn(self, profile: str) -> Dataset:
        """Draw stand-ins."""

    def load(self, source: str | None = None, profile: str | None = None) -> Dataset:
        """Return the images, say in one line what was loaded (once), and remember it for claims.

        Args:
            source: "auto", "real" or "drawn"; COURSE_SOURCE where None.
            profile: "quick" or "full"; COURSE_PROFILE where None.

        Raises CourseError when files are incomplete or damaged, or `source` is "real" and there
        are none.
        """
        chosen = source or os.environ.get("COURSE_SOURCE") or "auto"
        if chosen not in SOURCES:
            raise CourseError(f"COURSE_SOURCE is {chosen!r}; choose one of: {', '.join(SOURCES)}")
        profile = runtime.profile(profile)
        root = None if chosen == "drawn" else self.find(insist=chosen == "real")
        dataset = loaded(self, root, profile, self.sizes[profile])
        provenance.use_data(dataset.name, dataset.sha256, real=dataset.source == "real")
        announce(
            f"Data: {dataset}"
            + (f"; for the real thing: course data {self.command}" if root is None else "")
        )
        return dataset

    def find(self, insist: bool = False) -> Path | None:
        """Return the data folder if it holds the collection, which is fetched where that works.

        None means: draw. Raises CourseError when COURSE_DATA is set but lacks files, and, where
        the caller insists on real data, when it can be neither found nor fetched.
        """
        root = folders.data_dir()
        absent = self.missing(root)
        if not absent:
            return root
        if self.only_when_asked and not insist:
            return None
        if os.environ.get("COURSE_DATA") or self.only_when_asked:
            raise self.incomplete(root, absent)
        if self.name in _asked_in_vain and not insist:
            return None
        try:
            self.fetch(root)
        except CourseError:
            if insist:
                raise
            _asked_in_vain.add(self.name)
            return None
        return root

    def incomplete(self, root: Path, absent: list[str]) -> CourseError:
        """Return the error for a data folder that lacks what it was named for."""
        named = os.environ.get("COURSE_DATA")
        where = (
            f"COURSE_DATA is {named!r}, but {self.folder}" if named else f"{root}: {self.folder}"
        )
        unset = "unset COURSE_DATA, or " if named else ""
        return CourseError(
            f"{where} there lacks {', '.join(absent)}; complete it with: "
            f"course data {self.command}, or {unset}set COURSE_SOURCE=drawn"
        )


_asked_in_vain: set[str] = set()  # collections that could not be fetched: one wait is enough


@functools.lru_cache(maxsize=4)  # kept for the rest of the process
def loaded(
    collection: Collection, root: Path | None, profile: str, sizes: tuple[int, int, int]
) -> Dataset:
    """Read from `root`, or draw where it is None; `sizes` are part of what is remembered."""
    return collection.drawn(profile) if root is None else collection.real(root, profile)


@functools.cache  # once in a process: recipes ask for their data at every run
def announce(line: str) -> None:
    """Print a line that says which data a result comes from."""
    print(line)


def forget() -> None:
    """Forget what this process loaded, said, and asked for in vain."""
    loaded.cache_clear()
    announce.cache_clear()
    _asked_in_vain.clear()
