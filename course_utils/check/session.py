"""What happened in this session: the last verdict of every check, counted at the end."""

from __future__ import annotations

import html
from dataclasses import dataclass

from course_utils.check.verdict import Verdict, show

EDITION = 1  # of the exercises: it rises when a check changes so that older notebooks mislead
SUMMARY_TYPE = "application/vnd.course.summary+json"
last: dict[str, Verdict] = {}  # by name of the check
expected: list[str] = []  # the checks of the notebook that began


@dataclass(frozen=True)
class Summary:
    """How many checks passed.

    Attributes:
        verdicts: by name of the check; None where it did not run.
    """

    verdicts: dict[str, Verdict | None]

    @property
    def passed(self) -> int:
        """How many are right."""
        return sum(found is not None and found.passed is True for found in self.verdicts.values())

    @property
    def not_run(self) -> int:
        """How many did not run."""
        return sum(found is None for found in self.verdicts.values())

    @property
    def sentence(self) -> str:
        """Return "4 of 6 passed, 1 not run"."""
        left = f", {self.not_run} not run" if self.not_run else ""
        return f"{self.passed} of {len(self.verdicts)} passed{left}"

    def rows(self) -> list[str]:
        """Return a line for each check that did not pass."""
        return [
            f"{name}: not run" if found is None else f"{name}: {found}"
            for name, found in self.verdicts.items()
            if found is None or found.passed is not True
        ]

    def __str__(self) -> str:
        return "\n  ".join([self.sentence, *self.rows()])

    def bundle(self) -> dict:
        """Return the summary by MIME type."""
        states = {name: found and found.state for name, found in self.verdicts.items()}
        data = {"passed": self.passed, "of": len(states), "not_run": self.not_run, "states": states}
        rows = "".join(f"<li>{html.escape(row)}</li>" for row in self.rows())
        page = f'<div class="course-summary" role="status"><b>{self.sentence}</b>'
        page += f"<ul>{rows}</ul></div>" if rows else "</div>"
        return {"text/plain": str(self), "text/html": page, SUMMARY_TYPE: data}

    def _ipython_display_(self) -> None:
        """Show nothing: it has been shown."""


def begin(names: list[str], edition: int) -> None:
    """Forget earlier verdicts, expect these checks, and say when notebook and package differ."""
    last.clear()
    expected[:] = names
    if edition < EDITION:
        print(
            f"This notebook is older than the package (edition {edition} of the exercises; the "
            f"package has {EDITION}): fetch the notebook again, or checks may ask for something "
            "else than it says."
        )
    elif edition > EDITION:
        print(
            f"The package is older than this notebook (edition {EDITION} of the exercises; the "
            f"notebook wants {edition}): install the newer package."
        )


def note(verdict: Verdict) -> None:
    """Keep a verdict for the summary."""
    last[verdict.name] = verdict


def summary() -> Summary:
    """Show and return how many of the notebook's checks passed."""
    names = list(dict.fromkeys([*expected, *last]))
    found = Summary({name: last.get(name) for name in names})
    show(found.bundle())
    return found
