"""The folder that an edition is written to: new, or an older edition of the same kind.

Nothing is written into a folder that holds something else. The edition is made beside its place
and moved there when it is whole, so that nobody sees, and no crash leaves, half of one.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from course_utils import folders
from course_utils.errors import CourseError

MARK = ".autoencoder-course.json"  # in a folder: which edition it is


@contextlib.contextmanager
def edition(out: Path, kind: str) -> Iterator[Path]:
    """Yield a folder to write an edition into; on success it takes the place of `out`.

    Args:
        out: does not exist, is empty, or holds an edition of the same kind.
        kind: "student", "instructor", ...

    Raises CourseError when `out` holds anything else, or cannot be written.
    """
    out = folders.located(out)
    refuse_foreign(out, kind)
    folders.make_folder(out.parent)
    with folders.in_words("write to", out):
        new = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        with folders.in_words("write to", new):
            yield new
            mark = json.dumps({"edition": kind}) + "\n"
            (new / MARK).write_text(mark, encoding="utf-8")
            new.chmod(0o755)
        refuse_foreign(out, kind)  # somebody may have put something there meanwhile
        replace(out, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def replace(out: Path, new: Path) -> None:
    """Move a new folder to its place; what was there is removed when the new one stands."""
    old = new.with_name(new.name + ".old")
    with folders.in_words("write to", out):
        if out.exists():
            out.rename(old)
        try:
            new.rename(out)
        except OSError:
            if old.exists():
                old.rename(out)
            raise
    shutil.rmtree(old, ignore_errors=True)


def refuse_foreign(out: Path, kind: str) -> None:
    """Raise CourseError unless `out` is free, or holds an edition of this kind."""
    if not folders.exists(out):
        return
    if not folders.is_dir(out):
        raise CourseError(f"{out} is a file, not a folder; choose another --out")
    inside = folders.listing(out)
    if inside and kind_of(out) != kind:
        raise CourseError(
            f"{out} holds something else ({inside[0].name}); nothing was written: "
            "name a new or an empty folder"
        )


def kind_of(folder: Path) -> str | None:
    """Return which edition a folder holds; None where it is none."""
    try:
        return json.loads((folder / MARK).read_text(encoding="utf-8"))["edition"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
