"""Rules that a stored chapter or exercise obeys, beside what nbval compares.

nbval passes notebooks that are stripped, that lost their figures, or that were executed in another
state of their code; these rules refuse them. Each rule takes one `Notebook` and yields sentences,
one per fault. `python -m course_tools.chapters.rules` prints them for all, or for those named
(`04`, `exercises/04`, a path), and exits 1 when there are any; the tests do the same.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat

from course_tools.chapters import slices, stored
from course_tools.chapters.cells import code_sha256, described, draws, pictures, tags, text, texts
from course_tools.chapters.claim_rules import claims_are_judged, claims_are_recorded
from course_tools.chapters.stored import Notebook, numbered
from course_utils import console

CELLS = (25, 40)  # code cells of a chapter
MEDIAN_LINES, MOST_LINES = 10, 30  # of a code cell
COLUMNS = 79  # of a line of code: wider ones are cut on a page
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


@console.command
def main(words: list[str]) -> int:
    """Print the complaints about the notebooks named, or about all; return the exit status.

    0 where there are none, 1 where there are some, 2 for a name that is no notebook's.
    """
    count = 0
    paths = [path for word in words for path in meant(word)] or stored.find([])
    for path in paths:
        for complaint in complaints(stored.read(path)):
            count += 1
            print(f"{path.name}: {complaint}", file=sys.stderr)
    print(f"{len(paths)} notebooks, {count} complaints")
    return 1 if count else 0


def meant(word: str) -> list[Path]:
    """Return the notebooks that a word means: a file anywhere, or chapters by their name."""
    return [Path(word)] if Path(word).is_file() else stored.find([word])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
