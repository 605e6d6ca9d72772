"""Faces: Labeled Faces in the Wild (LFW), or drawn faces where there is none.

    people = data.faces()
    people.train.x      # (10794, 3, 64, 64) uint8 in the full profile
    people.classes      # 5,749 names; people.train.y says who it is

Photographs are kept in a store (`store`), decoded once, and cached as one tensor. The splits share
no person: a face in `val` or `test` belongs to somebody whom no model has seen.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
from pathlib import Path

import torch

from course_utils import folders
from course_utils.data import archive, decoding, drawn, drawn_faces, hub, store
from course_utils.data.collection import Collection
from course_utils.data.dataset import Dataset, Split
from course_utils.data.mirrors import Unreachable, downloaded, fetched
from course_utils.errors import CourseError

COUNT = 13_233  # photographs in LFW
ALIGNMENTS = ("deepfunneled", "funneled", "original")  # in the order in which they are looked for
ARCHIVES = {"deepfunneled": "lfw-deepfunneled.tgz", "funneled": "lfw-funneled.tgz",
            "original": "lfw.tgz"}  # fmt: skip
MIRRORS = {  # scikit-learn's copies of the official archives; of deep-funneled LFW there is none
    "funneled": (
        "https://ndownloader.figshare.com/files/5976015",
        "b47c8422c8cded889dc5a13418c4bc2abbda121092b3533a83306f90d900100a",
    ),
    "original": (
        "https://ndownloader.figshare.com/files/5976018",
        "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
    ),
}
CONTENT = {  # of the listing of all photographs: see store.content_sha256
    "deepfunneled": "06cd2ea485b5522bd58e4a36953b4dadd2d6ce231f5d6ef0e6ade3c1a7a0b4cb",
}
SPLIT_SEED = 8888  # of the permutation of the people; the seed of source 003
SHARES = (0.8, 0.1)  # of the people: to train, to choose; the rest is to test
QUICK, FULL = (2_000, 500, 500), (10_000, 1_300, 1_300)  # faces; of LFW, full means all


class Faces(Collection):
    """LFW in 64x64 pixels, or drawn faces where there is none.

    Nothing is downloaded unless it is asked for, and stand-ins are drawn also where COURSE_DATA is
    set and holds other collections. A store is looked for in the data folder and in the cache; if
    only an archive is in the data folder, its store is made in the cache, once.
    """

    name, title, command, folder = "lfw", "LFW", "lfw", "lfw"
    files = (store.MANIFEST,)
    only_when_asked = True

    def __init__(self):
        self.sizes = {"quick": QUICK, "full": FULL}

    # ---------------------------------------------------------------------------------- the store

    def missing(self, root: Path) -> list[str]:
        return [] if self.store_in(root) else [f"a store ({store.MANIFEST})"]

    def store_in(self, root: Path) -> Path | None:
        """Return the folder of the first store below `root`; None without."""
        places = (root / self.folder / alignment for alignment in ALIGNMENTS)
        return next((p for p in places if folders.is_file(p / store.MANIFEST)), None)

    def find(self, insist: bool = False) -> Path | None:
        """Return the folder of a store, made now where only an archive is at hand; None: draw.

        Raises CourseError where the archive is damaged, and, with `insist`, where there is none.
        """
        roots = (folders.data_dir(), folders.cache_dir() / "data")
        for root in roots:
            if found := self.store_in(root):
                return found
        for alignment in ALIGNMENTS:
            for place in ("", self.folder, "mirror"):
                packed = folders.data_dir() / place / ARCHIVES[alignment]
                if folders.is_file(packed):
                    found, sha256 = archive.photographs(packed), store.sha256_of(packed)
                    return self.add(found, alignment, roots[1], str(packed), sha256)
        if insist:
            raise CourseError(
                f"there is no LFW in {roots[0]}; fetch it with: course data lfw, or give an "
                "archive that you have: course data lfw --archive FILE"
            )
        return None

    def add(self, photographs: dict[str, bytes], alignment: str, root: Path, what: str,
            sha256: str | None = None) -> Path:  # fmt: skip
        """Make the store of all photographs below `root`; return its folder.

        Raises CourseError when they are incomplete, or not what the alignment says; `what` names
        where they come from, `sha256` is that of their archive.
        """
        if len(photographs) != COUNT:
            raise CourseError(f"{what} holds {len(photographs):,} photographs; LFW has {COUNT:,}")
        check_alignment(alignment, what, store.content_sha256(photographs), sha256)
        store.build(root / self.folder / alignment, photographs, alignment, sha256)
        return root / self.folder / alignment

    def fetch(self, root: Path, archive: Path | None = None, alignment: str | None = None,
              from_hub: bool = False) -> None:  # fmt: skip
        """Make the store below `root`, or in the cache where `root` cannot be written.

        Args:
            root: the data folder.
            archive: a .tgz of LFW, or a folder; without one the photographs are downloaded.
            alignment: of the photographs; where None, told from the archive's hash, else its
                name; without an archive, what the mirrors have.
            from_hub: ask Activeloop's hub instead of the mirrors.

        Raises CourseError when they can be had from nowhere, are damaged, or incomplete.
        """
        refuse_unknown(alignment)
        root = writable(root)
        if archive is not None:
            found, what = read_archive(archive), str(archive)
            sha256 = store.sha256_of(archive) if folders.is_file(archive) else None
            known = alignment_of(store.content_sha256(found), sha256)
            alignment = alignment or known or told_by(archive.name)
        elif from_hub:
            alignment, found, what = "original", hub.photographs(), hub.ADDRESS
            sha256 = None
        else:
            alignment = alignment or ("deepfunneled" if mirror_of_ones_own() else "funneled")
            found, what = download(alignment), f"the {alignment} archive"
            sha256 = MIRRORS[alignment][1] if alignment in MIRRORS else None  # it was compared
        self.add(found, alignment, root, what, sha256)

    def refuse_unknown(self, alignment: str | None = None, from_hub: bool = False) -> None:
        refuse_unknown(alignment)

    def refuse_other(self, root: Path, alignment: str | None = None,
                     from_hub: bool = False) -> None:  # fmt: skip
        refuse_unknown(alignment)
        place = self.store_in(root)
        kept = store.read_manifest(place).alignment
        wanted = "original" if from_hub else alignment or kept
        if wanted != kept:
            raise CourseError(
                f"{place} holds the {kept} photographs, not the {wanted} ones; to have those, "
                "delete that folder, and say it again"
            )

    def verify(self, root: Path) -> str:
        found = self.store_in(root) or self.store_in(folders.cache_dir() / "data")
        manifest = store.check(found)
        check_alignment(manifest.alignment, str(found), manifest.content, manifest.archive)
        what = f"{manifest.rows:,} {manifest.alignment} photographs, {len(manifest.files)} files"
        if alignment_of(manifest.content, manifest.archive):
            return f"is what was published: {what}, SHA-256 checked"
        return (
            f"has not changed since it was made: {what}, SHA-256 checked. Whether these are "
            "the photographs that were published cannot be told: the store names no archive whose "
            "hash is known. One that is made from the published archive does"
        )

    # --------------------------------------------------------------------------------- the splits

    def real(self, root: Path, profile: str) -> Dataset:
        """Return the faces of the store in the folder `root`, split by person."""
        x, names = decoding.cached(root)
        manifest = store.read_manifest(root)
        check_alignment(manifest.alignment, str(root), manifest.content, manifest.archive)
        people, y, rows = self.split(names, profile)
        sizes = self.sizes_of(profile)
        parts = [Split(x[chosen], y[chosen]) for chosen in rows]
        aligned = manifest.alignment
        name = self.name if aligned == "deepfunneled" else f"{self.name} ({aligned})"
        made_of = (manifest.content, decoding.CROP, decoding.SIDE, SPLIT_SEED, SHARES, sizes)
        sha256 = hashlib.sha256(repr(made_of).encode()).hexdigest()
        return Dataset(name, "real", sha256, *parts, classes=tuple(people))

    def sizes_of(self, profile: str) -> tuple[int | None, ...]:
        """Return how many photographs each split has at most; None is all of them."""
        return self.sizes["quick"] if profile == "quick" else (None,) * 3

    def split(self, names: list[str], profile: str) -> tuple[list[str], torch.Tensor, list]:
        """Return the people, who is on each photograph (N,), and the rows of the three splits.

        Args:
            names: of all photographs.
            profile: "quick" or "full".
        """
        people = sorted({store.person_of(name) for name in names})
        index = {person: i for i, person in enumerate(people)}
        y = torch.tensor([index[store.person_of(name)] for name in names])
        return people, y, by_person(y, len(people), self.sizes_of(profile))

    def drawn(self, profile: str) -> Dataset:
        """Return drawn faces; their labels are the four hairstyles."""
        sizes = self.sizes[profile]
        x, factors = drawn_images(sum(sizes), seed=0)
        y = factors[:, drawn_faces.NAMES.index("hairstyle")].long()
        parts = [Split(*pair) for pair in zip(x.split(sizes), y.split(sizes), strict=True)]
        sha256 = hashlib.sha256(f"{drawing_code()} {sizes}".encode()).hexdigest()
        return Dataset("drawn faces", "drawn", sha256, *parts, classes=drawn_faces.HAIRSTYLES)


LFW = Faces()


def faces(source: str | None = None, profile: str | None = None) -> Dataset:
    """Return faces of people: LFW in 64x64 pixels, or drawn faces where there is none.

    Args:
        source: "auto", "real" or "drawn"; COURSE_SOURCE where None. Nothing is downloaded.
        profile: "full" for all faces, "quick" for 3,000; COURSE_PROFILE where None.

    Labels are people for LFW, hairstyles for drawn faces. The name of the data set is "lfw" for
    the deep-funneled photographs, on which the book's claims rest, else "lfw (funneled)" and so on.
    Raises CourseError when a store is damaged, or `source` is "real" and there is none.
    Sources: Huang, Ramesh, Berg and Learned-Miller, 2007; Huang, Mattar, Lee and Learned-Miller,
    2012 (deep funneling).
    """
    return LFW.load(source, profile)


# ------------------------------------------------------------------------------------- photographs


def writable(root: Path) -> Path:
    """Return `root` where it can be written, else the cache, and say so."""
    try:
        return folders.make_folder(root)
    except CourseError as error:
        cache = folders.make_folder(folders.cache_dir() / "data")
        print(f"{error}; the store goes to {cache}", file=sys.stderr, flush=True)
        return cache


def read_archive(path: Path) -> dict[str, bytes]:
    """Return the photographs of an archive or folder."""
    return archive.photographs(path)


def refuse_unknown(alignment: str | None) -> None:
    """Raise CourseError for a word that is no alignment; None is for whatever there is."""
    if alignment not in (None, *ALIGNMENTS):
        raise CourseError(
            f"alignment {alignment!r} is unknown; choose one of: {', '.join(ALIGNMENTS)}"
        )


def alignment_of(content: str, archive: str | None) -> str | None:
    """Return the alignment of photographs as they were published; None where they are not known.

    Args:
        content: of their listing, as `store.content_sha256`.
        archive: SHA-256 of the archive that they came from, where there was one.
    """
    known = {sha256: alignment for alignment, (_, sha256) in MIRRORS.items()}
    known |= {sha256: alignment for alignment, sha256 in CONTENT.items()}
    return known.get(content) or known.get(archive)


def check_alignment(alignment: str, what: str, content: str, archive: str | None) -> None:
    """Raise CourseError where photographs are known not to be of the alignment that is said.

    Args:
        alignment: that is said.
        what: holds them.
        content, archive: hashes, as in `alignment_of`.
    """
    known = alignment_of(content, archive)
    if known not in (None, alignment):
        raise CourseError(
            f"{what} holds the {known} photographs, not the {alignment} ones; make the store from "
            f"their archive with: course data lfw --archive FILE --alignment {known}"
        )
    if known is None and alignment in CONTENT:
        raise CourseError(
            f"{what} does not hold the {alignment} photographs as they were published; name "
            f"their --alignment ({', '.join(ALIGNMENTS)}), or fetch the archive again"
        )


def told_by(name: str) -> str:
    """Return the alignment that the name of an archive tells; deep-funneled where it tells none."""
    if "funneled" in name:
        return "deepfunneled" if "deep" in name else "funneled"
    return "original" if name in ("lfw.tgz", "lfw") else "deepfunneled"


def mirror_of_ones_own() -> str:
    """Return COURSE_MIRROR, "" where it is not set."""
    return os.environ.get("COURSE_MIRROR", "").strip()


def download(alignment: str) -> dict[str, bytes]:
    """Return the photographs of an archive from COURSE_MIRROR, else from its published mirror.

    Raises CourseError with what was wrong at each place.
    """
    name, own = ARCHIVES[alignment], mirror_of_ones_own()
    places = [(own, lambda: fetched(own, name))] if own else []
    if alignment in MIRRORS:
        address, _ = MIRRORS[alignment]
        places.append((address, lambda: downloaded(address)))
    failures = []
    for place, get in places:
        try:
            content = get()
            check_archive(content, alignment)
            return archive.photographs(Path(name), content)
        except (Unreachable, CourseError) as error:
            failures.append(f"{place}: {error}")
    raise CourseError(
        f"{alignment} LFW could not be downloaded ({'; '.join(failures) or 'no mirror has it'}); "
        "check the network, name a mirror or a folder in COURSE_MIRROR, or give an archive that "
        "you have: course data lfw --archive FILE"
    )


def check_archive(content: bytes, alignment: str) -> None:
    """Raise Unreachable unless `content` is the published archive, where its SHA-256 is known."""
    if alignment in MIRRORS and hashlib.sha256(content).hexdigest() != MIRRORS[alignment][1]:
        raise Unreachable(f"{ARCHIVES[alignment]} there is not the published one (SHA-256)")


# ------------------------------------------------------------------------------------------ splits


def by_person(y: torch.Tensor, n_people: int, sizes=(None,) * 3) -> list[torch.Tensor]:
    """Return the rows of train, val and test, so that no person is in two of them.

    Args:
        y: who is on each photograph (N,).
        n_people: how many people there are.
        sizes: at most so many rows of each, drawn at random; all in order where None.
    """
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    order = torch.randperm(n_people, generator=generator)
    ends = [round(SHARES[0] * n_people), round(sum(SHARES) * n_people)]
    which = torch.empty(n_people, dtype=torch.long)
    for split, people in enumerate(order.tensor_split(ends)):
        which[people] = split
    rows = [torch.nonzero(which[y] == split).flatten() for split in range(3)]
    for i, size in enumerate(sizes):
        if size is not None:
            chosen = torch.randperm(len(rows[i]), generator=generator)[:size]
            rows[i] = rows[i][chosen.sort().values]
    return rows


def drawn_images(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `n` drawn faces (n, 3, 64, 64) uint8 and their factors, from the cache if there."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    name = f"faces-{n}-seed{seed}-{drawing_code()[:8]}.safetensors"
    path = folders.cache_dir() / "drawn" / name
    with contextlib.suppress(OSError, SafetensorError, KeyError):  # absent or damaged: draw again
        kept = load_file(path)
        return kept["x"], kept["factors"]
    x, factors = drawn_faces.faces(n, seed)
    folders.write_tensors(path, {"x": x, "factors": factors})
    return x, factors


@functools.cache
def drawing_code() -> str:
    """Return the SHA-256 of the code that draws faces: other code draws others."""
    code = [Path(module.__file__).read_bytes() for module in (drawn, drawn_faces)]
    return hashlib.sha256(b"".join(code)).hexdigest()
