"""Folders and files: where things are kept, and the one door to them.

Whatever the course asks of the file system goes through this file, so that a locked folder, a full
disk or a name too long is told in words (a CourseError) and never ends in a traceback. What is
written replaces the old content at once or not at all, with the permissions that the user's umask
gives; what several processes write is locked.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils.errors import CourseError

if TYPE_CHECKING:
    import torch


class Damaged(CourseError):
    """A file that cannot be trusted; `why` says what is wrong with it, without its name."""

    def __init__(self, path: Path, why: str):
        super().__init__(f"{path} is damaged: {why}")
        self.why = why


# ------------------------------------------------------------------------------- places to keep


def data_dir() -> Path:
    """Return the folder that holds real data: COURSE_DATA, else `data` in the cache.

    Raises CourseError when COURSE_DATA is set to something that is not a folder.
    """
    named = os.environ.get("COURSE_DATA")
    if not named:
        return cache_dir() / "data"
    folder = located(named)
    if not is_dir(folder):
        kind = "a file, not a folder" if exists(folder) else "not there"
        raise CourseError(
            f"COURSE_DATA is {named!r}, which is {kind}; "
            "name the folder that holds MNIST/raw, or unset COURSE_DATA"
        )
    return folder


def cache_dir() -> Path:
    """Return the folder for downloads, drawn data and runs: COURSE_CACHE, else the user's cache.

    Raises CourseError when neither is known: COURSE_CACHE is not set and the user has no home.
    """
    named = os.environ.get("COURSE_CACHE")
    if named:
        return located(named)
    import platformdirs

    with in_words("find", Path("~")):
        cache = platformdirs.user_cache_dir("autoencoder-course", appauthor=False)
    if cache.startswith("~"):  # platformdirs leaves the sign where nobody knows the home
        raise homeless("~")
    return Path(cache)


def runs_dir() -> Path:
    """Return the folder that keeps finished runs: COURSE_RUNS, else `runs` in the cache."""
    named = os.environ.get("COURSE_RUNS")
    return located(named) if named else cache_dir() / "runs"


def located(name: str | Path) -> Path:
    """Return the absolute path that a person means by `name`, with ~ and links followed.

    Raises CourseError when there is none: an unknown user's home, links in a circle.
    """
    with in_words("find", Path(name)):
        return Path(name).expanduser().resolve()


# ------------------------------------------------------------------------------- errors in words


@contextlib.contextmanager
def in_words(verb: str, path: Path) -> Iterator[None]:
    """Turn an error of the file system inside the block into a CourseError.

    Args:
        verb: what is tried, as in "cannot VERB PATH": "read", "write to", "find", ...
        path: what is tried on it.
    """
    try:
        yield
    except OSError as error:
        raise failed(verb, path, error) from None
    except RuntimeError as error:  # pathlib's and platformdirs' for a home that nobody knows
        if "home directory" not in str(error):
            raise
        raise homeless(path) from None
    except ValueError as error:  # a NUL in a name, or a character that the system cannot write
        if not isinstance(error, UnicodeEncodeError) and "null" not in str(error):
            raise
        raise CourseError(f"cannot {verb} {str(path)!r}: this is no name for a file") from None


def failed(verb: str, path: Path, error: OSError) -> CourseError:
    """Return the CourseError that tells a person why `path` could not be read or written."""
    for codes, cause, cure in CAUSES:
        if error.errno in codes:
            return CourseError(f"cannot {verb} {path}: {cause}; {cure}")
    return CourseError(f"cannot {verb} {path}: {error.strerror or error}; {ELSEWHERE}")


def number_of(error: Exception) -> int:
    """Return the errno of the system's words in a library's error that lost the number; else 0."""
    said = str(error)
    return next((code for code in errno.errorcode if os.strerror(code) in said), 0)


ELSEWHERE = "choose another folder (--out DIR, COURSE_RUNS, COURSE_CACHE or COURSE_DATA)"
CAUSES = (
    (
        {errno.EACCES, errno.EPERM},
        "no permission, for it or for a folder above it",
        f"ask its owner for access, or {ELSEWHERE}",
    ),
    (
        {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)},
        "the disk is full",
        f"free some space, or {ELSEWHERE}",
    ),
    ({errno.ENAMETOOLONG}, "the name is too long", "choose a shorter one"),
    ({errno.ENOTDIR, errno.EEXIST}, "a file is where a folder should be", ELSEWHERE),
    ({errno.EROFS}, "nothing can be written to this disk", ELSEWHERE),
    ({errno.ELOOP}, "its symbolic links lead in a circle", "mend the link, or " + ELSEWHERE),
)


def homeless(path: str | Path) -> CourseError:
    """Return the CourseError for a user whose home folder is unknown."""
    return CourseError(
        f"cannot find {path}: the home folder of this user is not known "
        "(HOME is not set and the system does not know the user); set HOME, or name the folders "
        "in COURSE_CACHE, COURSE_RUNS and COURSE_DATA"
    )


def cannot_write(path: Path, error: OSError) -> CourseError:
    """Return the CourseError that tells a person about a failed write."""
    return failed("write to", path, error)


# --------------------------------------------------------------------------------------- looking


def exists(path: Path) -> bool:
    """Tell whether something is at `path`; CourseError where this user may not know."""
    with in_words("look at", path):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True


def is_dir(path: Path) -> bool:
    """Tell whether `path` is a folder; CourseError where this user may not know."""
    with in_words("look at", path):
        return exists(path) and path.is_dir()


def is_file(path: Path) -> bool:
    """Tell whether `path` is a file; CourseError where this user may not know."""
    with in_words("look at", path):
        return exists(path) and path.is_file()


def listing(folder: Path, pattern: str = "*") -> list[Path]:
    """Return what in `folder` matches a glob pattern, sorted; nothing where no folder is.

    Raises CourseError where this user may not look.
    """
    if not is_dir(folder):
        return []
    with in_words("read", folder):
        os.scandir(folder).close()  # glob passes over a folder that it may not read
        return sorted(folder.glob(pattern))


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; CourseError where it cannot be read."""
    with in_words("read", path):
        return path.read_bytes()


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 file; CourseError where it cannot be read."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise CourseError(f"cannot read {path}: it is not a text in UTF-8") from None


