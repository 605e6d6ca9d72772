"""Rules that a stored chapter or exercise obeys, beside what nbval compares.

nbval passes notebooks that are stripped, that lost their figures, or that were executed in another
state of their code; these rules refuse them. Each rule takes one `Notebook` and yields sentences,
one per fault. `python -m course_tools.chapters.rules` prints them for all and exits 1 when
there are any; the tests do the same.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_tools.chapters import slices
from course_tools.chapters.cells import (
    code_cells,
    code_sha256,
    described,
    draws,
    judged_ids,
    pictures,
    stdout,
    tags,
    text,
    texts,
)
from course_utils import claims, console

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
EXERCISES = "exercises"  # the folder beside the chapters
# exercises are executed as they are tested, so that their outputs are the same everywhere
AS_TESTED = {"COURSE_PROFILE": "quick", "COURSE_SOURCE": "drawn", "COURSE_DATA": ""}
NUMBERED = re.compile(r"(\d\d)_")

CELLS = (25, 40)  # code cells of a chapter
MEDIAN_LINES, MOST_LINES = 10, 30  # of a code cell
COLUMNS = 79  # of a line of code: wider ones are cut on a page
CLAIMS = 25  # of a chapter; the rest goes into tables
COMPARED = 10  # cells, at least, whose output nbval compares
IGNORED = 1 / 3  # of the cells with output, at most
MEGABYTES = 2
ALT_LENGTH, CAPTION_LENGTH = (40, 600), (20, 600)  # characters

IGNORE_TAG = "nbval-ignore-output"
RAISES_TAG = "raises-exception"
# the same as comments, and the tags that let a cell skip its test altogether
LOOPHOLES = re.compile(r"#\s*(?:NBVAL_|PYTEST_VALIDATE_)\w+")
LOOPHOLE_TAGS = {"nbval-skip", "nbval-raises-exception", "pytest-validate-ignore-output"}
MACHINE_PATH = re.compile(
    r"(?<![\w.~/-])/(?:work|root|home|tmp|Users|private|mnt|opt)/[\w.]|\b[A-Z]:\\\w"
)
JUDGED_LINE = re.compile(
    r"^(?P<mark>[✓✗]) (?P<id>\S+): (?P<value>[^\s,]+)(?: ± (?P<spread>\S+) \((?P<n>\d+) seeds\))?"
    r"(?:, expected)? (?P<bound>.+) "
    r"\((?P<profile>\w+), (?P<data>[^();]+)(?:; stated (?P<stated>\w+))?\)$"
)
NOT_JUDGED_LINE = re.compile(r"^– (?P<id>\S+): ", re.M)
CLAIM_LINE = re.compile(r"^[✓✗–] (\S+): ", re.M)


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


# -------------------------------------------------------------------------------------- rules


def executed_in_order(notebook: Notebook) -> Iterator[str]:
    """Find notebooks without outputs, and cells that were not run once, from top to bottom."""
    if not any(cell.outputs for cell in notebook.code):
        yield "the notebook is stripped: no cell has an output; execute it"
    for number, (name, cell) in enumerate(numbered(notebook), 1):
        if not cell.source.strip():
            yield f"{name} is empty"
        elif cell.execution_count != number:
            yield f"{name} has execution count {cell.execution_count}, not {number}; execute it"


def clean_outputs(notebook: Notebook) -> Iterator[str]:
    """Find errors that are not meant, warnings, widgets, and paths of somebody's machine."""
    for name, cell in numbered(notebook):
        for output in cell.outputs:
            if output.output_type == "error" and RAISES_TAG not in tags(cell):
                yield f"{name} failed with {output.ename} and has no tag {RAISES_TAG}"
            if output.get("name") == "stderr":
                yield f"{name} wrote to stderr: {text(output.text).strip()[:80]!r}"
            if any("widget-view" in kind for kind in output.get("data", {})):
                yield f"{name} shows a widget, which needs a kernel"
        for found in texts(cell):
            if path := MACHINE_PATH.search(found):
                shown = found[path.start() : path.start() + 40].split("\n")[0]
                yield f"{name} shows a path of one machine: {shown!r}"


def figures_are_there(notebook: Notebook) -> Iterator[str]:
    """Find cells that draw and show no picture, or more than their one description fits."""
    for name, cell in numbered(notebook):
        if draws(cell) and not pictures(cell):
            yield f"{name} draws, but its output holds no picture"
        if pictures(cell) > 1:
            yield f"{name} shows {pictures(cell)} pictures; one per cell can be described"


def figures_are_described(notebook: Notebook) -> Iterator[str]:
    """Find pictures whose alternative text or caption is missing, too short or too long."""
    for name, cell in numbered(notebook):
        if not pictures(cell):
            continue
        alt, caption = described(cell)
        limits = (("alternative text", alt, ALT_LENGTH), ("caption", caption, CAPTION_LENGTH))
        for what, words, (least, most) in limits:
            if not least <= len(words) <= most:
                yield (
                    f"{name}: the {what} of its picture has {len(words)} characters, "
                    f"not {least} to {most}; it stands in the cell's metadata under mystnb"
                )
        if alt and alt == caption:
            yield f"{name}: alternative text and caption are the same"


