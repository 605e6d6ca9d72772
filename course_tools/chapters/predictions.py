"""Questions that ask for a guess first, as their directive `predict` holds them."""

from __future__ import annotations

import re
import textwrap
from typing import NamedTuple

from course_utils.errors import CourseError

ITEM = re.compile(r"^[-*] \[([ xX])\] +(.*)$")


class Answer(NamedTuple):
    """One answer: its words, whether it is the right one, and what is said to who chose it."""

    words: str
    right: bool
    feedback: str


def answers_of(lines: list[str]) -> list[Answer]:
    """Return the answers of a question.

    Args:
        lines: of a task list: the first paragraph of an item is the answer, the rest its feedback.

    Raises CourseError, with what is wrong, unless there are two at least, each with feedback, and
    exactly one is marked.
    """
    items: list[tuple[bool, list[str]]] = []
    for line in lines:
        if match := ITEM.match(line):
            items.append((match[1] != " ", [match[2]]))
        elif items:
            items[-1][1].append(line)
        elif line.strip():
            raise CourseError(f"{line.strip()!r} stands before the first answer, `- [ ] ...`")
    found = [answer(right, text) for right, text in items]
    if len(found) < 2:
        raise CourseError(f"a question needs two answers at least, and has {len(found)}")
    if sum(one.right for one in found) != 1:
        raise CourseError("exactly one answer is to be marked, `- [x] ...`")
    if silent := [one.words for one in found if not one.feedback]:
        raise CourseError(f"the answer {silent[0]!r} has no feedback")
    return found


def answer(right: bool, lines: list[str]) -> Answer:
    """Return one answer from its lines: the first paragraph, and the rest."""
    rest = textwrap.dedent("\n".join(lines[1:]))
    words, _, feedback = f"{lines[0]}\n{rest}".partition("\n\n")
    return Answer(" ".join(words.split()), right, feedback.strip())
