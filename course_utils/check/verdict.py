"""What a check says of an answer: one state, one sentence, and how it is shown."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

RIGHT, WRONG, CRASHED, UNTRIED = "right", "wrong", "crashed", "not attempted"
MARKS = {RIGHT: "✓", WRONG: "✗", CRASHED: "!", UNTRIED: "–"}
WORDS = {RIGHT: "Right.", WRONG: "Not yet.", CRASHED: "It stopped.", UNTRIED: "Not attempted."}
COLOURS = {RIGHT: "#2e8b57", WRONG: "#c0602a", CRASHED: "#c0602a", UNTRIED: "#7a7f87"}
VERDICT_TYPE = "application/vnd.course.verdict+json"


@dataclass(frozen=True)
class Verdict:
    """What was found out about one answer.

    Attributes:
        name: of the check.
        state: "right", "wrong", "crashed" or "not attempted".
        findings: sentences, the most telling one first; one at least.
    """

    name: str
    state: str
    findings: tuple[str, ...] = field(repr=False)

    @property
    def passed(self) -> bool | None:
        """True or False; None where there is no answer yet."""
        return None if self.state == UNTRIED else self.state == RIGHT

    @property
    def sentence(self) -> str:
        """The first finding: what to read."""
        return self.findings[0]

    def __str__(self) -> str:
        return f"{MARKS[self.state]} {self.sentence}"

    def bundle(self) -> dict:
        """Return the verdict by MIME type: as text, as HTML, and as data for a grader."""
        data = {
            "name": self.name,
            "passed": self.passed,
            "state": self.state,
            "sentence": self.sentence,
        }
        return {"text/plain": str(self), "text/html": self._html(), VERDICT_TYPE: data}

    def _html(self) -> str:
        """Return a bar whose colour repeats what its first words say, in light and in dark."""
        more = "".join(f"<li>{html.escape(finding)}</li>" for finding in self.findings[1:])
        if more:
            more = f"<details><summary>Also</summary><ul>{more}</ul></details>"
        style = f"border-left:4px solid {COLOURS[self.state]};padding:.3em .8em;margin:.3em 0"
        return (
            f'<div class="course-verdict" role="status" style="{style}">'
            f"<b>{MARKS[self.state]} {WORDS[self.state]}</b> "
            f"{html.escape(self.sentence)}{more}</div>"
        )

    def _ipython_display_(self) -> None:
        """Show nothing: the check has shown it, also where it is the last line of a cell."""


def show(bundle: dict) -> None:
    """Display a MIME bundle in a notebook; print its text elsewhere."""
    try:
        from IPython import get_ipython
    except ImportError:
        get_ipython = lambda: None  # noqa: E731
    if get_ipython() is None:
        print(bundle["text/plain"])
        return
    from IPython.display import display

    display(bundle, raw=True)


def show_markdown(text: str) -> None:
    """Display Markdown in a notebook; print it elsewhere."""
    show({"text/plain": text, "text/markdown": text})
