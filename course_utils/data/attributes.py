"""What the faces of LFW show: who smiles, who wears glasses. And drawn faces by their hair.

    people = attributes.smiles_and_glasses()
    people.train.y      # 0 neither, 1 smiling, 2 glasses, 3 both
    people.source       # "drawn" where the photographs or their attributes are not there

The attributes are a table, `lfwa_73.csv`: one line for each photograph, one column for each of 73
attributes. It may be used for research and not be passed on, so it is no part of the course: put it
into the folder `lfw` of the data folder. Machines wrote it and it is often wrong.
Sources: Kumar, Berg, Belhumeur and Nayar 2009 (ICCV); Liu, Luo, Wang and Tang 2015 (ICCV).
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from pathlib import Path

import torch

from course_utils import folders, provenance, runtime
from course_utils.data import decoding, drawn_faces, lfw
from course_utils.data.collection import announce
from course_utils.data.dataset import Dataset, Split
from course_utils.errors import CourseError

TABLE = "lfwa_73.csv"
SMILING, GLASSES = ("Smiling",), ("Eyeglasses", "Sunglasses")  # columns: any of them says yes
KINDS = ("neither", "smiling", "glasses", "both")
NAME = re.compile(r"(.+)_(\d{4})\.jpg")
LEAST_MATCHED = 0.9  # of the photographs; a table with fewer belongs to other ones

Photograph = tuple[str, int]  # a person's name, and the number of the photograph


# ------------------------------------------------------------------------------------ the table


def table_at() -> Path | None:
    """Return where the table of attributes lies, in the data folder or the cache; None without."""
    places = (folders.data_dir(), folders.cache_dir() / "data")
    found = (root / lfw.LFW.folder / TABLE for root in places)
    return next((path for path in found if folders.is_file(path)), None)


def read_scores(path: Path, columns: tuple[str, ...]) -> dict[Photograph, tuple[float, ...]]:
    """Return the scores of some attributes, by person and number of the photograph.

    Args:
        path: a table with a header; the column "file" names a photograph as LFW does,
            "Person/Person_0001.jpg", the others hold numbers: 0 or 1, or scores around 0.
        columns: the attributes that are wanted.

    Raises CourseError, with the line, where the table is absent or not of this kind.
    """
    if not folders.is_file(path):
        raise CourseError(
            f"{path} is not there; put the table of LFW's attributes there, or set "
            "COURSE_SOURCE=drawn"
        )
    reader = csv.DictReader(io.StringIO(folders.read_text(path), newline=""))
    missing = [name for name in ("file", *columns) if name not in (reader.fieldnames or ())]
    if missing:
        raise CourseError(
            f"{path} has no column {missing[0]!r}; its first line must name: file, "
            f"{', '.join(columns)}"
        )
    scores: dict[Photograph, tuple[float, ...]] = {}
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        photograph = named(row["file"], where)
        if photograph in scores:
            raise CourseError(f"{where}: {row['file']} stands there twice; take one of them out")
        scores[photograph] = tuple(number(row[name], f"{where}, {name}") for name in columns)
    return scores


def named(file: str | None, where: str) -> Photograph:
    """Return person and number of a photograph, "Person/Person_0001.jpg" or the last part of it."""
    found = NAME.fullmatch((file or "").rpartition("/")[2])
    if not found:
        raise CourseError(f"{where}: {file!r} is no photograph of LFW, like Person/Person_0001.jpg")
    return found[1], int(found[2])


def number(word: str | None, where: str) -> float:
    """Return a cell of the table as a finite number; CourseError, which says where, otherwise."""
    try:
        value = float(word)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise CourseError(f"{where}: {word!r} is no number; give 0 or 1, or a score")
    return value


def kinds_of(scores: dict[Photograph, tuple[float, ...]]) -> dict[Photograph, int]:
    """Return the place in KINDS of each photograph; a score above 0 says yes.

    Args:
        scores: of SMILING and GLASSES, in this order.
    """
    n = len(SMILING)

    def yes(values: tuple[float, ...]) -> bool:
        return any(value > 0 for value in values)

    return {photo: yes(row[:n]) + 2 * yes(row[n:]) for photo, row in scores.items()}


def joined(names: list[str], kinds: dict[Photograph, int]) -> torch.Tensor:
    """Return the kind of each photograph (N,) int64, and -1 where the table does not have it.

    Raises CourseError where it lacks more than a tenth of them.
    """
    y = torch.tensor([kinds.get(named(name, "the store"), -1) for name in names])
    found = int((y >= 0).sum())
    if found < LEAST_MATCHED * len(names):
        raise CourseError(
            f"{TABLE} knows {found:,} of {len(names):,} photographs; it belongs to other ones: "
            "LFW's have names like Aaron_Eckhart_0001.jpg"
        )
    return y


# ----------------------------------------------------------------------------------- the data sets


class SmilesAndGlasses(lfw.Faces):
    """The faces of LFW with one of four labels; drawn ones where the table is not there."""

    def find(self, insist: bool = False) -> Path | None:
        root = super().find(insist)
        if root is None or table_at():
            return root
        path = folders.data_dir() / self.folder / TABLE
        if insist:
            read_scores(path, ())  # says what is missing, and where
        announce(f"Data: {self.title} is there, its attributes ({path}) are not")
        return None

    def real(self, root: Path, profile: str) -> Dataset:
        """Return those faces of the store that the table knows, split by person as ever."""
        path = table_at()
        kinds = kinds_of(read_scores(path, SMILING + GLASSES))
        whole = super().real(root, profile)
        x, names = decoding.cached(root)
        y = joined(names, kinds)
        _, _, rows = self.split(names, profile)
        parts = [Split(x[known], y[known]) for known in (r[y[r] >= 0] for r in rows)]
        table = hashlib.sha256(folders.read_bytes(path)).hexdigest()
        sha256 = hashlib.sha256(f"{whole.sha256} {table} {SMILING} {GLASSES}".encode()).hexdigest()
        return Dataset(whole.name, "real", sha256, *parts, classes=KINDS)

    def drawn(self, profile: str) -> Dataset:
        """Return drawn faces whose corners of the mouth are up, or that wear any glasses."""
        smile, glasses = (drawn_faces.NAMES.index(name) for name in ("smile", "glasses"))
        return drawn_by(
            "smiles and glasses", KINDS, profile,
            lambda factors: (factors[:, smile] > 0).long() + 2 * (factors[:, glasses] > 0),
        )  # fmt: skip


def drawn_by(says: str, classes: tuple[str, ...], profile: str, label) -> Dataset:
    """Return drawn faces that `label` labels, factors (N, 18) -> (N,); `says` names how."""
    whole = lfw.LFW.drawn(profile)
    sizes = lfw.LFW.sizes[profile]
    _, factors = lfw.drawn_images(sum(sizes), seed=0)
    parts = [
        Split(split.x, label(of).long())
        for split, of in zip(
            (whole.train, whole.val, whole.test), factors.split(sizes), strict=True
        )
    ]
    sha256 = hashlib.sha256(f"{whole.sha256} {says}".encode()).hexdigest()
    return Dataset(whole.name, "drawn", sha256, *parts, classes=classes)


LABELLED = SmilesAndGlasses()


def smiles_and_glasses(source: str | None = None, profile: str | None = None) -> Dataset:
    """Return faces labelled 0 to 3: neither smiling nor with glasses, smiling, glasses, both.

    Arguments as in `data.faces`. Photographs that the table does not have are left out. Raises
    CourseError as it does, and for a table that is damaged, or absent where `source` is "real".
    """
    return LABELLED.load(source, profile)


def hairstyles(profile: str | None = None) -> Dataset:
    """Return drawn faces, never photographs, labelled by the four hairstyles."""
    dataset = lfw.LFW.drawn(runtime.profile(profile))
    provenance.use_data(dataset.name, dataset.sha256, real=False)
    return dataset
