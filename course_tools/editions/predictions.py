"""Questions that ask for a guess first, as their directive `predict` writes them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from course_utils.errors import CourseError

ITEM = re.compile(r"^[-*] \[(?P<mark>[ xX])\] (?P<first>.*)$")


@dataclass(frozen=True)
class Answer:
    """One answer to choose: its words, whether it is right, and what is said to who chose it."""

    words: str
    right: bool
    feedback: str


def parse(question: str, body: str) -> list[Answer]:
    """Return the answers of a question; CourseError unless exactly one of several is right.

    Args:
        question: to name in errors.
        body: a task list: the first line of an item is the answer, what is indented its feedback.
    """
    items: list[tuple[bool, list[str]]] = []
    for line in body.splitlines():
        if found := ITEM.match(line):
            items.append((found["mark"] != " ", [found["first"]]))
        elif items:
            items[-1][1].append(line)
        elif line.strip():
            raise CourseError(f"the question {question!r} has text before its answers: {line!r}")
    made = [
        Answer(lines[0].strip(), right, textwrap.dedent("\n".join(lines[1:])).strip())
        for right, lines in items
    ]
    if len(made) < 2 or sum(answer.right for answer in made) != 1:
        raise CourseError(f"the question {question!r} wants two answers or more, one of them right")
    return made