def stamped(notebook: Notebook) -> Iterator[str]:
    """Find notebooks that were not executed with the code they show, or not as they should be."""
    stamp = notebook.nb.metadata.get("course")
    if not stamp:
        yield "the notebook has no stamp; execute it: python -m course_tools.chapters.execute"
        return
    if stamp.get("code_sha256") != code_sha256(notebook.nb):
        yield "the code cells are not those that were executed (code_sha256); execute it again"
    wanted = "quick" if notebook.exercise else "full"
    if stamp.get("profile") != wanted:
        yield f"the notebook was executed in the profile {stamp.get('profile')!r}, not {wanted!r}"
    meant = {data for id in notebook.stated() for data in notebook.claims[id].data.split(", ")}
    for name, sha256 in data_of(stamp).items():
        drawn = name.startswith("drawn")
        if notebook.exercise and not drawn:
            yield f"the exercise was executed on {name!r}, not on drawn data, as in the tests"
        if not notebook.exercise and ((drawn and name not in meant) or not sha256):
            yield f"the notebook was executed on {name!r}, not on real data"


def data_of(stamp: dict) -> dict[str, str | None]:
    """Return the hashes of the data that a stamp names; older stamps name one."""
    data = stamp.get("data")
    return data if isinstance(data, dict) else {str(data): stamp.get("data_sha256")}


def claims_are_judged(notebook: Notebook) -> Iterator[str]:
    """Find statements that the chapter does not judge, and judged ones that it does not state."""
    seen: list[str] = []
    for name, cell in numbered(notebook):
        printed = set(CLAIM_LINE.findall(stdout(cell)))
        judged = judged_ids(cell)
        if None in judged:
            yield f"{name} judges a claim whose id is not written out"
        judged = [id for id in judged if id]
        seen += judged
        for id in sorted(set(judged) - printed):
            yield f"{name} judges {id}, but its output has no line about it"
        for id in sorted(printed - set(judged)):
            yield f"{name} prints a line about {id}, but does not judge it"
    stated = notebook.stated()
    for id in sorted(set(seen) - set(stated)):
        yield f"{id} is judged here, but not stated in book/claims/{notebook.chapter}.toml"
    for id in [id for id in stated if id not in (*seen, *notebook.elsewhere)]:
        yield f"{id} is stated in book/claims/{notebook.chapter}.toml, but not judged here"
    for id in sorted({id for id in seen if seen.count(id) > 1}):
        yield f"{id} is judged {seen.count(id)} times"
    for id in sorted(set(seen) & set(notebook.elsewhere)):
        yield f"{id} is judged in another notebook of the chapter too"
    if len(stated) > CLAIMS:
        yield f"{len(stated)} claims are stated; {CLAIMS} are the most: the rest goes into tables"


def claims_are_recorded(notebook: Notebook) -> Iterator[str]:
    """Find lines that differ from the committed record, and records that miss their bound."""
    for name, cell in numbered(notebook):
        printed = stdout(cell)
        for id in NOT_JUDGED_LINE.findall(printed):
            yield f"{name}: {id} was not judged; execute the notebook in full, on real data"
        for line in printed.splitlines():
            if CLAIM_LINE.match(line) and not line.startswith("–"):
                yield from (f"{name}: {fault}" for fault in line_faults(notebook, line))
    for id in sorted(set(notebook.records) & set(notebook.stated())):
        yield from record_faults(notebook.claims[id], notebook.records[id])


def line_faults(notebook: Notebook, line: str) -> Iterator[str]:
    """Compare one printed line with its claim and its record."""
    match = JUDGED_LINE.match(line)
    if not match:
        yield f"the line {line!r} cannot be read"
        return
    claim, record = notebook.claims.get(match["id"]), notebook.records.get(match["id"])
    if claim is None:
        return  # claims_are_judged says so
    if record is None:
        yield f"{claim.id} has no record in book/claims/{claim.chapter}.json; use --record"
        return
    where = (match["profile"], match["data"])
    if where != (record["profile"], record["data"]):
        yield f"{claim.id} was judged on {where}, and recorded on another profile or data"
    if match["bound"] != claims.shown(claim.bound):
        yield f"{claim.id} was judged against {match['bound']!r}, and is now {claim.bound!r}"
    if match["stated"] != claim.stated:
        yield f"{claim.id} was judged as stated {match['stated']}, and is now {claim.stated}"
    if (match["mark"] == "✓") != claim.met(record["value"]):
        yield f"{claim.id} is marked {match['mark']}, which its record contradicts"
    shown = (match["value"], match["spread"], match["n"] and int(match["n"]))
    if not same_numbers(shown, record):
        yield f"{claim.id}: the output says {match['value']}, the record {record['value']}"


