"""Sort what a learning platform hands back into a folder for each student.

Known forms of names: a folder for each student; Moodle's "Name_12345_assignsubmission_file_...",
as a folder or before the file's name; Canvas' "lastfirst_LATE_123_456_file.ipynb"; Blackboard's
"Assignment_user_attempt_2026-11-26-09-00-00_file.ipynb"; else "student_notebook.ipynb".
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from course_tools.editions import folder
from course_tools.editions.report import tame
from course_utils import folders
from course_utils.errors import CourseError

MOST_BYTES, MOST_TOGETHER, MOST_FILES = 30_000_000, 2_000_000_000, 20_000
MOST_INSIDE = 100_000_000  # bytes that the ZIP file of one student may unpack to
MOODLE = re.compile(
    r"^(?P<who>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<rest>.*)$"
)
CANVAS = re.compile(r"^(?P<who>[^_]+)_(?:LATE_)?(?P<id>\d+)_(?P<version>\d+)_(?P<rest>.+)$")
BLACKBOARD = re.compile(
    r"^.*?_(?P<who>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<rest>.+))?$"
)
VERSION = re.compile(r"(?: ?\(\d+\)|-\d+)?(?=\.ipynb$)")  # a browser's "(1)", Canvas' "-1"
RESERVED = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(1, 10))}


@dataclass(frozen=True)
class Found:
    """A file that was handed in.

    Attributes:
        name: its path in the ZIP file or folder.
        when: what decides which of two is the later one.
        content: its bytes; None where it is no notebook, or too large.
        why: in words, where the content was not taken.
    """

    name: str
    when: str
    content: bytes | None
    why: str = ""


def collect(source: Path, out: Path) -> dict[str, list[str]]:
    """Sort a ZIP file or a folder by student into `out`; return the files of each student.

    `out` also gets collected.csv: every file that came, whose it is, and what became of it. Of two
    files of the same name of one student, the later one counts.

    Raises CourseError when there is no notebook in `source`, or `out` holds something else.
    """
    source = folders.located(source)
    place = folders.located(out)
    if folders.is_dir(source) and place.is_relative_to(source):
        raise CourseError(f"{place} lies in what is to be sorted; name a folder beside it")
    found = list(files_of(source))
    taken: dict[tuple[str, str], Found] = {}
    notes: list[tuple[str, str, str]] = []
    for file in sorted(found, key=lambda file: (attempt(file.name), file.when, file.name)):
        student, name = whose(file.name)
        if file.content is None:
            notes.append((file.name, student, file.why))
            continue
        if (older := taken.get((student, name))) is not None:
            notes.append((older.name, student, "an earlier one; a later one counts"))
        taken[student, name] = file
    if not taken:
        raise CourseError(f"{source} holds no notebook (*.ipynb)")
    notes += [(file.name, who, f"taken as {who}/{name}") for (who, name), file in taken.items()]
    with folder.edition(out, "collected") as new:
        for (student, name), file in taken.items():
            folders.write_atomically(new / student / name, file.content)
        folders.write_atomically(new / "collected.csv", listed(notes))
    sorted_out: dict[str, list[str]] = {}
    for student, name in sorted(taken):
        sorted_out.setdefault(student, []).append(name)
    return sorted_out


def listed(notes: list[tuple[str, str, str]]) -> str:
    """Return what became of each file as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "student", "what became of it"))
    writer.writerows([tame(cell) for cell in note] for note in sorted(notes))
    return text.getvalue()


def files_of(source: Path) -> Iterator[Found]:
    """Yield the files of a ZIP file or folder, those of ZIP files inside too."""
    if folders.is_dir(source):
        for path in folders.listing(source, "**/*"):
            name = path.relative_to(source).as_posix()
            if path.is_symlink():
                yield Found(name, "", None, "left out: a link")
            elif path.is_file():
                when = f"{path.stat().st_mtime:020.3f}"
                yield from taken(name, when, path.stat().st_size, lambda p=path: p.read_bytes())
    elif folders.is_file(source):
        with folders.in_words("read", source):
            yield from zipped(source, folders.read_bytes(source), "", str(source))
    else:
        raise CourseError(f"{source} is not there; name a ZIP file or a folder")


def zipped(source, content: bytes, before: str, said: str) -> Iterator[Found]:
    """Yield the files of a ZIP file; CourseError where it is none, or a bomb."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        if before:
            yield Found(said, "", None, "left out: no ZIP file that can be read")
            return
        raise CourseError(f"{said} is no ZIP file, or a part of one: download it again") from None
    most = MOST_INSIDE if before else MOST_TOGETHER
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > most:
        if before:
            yield Found(said, "", None, "left out: it would unpack to more than 100 MB")
            return
        raise CourseError(f"{said} would unpack to more than 2 GB or {MOST_FILES} files")
    for entry in entries:
        if entry.is_dir():
            continue
        when = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*entry.date_time)

        def read(entry=entry) -> bytes:
            return archive.read(entry)

        yield from taken(before + entry.filename, when, entry.file_size, read)


def taken(name: str, when: str, size: int, read) -> Iterator[Found]:
    """Yield a file with its content, if it is a notebook; what a ZIP file inside holds."""
    inner = PurePosixPath(name.replace("\\", "/"))
    hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in inner.parts)
    if hidden or inner.name == "collected.csv":
        return
    if inner.suffix.lower() not in (".ipynb", ".zip"):
        yield Found(name, when, None, "left out: no notebook")
    elif size > MOST_BYTES:
        yield Found(name, when, None, "left out: more than 30 MB")
    else:
        try:
            content = read()
        except (RuntimeError, zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
            yield Found(name, when, None, f"left out: it cannot be read ({error})")
            return
        if inner.suffix.lower() == ".ipynb":
            yield Found(name, when, content)
        elif name.count(".zip/") == 0:  # one level; none of those inside
            yield from zipped(None, content, f"{name}/", name)


def whose(name: str) -> tuple[str, str]:
    """Return the student and the file's own name, both safe as names of files."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    file = parts[-1]
    for part in parts[:-1]:  # a folder of the platform tells most
        if match := MOODLE.match(part):
            return safe(f"{match['who']}_{match['id']}"), safe(file)
    for pattern in (MOODLE, BLACKBOARD, CANVAS):
        if match := pattern.match(file):
            said = match.groupdict()
            rest = said.get("rest") or file
            number = said.get("id")
            return safe(said["who"] + (f"_{number}" if number else "")), safe(rest)
    folders_above = [part.removesuffix(".zip") for part in parts[:-1]]
    if folders_above:
        for part in parts[:-1]:
            if part.endswith(".zip") and (match := MOODLE.match(part) or CANVAS.match(part)):
                return safe(f"{match['who']}_{match['id']}"), safe(file)
        return safe(folders_above[0]), safe(file)
    stem = file.rsplit(".", 1)[0]
    who, _, rest = stem.partition("_")
    return safe(who if rest else stem), safe(f"{rest}.ipynb" if rest else file)


def attempt(name: str) -> str:
    """Return when a file was handed in, as Blackboard writes it into its name; "" elsewhere."""
    match = BLACKBOARD.match(PurePosixPath(name).name)
    return match["when"] if match else ""


def safe(name: str) -> str:
    """Return a name as every system takes it: letters of all scripts, digits, ._- and spaces."""
    name = unicodedata.normalize("NFC", VERSION.sub("", name, count=1))
    name = re.sub(r"[^\w.\- ]", "-", name).strip(" .")[:100] or "unnamed"
    return f"_{name}" if name.split(".")[0].lower() in RESERVED else name
