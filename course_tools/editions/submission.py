"""A submission set beside the notebook that it came from: what to run, and what is odd about it."""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_tools.chapters import exercises
from course_tools.chapters.cells import VERDICT, tags, text
from course_tools.chapters.exercises import Exercise, checked_names
from course_tools.editions import setup_cell
from course_utils import folders
from course_utils.errors import CourseError

# as course_utils.check.verdict has them, which would bring torch along; a test holds both equal
MARKS = {"✓": "right", "✗": "wrong", "!": "crashed", "–": "not attempted"}
MOST_BYTES = 30_000_000

# what an answer has no use for; code has that wants to speak for the grader, or asks a check for
# what it compares with, instead of computing it
REACHES = re.compile(
    r"\b(?:_getframe|f_back|f_locals|tb_frame|gc\.get_\w+|ctypes|course_tools|sys\.modules|os\._exit"
    r"|object\.__setattr__|__closure__|cell_contents|course_utils\.check"
    r"|check\.\w+\.(?!hint\b|solution\b)\w+)\b|/proc/self"
)


@dataclass
class Submission:
    """A notebook that came back.

    Attributes:
        path: of the file.
        source: name of the exercise notebook that it answers.
        steps: for the harness: kind "run" or "check", source, exercise, starter.
        seen: what the learner saw, by exercise: "right", "wrong", ... ; absent where nothing.
        remarks: what is odd, in words, by exercise; "" for the whole.
        answers: code of the learner's cells of each exercise.
    """

    path: Path
    source: str
    steps: list[dict] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def remark(self, exercise: str, words: str) -> None:
        """Note something odd, once."""
        known = self.remarks.setdefault(exercise, [])
        if words not in known:
            known.append(words)


def load(path: Path) -> NotebookNode:
    """Return a notebook that came back; CourseError, in words, where the file is none."""
    if path.stat().st_size > MOST_BYTES:
        raise CourseError(f"the file has {path.stat().st_size / 1e6:.0f} MB; 30 are the most")
    content = folders.read_bytes(path)
    if not content.strip():
        raise CourseError("the file is empty: it was never saved")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ids that are missing or occur twice
            nb = nbformat.reads(content.decode("utf-8"), as_version=4)
        cells = [cell for cell in nb.cells if isinstance(cell.get("source"), str)]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError,
            nbformat.ValidationError) as error:  # fmt: skip
        shown = (str(error).strip().splitlines() or ["?"])[0][:80]
        raise CourseError(f"the file is no notebook ({shown})") from None
    nb.cells = cells
    return nb


def source_of(nb: NotebookNode, path: Path, known: list[str]) -> str:
    """Return which of the exercise notebooks a submission answers; CourseError where none."""
    said = nb.metadata.get("course", {})
    name = said.get("notebook") if isinstance(said, dict) else None
    if name in known:
        return name
    found = [stem for stem in known if stem.lower() in path.stem.lower()]
    if len(found) == 1:
        return found[0]
    raise CourseError(f"it answers none of the exercises ({', '.join(known) or 'there are none'})")


def plan(nb: NotebookNode, path: Path, name: str, source: NotebookNode) -> Submission:
    """Return what to run of a submission, in its own order, with the course's own checks.

    Args:
        nb: the submission.
        path: of its file.
        name: of the exercise notebook.
        source: the exercise notebook as its authors wrote it.
    """
    made = Submission(path, name)
    known = {
        exercise.name: exercise for exercise in exercises.exercises(source) if exercise.checked
    }
    given = set(given_cells(source))
    current: str | None = None
    judged: list[str] = []
    for number, cell in enumerate(nb.cells, 1):
        current = marked(cell) or current
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if is_setup(cell) or cell.source.strip() in given or "summary" in tags(cell):
            continue
        names = [word for word in checked_names(cell) if word in known]
        rest = without_checks(cell.source, names) if names else cell.source
        if rest.strip() and not is_summary(rest):
            owner = names[0] if names else current
            made.steps.append({"kind": "run", "source": rest, "exercise": owner, "cell": number})
            if owner:
                made.answers[owner] = (made.answers.get(owner, "") + "\n\n" + rest).strip()
        for word in names:
            look_at_check(made, cell, known[word], judged)
            made.steps.append(check_step(known[word], number))
            judged.append(word)
    for word in known:
        if word not in judged:
            made.remark(word, "its check is missing; the original was run at the end")
            made.steps.append(check_step(known[word], None))
    for word, answer in made.answers.items():
        if found := sorted(set(REACHES.findall(answer))):
            made.remark(word, f"its code reaches for {', '.join(found)}, which no exercise needs: "
                        "read it before you believe its verdict")  # fmt: skip
    whole(made, nb)
    return made