def same_numbers(shown: tuple[str, str | None, int | None], record: dict) -> bool:
    """Tell whether printed value, spread and number of runs are the recorded ones, rounded."""
    value, spread, n = shown
    if not agrees(value, record["value"], 4):
        return False
    if record.get("spread") is None:
        return spread is None
    return spread is not None and n == record["n"] and agrees(spread, record["spread"], 2)


def agrees(shown: str, recorded: float, digits: int) -> bool:
    """Tell whether `shown` is `recorded`, rounded to `digits` significant digits.

    The record is rounded too (to 6 and 3 digits), so a tie may have gone either way.
    """
    slack = 10.0 ** -(digits + 1)
    near = (recorded, recorded * (1 - slack), recorded * (1 + slack))
    return any(f"{number:.{digits}g}" == shown for number in near)


def record_faults(claim: claims.Claim, record: dict) -> Iterator[str]:
    """Find a record that misses the bound of a claim, or comes from a quick run or other data."""
    if claim.kind == "claim" and not claim.met(record["value"]):
        yield f"the record of {claim.id} is {record['value']}, not {claim.bound}"
    if record["profile"] != "full" or record["data"] != claim.about:
        yield f"the record of {claim.id} comes from {record['profile']}, {record['data']}"


def compared(notebook: Notebook) -> Iterator[str]:
    """Find notebooks in which nbval has too little to compare."""
    with_output = [cell for cell in notebook.code if cell.outputs]
    ignored = [cell for cell in with_output if IGNORE_TAG in tags(cell)]
    if len(ignored) > IGNORED * len(with_output):
        yield f"{len(ignored)} of {len(with_output)} cells with output are tagged {IGNORE_TAG}"
    count = len(with_output) - len(ignored)
    if count < COMPARED and not notebook.exercise:
        yield f"nbval compares the output of {count} cells; {COMPARED} are the least"
    for name, cell in numbered(notebook):
        if LOOPHOLES.search(cell.source) or LOOPHOLE_TAGS & tags(cell):
            yield f"{name} escapes nbval; only the tags {IGNORE_TAG} and {RAISES_TAG} are allowed"


def readable(notebook: Notebook) -> Iterator[str]:
    """Find chapters with too few, too many or too long code cells."""
    lengths = [len(cell.source.strip().splitlines()) for cell in notebook.code]
    if not CELLS[0] <= len(lengths) <= CELLS[1]:
        yield f"the notebook has {len(lengths)} code cells, not {CELLS[0]} to {CELLS[1]}"
    if lengths and statistics.median(lengths) >= MEDIAN_LINES:
        yield f"half of the code cells have {MEDIAN_LINES} lines or more"
    for (name, _), length in zip(numbered(notebook), lengths, strict=True):
        if length > MOST_LINES:
            yield f"{name} has {length} lines; {MOST_LINES} are the most"


def narrow(notebook: Notebook) -> Iterator[str]:
    """Find lines of code that a page cuts."""
    for name, cell in numbered(notebook):
        for line in cell.source.splitlines():
            if len(line) > COLUMNS:
                yield f"{name} has a line of {len(line)} columns; {COLUMNS} are the most"


def seeded(notebook: Notebook) -> Iterator[str]:
    """Find cells whose random numbers depend on what was drawn before: a slice has other ones."""
    names = [name for name, _ in numbered(notebook)]
    for number in slices.unseeded(notebook.nb):
        yield f"{names[number]} draws random numbers and sets no seed before: torch.manual_seed(0)"


def small(notebook: Notebook) -> Iterator[str]:
    """Find notebooks that are too large to keep in a repository."""
    megabytes = len(nbformat.writes(notebook.nb).encode()) / 1e6
    if megabytes >= MEGABYTES:
        yield f"the notebook has {megabytes:.1f} MB; it must stay below {MEGABYTES}"


OF_OUTPUTS: tuple[Callable[[Notebook], Iterator[str]], ...] = (
    executed_in_order,
    clean_outputs,
    figures_are_there,
    figures_are_described,
    stamped,
    compared,
    narrow,
    small,
)
OF_CHAPTERS = (claims_are_judged, claims_are_recorded, readable, seeded)


def complaints(notebook: Notebook) -> list[str]:
    """Return everything that the rules have to say about a notebook; nothing when it is good."""
    rules = OF_OUTPUTS if notebook.exercise else OF_OUTPUTS + OF_CHAPTERS
    return [complaint for rule in rules for complaint in rule(notebook)]


# ------------------------------------------------------------------------------------ chapters


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
    """Return the notebook stored at `path`, with the statements and records of the book."""
    nb, stated = nbformat.read(path, as_version=4), claims.load()
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


def main(words: list[str]) -> int:
    """Print the complaints about the files named, or about all; return the exit status."""
    console.be_lenient()
    paths = [Path(word) for word in words] or [*chapters(), *exercises()]
    count = 0
    for path in paths:
        for complaint in complaints(read(path)):
            count += 1
            print(f"{path.name}: {complaint}", file=sys.stderr)
    print(f"{len(paths)} notebooks, {count} complaints")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
