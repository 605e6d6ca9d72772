"""Questions that are answered before the page tells."""

import sys
from pathlib import Path

import pytest

EXT = Path(__file__).resolve().parents[2] / "book" / "_ext"
sys.path.insert(0, str(EXT))

import exercise_pages  # noqa: E402

from course_tools.chapters import stored  # noqa: E402
from course_tools.chapters.cells import tags  # noqa: E402
from course_tools.chapters.predictions import answers_of  # noqa: E402
from course_utils.errors import CourseError  # noqa: E402

GOOD = """- [ ] Six numbers.

  No.
- [x] Twelve, a `code`
  of two lines.

  Yes: **two**

  paragraphs.""".split("\n")  # noqa: SIM905


def test_answers_and_feedback_are_read():
    wrong, right = answers_of(GOOD)
    assert wrong == ("Six numbers.", False, "No.")
    assert right == ("Twelve, a `code` of two lines.", True, "Yes: **two**\n\nparagraphs.")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["- [x] One.", "", "  Yes."], "two answers at least, and has 1"),
        (["- [ ] A.", "", "  a", "- [ ] B.", "", "  b"], "exactly one"),
        (["- [x] A.", "", "  a", "- [x] B.", "", "  b"], "exactly one"),
        (["- [x] A.", "", "  a", "- [ ] B."], "'B.' has no feedback"),
        (["Text.", "- [x] A."], "stands before the first answer"),
        ([], "has 0"),
    ],
)
def test_a_faulty_question_says_what_is_wrong(lines, says):
    with pytest.raises(CourseError, match=says):
        answers_of(lines)


@pytest.mark.parametrize("path", stored.chapters(), ids=lambda path: path.stem)
def test_a_chapter_asks_twice_before_it_tells_what_was_measured(path):
    asked = [cell.source for cell in stored.read(path).nb.cells if "prediction" in tags(cell)]
    assert len(asked) >= 2
    for source in asked:
        first, covers, *answers, last = source.splitlines()
        assert first.startswith(":::{predict} ") and covers == ":covers:" and last == ":::"
        told = [answer.feedback for answer in answers_of(answers)]
        assert len(set(told)) == len(told), "each answer has a feedback of its own"
        assert "{claim}" in source


def cell(kind, source, *labels, **metadata):
    return {"cell_type": kind, "id": source[:8], "source": source,
            "metadata": {"tags": list(labels), **metadata}}  # fmt: skip


FACTS = {"name": "kl", "goal": "to sum.", "difficulty": 2, "minutes": 10, "kind": "implement"}


def page(*tags):
    cells = [
        cell("markdown", "# Title"),
        cell("markdown", "## 1. KL\n\nWrite it.", "statement", *tags, exercise=FACTS),
        cell("markdown", "One half.", "hint"),
        cell("markdown", "Sum.", "hint"),
        cell("code", "def kl(): ...", "starter"),
        cell("code", "def kl(): 1", "solution"),
        cell("markdown", "Because.", "solution"),
        cell("code", "check.kl(kl)", "check"),
    ]
    return list(exercise_pages.folded(cells))


def test_hints_and_solutions_are_folded_on_the_page():
    shown = page()
    assert [c["cell_type"] for c in shown] == ["markdown"] * 4 + ["code", "markdown", "code"]
    assert (
        "*Implement · difficulty 2 of 3 · about 10 minutes. You learn: to sum.*"
        in (shown[1]["source"])
    )
    assert "Hint 2\n:class: hint dropdown" in shown[3]["source"]
    solution = shown[5]["source"]
    assert "Solution\n:class: seealso dropdown" in solution
    assert "```python\ndef kl(): 1\n```\n\nBecause." in solution


def test_solutions_of_graded_exercises_are_not_on_the_page():
    shown = page("graded")
    assert "def kl(): 1" not in str(shown) and "Because." not in str(shown)
    assert shown[5]["source"] == exercise_pages.GRADED


def test_what_a_grader_reads_is_not_on_the_page():
    data = {"text/html": "<b>", exercise_pages.OURS + "verdict+json": {}}
    checked = cell("code", "check.kl(kl)", "check") | {"outputs": [{"data": data}]}
    (shown,) = exercise_pages.folded([checked])
    assert shown["outputs"] == [{"data": {"text/html": "<b>"}}]
