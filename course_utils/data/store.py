"""The store of photographs: a Deep Lake data set with a manifest, whole or not there at all.

    store/manifest.json     what the store holds, written last: every file with size and SHA-256
    store/lake/             the Deep Lake data set: row, image (JPEG bytes), name, person
    store/images/           the same as plain files, where Deep Lake does not run

A damaged Deep Lake chunk reads as wrong pixels or ends the process, and a lost log opens with fewer
rows. So the manifest is checked before every opening, and nothing is read where a byte is wrong.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from course_utils import folders
from course_utils.errors import CourseError

FORMAT = 2  # 1 knew of no archive
MANIFEST = "manifest.json"
ROWS_AT_ONCE = 64  # per commit: a chunk is read whole, whichever of its rows is wanted
V3_FILES = ("dataset_meta.json", "version_control_info.json")  # what Deep Lake 3 leaves


@dataclass(frozen=True)
class Manifest:
    """What a store holds.

    Attributes:
        kind: "lake" or "images".
        alignment: of the photographs: "original", "funneled" or "deepfunneled".
        rows: how many photographs.
        content: SHA-256 of the list of their names and SHA-256s, whatever the kind.
        files: path below the store -> [size in bytes, SHA-256].
        archive: SHA-256 of the archive that they came from; None for a folder, or if not known.
    """

    kind: str
    alignment: str
    rows: int
    content: str
    files: dict[str, list]
    archive: str | None = None


def content_sha256(photographs: dict[str, bytes]) -> str:
    """Return the SHA-256 of a listing of photographs by name: "SHA-256  NAME", a line each."""
    lines = (f"{hashlib.sha256(b).hexdigest()}  {n}\n" for n, b in sorted(photographs.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def person_of(name: str) -> str:
    """Return "Ada_Lovelace" for "Ada_Lovelace_0001.jpg"."""
    return name.rsplit("_", 1)[0]


def lake_runs() -> bool:
    """Tell whether Deep Lake is installed; it has no wheel for Windows or Python 3.14."""
    return importlib.util.find_spec("deeplake") is not None


# ---------------------------------------------------------------------------------------- building


def build(
    store: Path, photographs: dict[str, bytes], alignment: str, archive: str | None = None
) -> Manifest:
    """Make the store of `photographs`, or keep the one that is there and holds the same.

    It is built beside its place and moved there when it is finished, so that a process killed in
    between leaves no store, and two that build at once leave one.

    Args:
        store: the folder to make.
        photographs: JPEG bytes by name, as `archive.photographs` returns them.
        alignment, archive: written into the manifest.

    Raises CourseError when the folder cannot be written or the disk is full.
    """
    store = Path(store)
    content = content_sha256(photographs)
    folders.make_folder(store.parent)
    with folders.lock(store.parent / f".{store.name}.lock", f"the store {store}"):
        sweep(store)
        found = intact(store)
        same = found and (found.content, found.alignment) == (content, alignment)
        if same and archive in (None, found.archive):
            return found
        new = store.with_name(f".{store.name}.{os.getpid()}.tmp")
        try:
            with folders.in_words("write to", store):
                new.mkdir()
                kind = write_rows(new, photographs)
            files = files_of(new)
            manifest = Manifest(kind, alignment, len(photographs), content, files, archive)
            text = json.dumps({"format": FORMAT} | asdict(manifest), indent=1)
            folders.write_atomically(new / MANIFEST, text + "\n")
            replace_folder(new, store)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return manifest


def write_rows(folder: Path, photographs: dict[str, bytes]) -> str:
    """Write the photographs below `folder`, as a lake where that runs; return the kind."""
    if lake_runs():
        write_lake(folder / "lake", photographs)
        if read_back(folder / "lake", len(photographs)) != content_sha256(photographs):
            raise OSError(errno.ENOSPC, "what Deep Lake wrote does not read back")
        return "lake"
    for name, content in photographs.items():
        path = folder / "images" / person_of(name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return "images"


def write_lake(path: Path, photographs: dict[str, bytes]) -> None:
    """Create the Deep Lake data set; an OSError says that it could not be written."""
    import deeplake
    import numpy as np
    from deeplake import types

    names = list(photographs)
    people = {person: i for i, person in enumerate(sorted({person_of(n) for n in names}))}
    try:
        lake = deeplake.create(str(path))
        lake.add_column("row", types.Int32())  # a query numbers its results, not these rows
        lake.add_column("image", types.Image(sample_compression="jpeg"))
        lake.add_column("name", types.Text())
        lake.add_column("person", types.ClassLabel("uint16"))
        lake["person"].metadata["class_names"] = list(people)
        for start in range(0, len(names), ROWS_AT_ONCE * 16):
            part = names[start : start + ROWS_AT_ONCE * 16]
            lake.append({
                "row": np.arange(start, start + len(part), dtype="int32"),
                "image": [photographs[n] for n in part],  # bytes: arrays would be compressed anew
                "name": part,
                "person": np.array([people[person_of(n)] for n in part], dtype="uint16"),
            })  # fmt: skip
        lake.commit("the photographs as they were published")
        lake.tag("published")
        del lake
    except (deeplake.WriteFailedError, deeplake.StorageInternalError, RuntimeError) as error:
        raise OSError(folders.number_of(error), " ".join(str(error).split())) from None


def read_back(path: Path, rows: int) -> str | None:
    """Return the content_sha256 of a new Deep Lake data set; None where it cannot be read.

    On a full disk Deep Lake ends as if all were well; only reading shows what is there.
    """
    import deeplake

    try:
        lake = deeplake.open_read_only(str(path))
        images = lake["image"].get_bytes(slice(0, rows)) if len(lake) == rows else []
        return content_sha256(dict(zip(lake["name"][0:rows], images, strict=True)))
    except (RuntimeError, ValueError, OSError, deeplake.NotFoundError):
        return None


def files_of(folder: Path) -> dict[str, list]:
    """Return size and SHA-256 of every file below `folder` that a reader needs, by its path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".lock" and path.name != MANIFEST:
            name = path.relative_to(folder).as_posix()
            found[name] = [path.stat().st_size, sha256_of(path)]
    return found


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with folders.in_words("read", path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_folder(new: Path, old: Path) -> None:
    """Put the folder `new` where `old` is or was; a reader finds one of the two or none."""
    with folders.in_words("write to", old):
        if old.exists():
            aside = new.with_suffix(".old")
            os.replace(old, aside)
            shutil.rmtree(aside, ignore_errors=True)
        os.replace(new, old)


def sweep(store: Path) -> None:
    """Remove what killed builds left beside `store`; call it under the lock."""
    for pattern in (f".{store.name}.*.tmp", f".{store.name}.*.old"):
        for left in folders.listing(store.parent, pattern):
            shutil.rmtree(left, ignore_errors=True)


# ---------------------------------------------------------------------------------------- checking


def check(store: Path) -> Manifest:
    """Return the manifest of a store after comparing every file with it.

    Raises CourseError that names the files which are missing, or of another size or content.
    """
    manifest = read_manifest(store)
    bad = []
    for name, (size, sha256) in manifest.files.items():
        path = store / name
        if not folders.is_file(path):
            bad.append(f"{name} is missing")
        elif path.stat().st_size != size:
            bad.append(f"{name} has {path.stat().st_size:,} bytes where {size:,} belong")
        elif sha256_of(path) != sha256:
            bad.append(f"{name} has changed")
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        raise CourseError(
            f"{store} is damaged: {'; '.join(bad[:3])}{more}. Nothing was read from it. Delete it "
            "and make it again with: course data lfw"
        )
    return manifest


def read_manifest(store: Path) -> Manifest:
    """Return the manifest of a store, its files not yet compared.

    Raises CourseError where there is none, or one that cannot be read.
    """
    path = Path(store) / MANIFEST
    if not folders.is_file(path):
        refuse_v3(store)
        raise CourseError(
            f"{store} is no store of faces (no {MANIFEST}); make one: course data lfw"
        )
    try:
        entries = json.loads(folders.read_text(path))
        if entries.pop("format") > FORMAT:
            raise CourseError(f"{path} was written by a newer version of the course; upgrade it")
        return Manifest(**entries)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CourseError(
            f"{path} is damaged ({error!r}); delete {store} and make it again with: course data lfw"
        ) from None


def refuse_v3(store: Path) -> None:
    """Raise CourseError where `store` was written by Deep Lake 3, which 4 cannot open."""
    if any(folders.is_file(Path(store) / name) for name in V3_FILES):
        raise CourseError(
            f"{store} was written by Deep Lake 3, which the Deep Lake of today cannot open; turn "
            f"it into a new one with deeplake.convert({str(store)!r}, 'NEW'), or make a store "
            "from the archive: course data lfw --archive FILE"
        )


def intact(store: Path) -> Manifest | None:
    """Return the manifest of a store that is there and whole, else None."""
    try:
        return check(store)
    except CourseError:
        return None


# ----------------------------------------------------------------------------------------- reading


def open_lake(store: Path):
    """Return the Deep Lake data set of a store, checked and read-only.

    Raises CourseError when the store is damaged, holds plain files, or Deep Lake is not installed.
    """
    manifest = check(store)
    if manifest.kind != "lake":
        raise CourseError(f"{store} holds plain files; it was made where Deep Lake does not run")
    if not lake_runs():
        raise CourseError(
            f"{store} is a Deep Lake data set, and Deep Lake is not installed here: pip install "
            "'deeplake>=4.7,<5', or make a store of plain files from the archive"
        )
    import deeplake

    return deeplake.open_read_only(str(Path(store) / "lake"))


def jpegs(store: Path, at_once: int = 256) -> Iterator[tuple[list[str], list[bytes]]]:
    """Yield names and JPEG bytes of a store's photographs, `at_once` at a time, in their order.

    Raises CourseError as `open_lake` does.
    """
    manifest = check(store)
    if manifest.kind == "images":
        paths = [
            Path(store) / name for name in sorted(manifest.files, key=lambda n: n.split("/")[-1])
        ]
        for start in range(0, len(paths), at_once):
            part = paths[start : start + at_once]
            yield [p.name for p in part], [folders.read_bytes(p) for p in part]
        return
    lake = open_lake(store)
    for start in range(0, manifest.rows, at_once):
        rows = slice(start, min(start + at_once, manifest.rows))
        yield list(lake["name"][rows]), lake["image"].get_bytes(rows)
