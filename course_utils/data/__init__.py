"""Data sets as uint8 tensors, checked, split, and with their source named.

    digits = data.mnist()
    digits.train.x      # (55000, 1, 28, 28) uint8, in the full profile
    digits.source       # "real" or "drawn"

Where the images come from is settled by COURSE_SOURCE: `auto` takes the data folder, else a
verified download, else draws digits; `real` and `drawn` insist.
"""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from course_utils import provenance, runtime
from course_utils.data import cache, idx
from course_utils.data.loader import Batches, as_float, batches
from course_utils.runtime import CourseError

__all__ = ["Batches", "Dataset", "Split", "as_float", "batches", "fashion", "mnist"]

SOURCES = ("auto", "real", "drawn")
SIZES = {"quick": (10_000, 1_000, 2_000), "full": (55_000, 5_000, 10_000)}  # train, val, test
SPLIT_SEED = 0  # of the permutation that sets 5,000 of the 60,000 training images aside
DIGITS = tuple("0123456789")
GARMENTS = ("T-shirt", "trousers", "pullover", "dress", "coat",
            "sandal", "shirt", "sneaker", "bag", "ankle boot")  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Images x (N, 1, 28, 28) uint8 and labels y (N,) int64."""

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.x)

    def head(self, n: int) -> Split:
        """Return the first `n` images and labels."""
        return Split(self.x[:n], self.y[:n])


@dataclass(frozen=True)
class Dataset:
    """Three splits, and where they come from.

    Attributes:
        name: "mnist", "fashion-mnist", "drawn digits" or "drawn garments".
        source: "real" or "drawn".
        sha256: of what the images were made from, and of the sizes of the splits.
        train, val, test: choices are made on `val`; `test` is scored once.
        classes: the ten names behind the labels.
    """

    name: str
    source: str
    sha256: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]

    def __str__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self, s)):,} {s}" for s in ("train", "val", "test"))
        return f"{self.name} ({sizes})"


def mnist(source: str | None = None, profile: str | None = None) -> Dataset:
    """Return the handwritten digits: real MNIST, or drawn digits where there is none.

    Args:
        source: "auto", "real" or "drawn"; COURSE_SOURCE where None.
        profile: "full" for all 70,000 images, "quick" for 13,000; COURSE_PROFILE where None.

    Raises CourseError when the files are incomplete or damaged, or `source` is "real" and there
    are none. Source of the data: LeCun, Cortes and Burges, 1998.
    """
    return _announced("MNIST", source, profile)


def fashion(source: str | None = None, profile: str | None = None) -> Dataset:
    """Return pictures of clothes, 28x28 like the digits (Xiao, Rasul and Vollgraf, 2017).

    Arguments and errors as in `mnist`; the stand-in without real data are drawn silhouettes.
    """
    return _announced("FashionMNIST", source, profile)


def _announced(collection: str, source: str | None, profile: str | None) -> Dataset:
    """Load, say in one line what was loaded (once), and remember it for the claims."""
    chosen = source or os.environ.get("COURSE_SOURCE") or "auto"
    if chosen not in SOURCES:
        raise CourseError(f"COURSE_SOURCE is {chosen!r}; choose one of: {', '.join(SOURCES)}")
    place = None if chosen == "drawn" else find(collection, insist=chosen == "real")
    dataset = _load(collection, place, runtime.profile(profile))
    provenance.use_data(dataset.name, dataset.sha256, real=dataset.source == "real")
    announce(
        f"Data: {dataset}"
        + (f"; for the real thing: course data {collection.lower()}" if place is None else "")
    )
    return dataset


@functools.cache  # once in a process: recipes ask for their data at every run
def announce(line: str) -> None:
    """Print a line that says which data a result comes from."""
    print(line)


def find(collection: str, insist: bool = False) -> Path | None:
    """Return the folder that holds the real `collection`, downloading it where that works.

    None means: draw. Raises CourseError when COURSE_DATA is set but lacks files, and, where the
    caller insists on real data, when it can be neither found nor downloaded.
    """
    folder = runtime.data_dir()
    absent = idx.missing(folder, collection)
    if not absent:
        return folder
    if os.environ.get("COURSE_DATA"):
        raise CourseError(
            f"COURSE_DATA is {os.environ['COURSE_DATA']!r}, but {collection}/raw there lacks "
            f"{', '.join(absent)}; complete it with: course data {collection.lower()}, "
            "or unset COURSE_DATA, or set COURSE_SOURCE=drawn"
        )
    if collection in _asked_in_vain and not insist:
        return None
    try:
        idx.download(folder, collection)
    except CourseError:
        if insist:
            raise
        _asked_in_vain.add(collection)
        return None
    return folder


_asked_in_vain: set[str] = set()  # collections that could not be downloaded: one wait is enough


@functools.lru_cache(maxsize=4)
def _load(collection: str, place: Path | None, profile: str) -> Dataset:
    """Read or draw, then split; kept for the rest of the process."""
    n_train, n_val, n_test = SIZES[profile]
    if place is None:
        kind = "digits" if collection == "MNIST" else "garments"
        name, origin = f"drawn {kind}", f"{kind} {cache.fingerprint()}"
        pool = Split(*cache.drawn_images(kind, n_train + n_val, seed=0))
        test = Split(*cache.drawn_images(kind, n_test, seed=1))
        order = torch.arange(n_train + n_val)
    else:
        name = "mnist" if collection == "MNIST" else "fashion-mnist"
        train_x, train_y, test_x, test_y = idx.read(place, collection)
        pool, test = Split(train_x, train_y), Split(test_x, test_y)
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(SPLIT_SEED))
        origin = idx.fingerprint(collection)
    val, train = order[-n_val:], order[:n_train]
    return Dataset(
        name=name,
        source="real" if place else "drawn",
        sha256=hashlib.sha256(f"{origin} {SIZES[profile]} {SPLIT_SEED}".encode()).hexdigest(),
        train=Split(pool.x.index_select(0, train), pool.y[train]),
        val=Split(pool.x.index_select(0, val), pool.y[val]),
        test=test.head(n_test),
        classes=DIGITS if collection == "MNIST" else GARMENTS,
    )
