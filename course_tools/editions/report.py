"""What grading leaves: a table, a page for the instructor, and one for each student."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from course_utils import folders

if TYPE_CHECKING:
    from course_tools.editions.sandbox import Limits

COLUMNS = ("student", "notebook", "exercise", "points", "state", "learner_saw", "sentence",
           "remarks")  # fmt: skip
SIGNS = {"right": "✓", "wrong": "✗", "crashed": "!", "not attempted": "–", "void": "⊘",
         "out of time": "…", "no answer": "?"}  # fmt: skip
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .35rem .5rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.right { color: light-dark(#05610a, #7ee787); }
.wrong, .crashed { color: light-dark(#a40e26, #ff9a93); }
.void { color: #fff; background: #a40e26; padding: 0 .4rem; }
pre { background: #8882; padding: .75rem; overflow-x: auto; }
th { white-space: nowrap; }
td:first-child { min-width: 9rem; }
"""


@dataclass
class Row:
    """The verdict on one exercise of one student.

    Attributes:
        student, notebook, exercise: what it is about; exercise is "" where the file is at fault.
        state: "right", "wrong", "crashed", "not attempted", "void", "out of time", "no answer".
        sentence: of the check, or why there is none.
        seen: what the learner saw: "right", ...; "" for nothing.
        remarks: what is odd, in words.
        code: the learner's.
    """

    student: str
    notebook: str
    exercise: str
    state: str
    sentence: str = ""
    seen: str = ""
    remarks: list[str] = field(default_factory=list)
    code: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether it counts."""
        return self.state == "right"


def count(rows: list[Row]) -> str:
    """Return "3 of 6 passed", and what did not run."""
    asked = [row for row in rows if row.exercise]
    passed = sum(row.passed for row in asked)
    not_run = sum(row.state in ("no answer", "out of time") for row in asked)
    words = f"{passed} of {len(asked)} passed" if asked else "nothing could be judged"
    return words + (f", {not_run} not run" if not_run else "")


def saw(rows: list[Row]) -> str:
    """Return what the learner saw, as "k of n"; in words where the file is at fault."""
    asked = [row for row in rows if row.exercise]
    return f"{sum(row.seen == 'right' for row in asked)} of {len(asked)}" if asked else "–"


def write(place: Path, rows: list[Row], limits: Limits, without_network: bool) -> None:
    """Write results.csv, report.html and feedback/STUDENT.html into a folder."""
    folders.write_atomically(place / "results.csv", table(rows))
    names = list(dict.fromkeys(row.student for row in rows))
    by_student = {name: [row for row in rows if row.student == name] for name in names}
    folders.write_atomically(place / "report.html", overview(by_student, limits, without_network))
    for name, own in by_student.items():
        folders.write_atomically(place / "feedback" / f"{name}.html", feedback(name, own))


def table(rows: list[Row]) -> str:
    """Return the rows as CSV; a cell never begins a formula in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = (row.student, row.notebook, row.exercise, int(row.passed), row.state, row.seen,
                 row.sentence, "; ".join(row.remarks))  # fmt: skip
        writer.writerow([tame(cell) for cell in cells])
    return text.getvalue()


def tame(cell: object) -> object:
    """Return a text that a spreadsheet does not take for a formula."""
    text = " ".join(str(cell).split())
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def overview(by_student: dict[str, list[Row]], limits: Limits, without_network: bool) -> str:
    """Return the instructor's page: a line for each student, then all that is to be looked at."""
    lines = []
    for name, rows in by_student.items():
        signs = " ".join(badge(row) for row in rows)
        link = f'<a href="feedback/{escape(name, quote=True)}.html">{escape(name)}</a>'
        cells = (link, escape(count(rows)), escape(saw(rows)), signs)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    looks = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>"
        for rows in by_student.values()
        for line in to_look_at(rows)
    )
    network = "without a network" if without_network else "with the network of this machine"
    key = ", ".join(f"{sign} {state}" for state, sign in SIGNS.items())
    return page(
        "Results",
        f"""
<p>{len(by_student)} students. Each submission ran in a process of its own, {network}, at most
{limits.cell_seconds:g} s a cell and {limits.memory_megabytes} MB. {escape(key)}.</p>
<div class="wide"><table><thead><tr><th>Student</th><th>Result</th><th>The learner saw</th>
<th>Exercises</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>
<h2>To be looked at</h2>
<div class="wide"><table><thead><tr><th>Student</th><th>Where</th><th>What</th></tr></thead>
<tbody>{looks}</tbody></table></div>""",
    )


def to_look_at(rows: list[Row]) -> Iterator[tuple[str, str, str]]:
    """Yield student, place and remarks; what is said of a whole notebook once, not at each part."""
    for notebook in dict.fromkeys(row.notebook for row in rows):
        own = [row for row in rows if row.notebook == notebook]
        common = [words for words in own[0].remarks if all(words in row.remarks for row in own)]
        if common and len(own) > 1:
            yield own[0].student, notebook, "; ".join(common)
        for row in own:
            rest = [words for words in row.remarks if len(own) == 1 or words not in common]
            if rest or not row.exercise:
                yield row.student, row.exercise or notebook, "; ".join(rest) or row.sentence


def badge(row: Row) -> str:
    """Return the sign of a verdict, with its words for those who do not see it."""
    where = escape(row.exercise or row.notebook, quote=True)
    words = f"{where}: {row.state}"
    kind = row.state.replace(" ", "-")
    sign = SIGNS.get(row.state, "?")
    return f'<span class="{kind}" role="img" aria-label="{words}" title="{words}">{sign}</span>'


def feedback(name: str, rows: list[Row]) -> str:
    """Return one student's page: what each check said, and their own code under it."""
    parts = []
    for row in rows:
        remarks = "".join(f"<li>{escape(remark)}</li>" for remark in row.remarks)
        code = f"<details><summary>Your code</summary><pre>{escape(row.code)}</pre></details>"
        parts.append(
            f"<section><h2>{badge(row)} {escape(row.exercise or row.notebook)}: "
            f"{escape(row.state)}</h2><p>{escape(row.sentence)}</p>"
            + (f"<ul>{remarks}</ul>" if remarks else "")
            + (code if row.code else "")
            + "</section>"
        )
    return page(f"Feedback: {name}", f"<p>{escape(count(rows))}.</p>" + "".join(parts))


def page(title: str, body: str) -> str:
    """Return an HTML page that needs nothing else."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