def given_cells(source: NotebookNode) -> list[str]:
    """Return the code before the first exercise: imports and data, which everybody gets."""
    found = []
    for cell, part, exercise in exercises.parts(source):
        if exercise is not None:
            break
        if cell.cell_type == "code" and part is None and cell.source.strip():
            found.append(cell.source.strip())
    return found


def check_step(exercise: Exercise, cell: int | None) -> dict:
    """Return the step that judges an exercise with the check as its authors wrote it."""
    return {"kind": "check", "source": exercise.part("check")[0].source, "exercise": exercise.name,
            "starter": exercise.part("starter")[0].source, "cell": cell}  # fmt: skip


def look_at_check(made: Submission, cell: NotebookNode, exercise: Exercise, judged: list) -> None:
    """Note what the learner saw at a check, and what was done to it."""
    if exercise.name in judged:
        made.remark(exercise.name, "its check stands more than once; the last one counts")
    if same(cell.source) != same(exercise.part("check")[0].source):
        made.remark(exercise.name, "its check cell was changed; the original was run instead")
    state = shown(cell, exercise.name)
    if state is None and not cell.get("outputs"):
        made.remark(exercise.name, "its check was never run, or saved without its output")
        made.seen.pop(exercise.name, None)
    elif state is None:
        made.remark(exercise.name, "what stands below its check is no verdict of the course")
    else:
        made.seen[exercise.name] = state


def whole(made: Submission, nb: NotebookNode) -> None:
    """Note what is odd about the whole submission."""
    code = [cell for cell in nb.cells if cell.cell_type == "code" and cell.source.strip()]
    if code and not any(cell.get("execution_count") for cell in code):
        made.remark("", "no cell of it was ever executed")
    counts = [cell.execution_count for cell in code if isinstance(cell.get("execution_count"), int)]
    if counts != sorted(counts):
        made.remark("", "its cells were not run from top to bottom")


def shown(cell: NotebookNode, name: str) -> str | None:
    """Return the verdict that is stored below a check: "right", "wrong", ... ; None where none."""
    for output in cell.get("outputs", []):
        data = output.get("data", {}) if isinstance(output, dict) else {}
        verdict = data.get(VERDICT)
        if isinstance(verdict, str):
            try:
                verdict = json.loads(verdict)
            except ValueError:
                verdict = None
        if isinstance(verdict, dict) and verdict.get("name") == name:
            return str(verdict.get("state"))
    for output in cell.get("outputs", []):  # some platforms keep nothing but the text
        plain = text(output.get("data", {}).get("text/plain", "")).strip()
        if plain[:1] in MARKS:
            return MARKS[plain[0]]
    return None


def marked(cell: NotebookNode) -> str | None:
    """Return the exercise that a cell was made for, by its metadata."""
    said = cell.metadata.get("course", {})
    name = said.get("exercise") if isinstance(said, dict) else None
    return name if isinstance(name, str) else None


def is_setup(cell: NotebookNode) -> bool:
    """Tell whether a cell is the one that installs the course, changed or not."""
    return cell.get("id") == setup_cell.ID or "COURSE_WHEEL" in cell.source


def is_summary(source: str) -> bool:
    """Tell whether code only asks for the summary."""
    return re.fullmatch(r"\s*check\.summary\(.*\)\s*;?\s*", source) is not None


def same(source: str) -> str:
    """Return code as its syntax tree prints it: comments and layout do not matter."""
    try:
        return ast.unparse(ast.parse(source))
    except (SyntaxError, ValueError):
        return source.strip()


def without_checks(source: str, names: list[str]) -> str:
    """Return code without the top-level statements that call one of the checks."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):  # a magic, or half a sentence: run as it is, checks and all
        return source
    lines = source.splitlines()
    for statement in reversed(body):
        if set(exercises.check_calls(statement)) & set(names):
            lines[statement.lineno - 1 : statement.end_lineno] = []
    return "\n".join(lines)