# --------------------------------------------------------------------------------------- writing


def make_folder(folder: Path) -> Path:
    """Create `folder` and check that files can be written in it; return it.

    Raises CourseError when they cannot: a file in the way, no permission, no space.
    """
    with in_words("write to", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    return folder


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one, never a part.

    Raises CourseError when the disk is full or the folder cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_tensors(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write `tensors` as a safetensors file, atomically like `write_atomically`.

    Raises CourseError when the disk is full or the folder cannot be written.
    """
    from safetensors.torch import save

    # not save_file: killed, it leaves a file whose name nobody could tell from the user's own
    write_atomically(path, save(tensors, metadata))


def write_sealed(path: Path, tensors: dict[str, torch.Tensor], info: dict | None = None) -> None:
    """Write tensors (on the CPU, contiguous) and the JSON-able `info` as one file, with a seal.

    The seal is a hash over all of it, so that `read_sealed` notices damage. The same content gives
    the same bytes. Raises CourseError as `write_tensors` does.
    """
    info = json.loads(json.dumps(info or {}))  # as it will be read
    sealed = info | {"seal": seal(info, tensors)}
    # one key only: safetensors writes several in random order
    write_tensors(path, tensors, {"course": json.dumps(sealed, sort_keys=True)})


def read_sealed(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Return the tensors (on the CPU) and the info that `write_sealed` wrote to `path`.

    Raises CourseError when the file is absent or locked, and Damaged when it is foreign, truncated,
    or when so much as one bit of it has changed. Files from before there were seals are read
    without one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    # read, not mapped into memory: a file that changes later changes no tensor, and kills nobody
    content = read_bytes(path)
    try:
        length = int.from_bytes(content[:8], "little")
        info = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["course"])
        found = info.pop("seal", None)
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(path, f"it is no file of the course, or a part of one ({error})") from None
    if found is not None and found != seal(info, tensors):
        raise Damaged(path, "its content is not what was written")
    return tensors, info


def seal(info: dict, tensors: dict[str, torch.Tensor] | None = None) -> str:
    """Return the SHA-256 over JSON-able `info` and tensors, in the order of their names."""
    total = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for name, tensor in sorted((tensors or {}).items()):
        import torch

        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return total.hexdigest()


def write_json(path: Path, content: dict) -> None:
    """Write a JSON-able dict for people to read, atomically and sealed."""
    content = json.loads(json.dumps(content))  # as it will be read: lists for tuples, str for int
    text = json.dumps(content | {"seal": seal(content)}, indent=1, ensure_ascii=False)
    write_atomically(path, text + "\n")


def read_json(path: Path) -> dict:
    """Return what `write_json` wrote to `path`.

    Raises CourseError when the file is absent or locked, and Damaged when it is no JSON object, or
    when so much as one character of its values has changed. Files from before there were seals are
    read without one.
    """
    try:
        content = json.loads(read_text(path))
        found = content.pop("seal", None)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise Damaged(path, f"it is no JSON object ({error})") from None
    if found is not None and found != seal(content):
        raise Damaged(path, "its content is not what was written, or was changed by hand")
    return content


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success move it over `path`, else remove it.

    The new file has the permissions that the umask gives, whoever wrote the temporary one.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with in_words("write to", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.touch()
            mode = temporary.stat().st_mode
            yield temporary
            temporary.chmod(mode)  # safetensors and tempfile write files that others may not read
            with temporary.open("rb+") as written:  # on disk before the rename, or a crash
                os.fsync(written.fileno())  # loses both
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def sweep(path: Path) -> None:
    """Remove what killed processes left of their writes to `path`.

    Call it only under the lock that all writers of `path` take: else they may be alive.
    """
    left = re.compile(rf"\.{re.escape(path.name)}\.\d+\.tmp")
    for found in listing(path.parent, f".{path.name}.*.tmp"):
        if left.fullmatch(found.name):
            with in_words("write to", found):
                found.unlink(missing_ok=True)


@contextlib.contextmanager
def lock(path: Path, what: str) -> Iterator[bool]:
    """Hold the lock file `path` during the block; wait for another process that holds it.

    The block is told whether it had to wait: then somebody may have done its work.

    One line on stderr says what is waited for. The lock of a process that dies is free at once,
    so that nobody ever has to delete the file, which stays. A thread may take its own lock again.

    Args:
        path: of the lock file, by custom `.lock` in the folder that is worked on.
        what: is done under the lock, as in "waiting for WHAT".

    Raises CourseError when the file cannot be written.
    """
    import filelock

    waited = False
    with in_words("write to", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        guard = filelock.FileLock(path, is_singleton=True)
        try:
            guard.acquire(timeout=0)
        except filelock.Timeout:
            waited = True
            print(f"waiting for {what}: another process is at it", file=sys.stderr, flush=True)
            guard.acquire()
    try:
        yield waited
    finally:
        guard.release()
