"""Photographs from an archive or a folder of LFW: read in memory, and refused where they are odd.

Nothing is unpacked to the disk, so a member that would climb out of its folder cannot; it is
refused all the same, because an archive that holds one was not made by its publishers.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from course_utils import folders
from course_utils.errors import CourseError

NAME = re.compile(r"(?:[\w.-]+/)?([^/]+)/(\1_\d{4}\.jpg)")  # [folder/]Person/Person_0001.jpg
SIDE = 250  # pixels along each side of a photograph
FRAMES = {0xC0, 0xC1, 0xC2}  # markers of the segment that holds a JPEG's size


def photographs(path: Path, content: bytes | None = None) -> dict[str, bytes]:
    """Return the JPEG bytes of every photograph in an archive or a folder, by "Person_0001.jpg".

    Args:
        path: a .tgz or .tar as LFW is published, or a folder that was unpacked from one.
        content: of the archive, where it has just been downloaded; `path` then names it.

    The names are sorted. Raises CourseError when the archive is truncated or no archive, when a
    member would land outside of it, when a photograph is no JPEG of 250x250 in colour, and when
    there is none at all.
    """
    if content is None and folders.is_dir(path):
        members = from_folder(path)
    else:
        members = from_tar(path, content)
    found = {}
    for name, jpeg in members:
        check_jpeg(jpeg, f"{name} in {path}")
        found[name] = jpeg
    if not found:
        raise CourseError(
            f"{path} holds no photograph named like Person/Person_0001.jpg; give an archive of LFW"
        )
    return dict(sorted(found.items()))


def from_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the photographs below a folder."""
    for path in folders.listing(folder, "**/*.jpg"):
        if match := NAME.fullmatch("/".join(path.parts[-2:])):
            yield match[2], folders.read_bytes(path)


def from_tar(path: Path, content: bytes | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the photographs in an archive; see `photographs` for errors."""
    if content is None and not folders.is_file(path):
        raise CourseError(f"{path} is not there; give the path of an archive or a folder of LFW")
    try:
        source = {"name": path} if content is None else {"fileobj": io.BytesIO(content)}
        with folders.in_words("read", path), tarfile.open(**source) as archive:
            for member in archive:
                refuse_escape(member, path)
                match = NAME.fullmatch(member.name.removeprefix("./"))
                if match and member.isfile():
                    yield match[2], archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CourseError(
            f"{path} cannot be read as an archive ({error or 'it ends too early'}); it may be "
            "truncated: fetch it again"
        ) from None


def refuse_escape(member: tarfile.TarInfo, path: Path) -> None:
    """Raise CourseError when unpacking `member` would write outside the target folder."""
    outside = member.name.startswith(("/", "\\")) or ".." in Path(member.name).parts
    if outside or member.issym() or member.islnk() or ":" in member.name:
        raise CourseError(
            f"{path} holds {member.name!r}, which leads out of the archive; it is not as LFW is "
            "published: fetch it again, from one of the addresses in the book"
        )


def check_jpeg(content: bytes, what: str) -> None:
    """Raise CourseError unless `content` is a whole JPEG of 250x250 pixels in three colours.

    Args:
        content: the bytes of the file.
        what: names it in the message.
    """
    size = jpeg_size(content)
    if size is None or not content.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise CourseError(f"{what} is no JPEG, or a part of one; fetch the photographs again")
    if size != (SIDE, SIDE, 3):
        height, width, colours = size
        raise CourseError(
            f"{what} is {width}x{height} in {colours} colours; photographs of LFW are 250x250 in 3"
        )


def jpeg_size(content: bytes) -> tuple[int, int, int] | None:
    """Return height, width and number of colours of a JPEG, read from its header, else None."""
    if content[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in FRAMES:
            return (
                int.from_bytes(content[at + 5 : at + 7], "big"),
                int.from_bytes(content[at + 7 : at + 9], "big"),
                content[at + 9],
            )
        at += 2 + length
    return None
