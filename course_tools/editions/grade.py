"""Grade a folder of submissions: each in a process of its own, by the course's own checks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from nbformat import NotebookNode

from course_tools.chapters import exercises, stored
from course_tools.chapters.exercises import Exercise
from course_tools.editions import folder, report, sandbox, student, submission
from course_tools.editions.report import Row
from course_tools.editions.sandbox import Limits, Outcome
from course_tools.editions.submission import Submission
from course_utils import folders
from course_utils.errors import CourseError

# torch._dynamo, which an optimizer imports, wraps functions of torch: before they are watched
IMPORTS = ["torch", "torch.nn.functional", "torch._dynamo", "matplotlib.pyplot"]
IMPORTS += ["course_utils.runtime"]


def grade(
    handed_in: Path,
    out: Path,
    limits: Limits | None = None,
    source_folder: Path = stored.FOLDER,
    say: Callable[[str], None] = print,
) -> list[Row]:
    """Grade what lies in a folder as `course collect` leaves it; write the reports; return rows.

    Args:
        handed_in: holds a folder for each student, with notebooks in it.
        out: new, empty, or an older report: results.csv, report.html, feedback/STUDENT.html.
        limits: of each submission.
        source_folder: `notebooks`, with the exercises in it.
        say: is told each line of progress.

    Raises CourseError when there is nothing to grade, when the reference solutions do not pass
    here (then no verdict would mean anything), or when `out` holds something else.
    """
    limits = limits or Limits()
    students = students_of(handed_in)
    known = {path.stem: student.read(path) for path in stored.exercises(source_folder)}
    if not known:
        raise CourseError(f"{source_folder} holds no exercises to grade by")
    rows: list[Row] = []
    with folder.edition(out, "graded") as new, tempfile.TemporaryDirectory() as warm:
        place = folders.located(out)
        if place.is_relative_to(folders.located(handed_in)):
            raise CourseError(f"{place} lies among the submissions; name a folder beside them")
        tried: dict[str, Path] = {}
        for name, files in students.items():
            made: list[Row] = []
            for path in files:
                made += one(name, path, known, limits, tried, Path(warm))
            rows += made
            say(f"{name}: {report.count(made)}")
        report.write(new, rows, limits, sandbox.without_network() != ())
    return rows


def students_of(handed_in: Path) -> dict[str, list[Path]]:
    """Return the notebooks of each student; CourseError where a folder holds none at all."""
    handed_in = folders.located(handed_in)
    if not folders.is_dir(handed_in):
        raise CourseError(f"{handed_in} is no folder; `course collect` makes one of a ZIP file")
    found = {
        inside.name: [p for p in folders.listing(inside, "*.ipynb") if not p.name.startswith(".")]
        for inside in folders.listing(handed_in)
        if inside.is_dir() and not inside.is_symlink() and not inside.name.startswith(".")
    }
    if not any(found.values()):
        raise CourseError(f"{handed_in} holds no folder with a notebook; course collect sorts them")
    return found


def one(name: str, path: Path, known: dict[str, NotebookNode], limits: Limits,
        tried: dict[str, Path], warm: Path) -> list[Row]:  # fmt: skip
    """Return the rows of one file; whatever is wrong with it becomes a row, never an error."""
    try:
        nb = submission.load(path)
        stem = submission.source_of(nb, path, list(known))
        source = known[stem]
        made = submission.plan(nb, path, stem, source)
    except CourseError as error:
        return [Row(name, path.name, "", "no answer", str(error))]
    except Exception as error:  # what a damaged or made-up file can raise has no end
        said = f"the file cannot be read as a notebook ({type(error).__name__})"
        return [Row(name, path.name, "", "no answer", said)]
    if stem not in tried:
        tried[stem] = reference(stem, source, limits, warm)
    outcome = sandbox.run(job_of(source, made.steps), limits, tried[stem])
    return [row(name, made, exercise, outcome)
            for exercise in exercises.exercises(source) if exercise.checked]  # fmt: skip


def job_of(source: NotebookNode, steps: list[dict]) -> dict:
    """Return a job for the harness."""
    return {"imports": IMPORTS, "given": submission.given_cells(source), "steps": steps}


def reference(stem: str, source: NotebookNode, limits: Limits, warm: Path) -> Path:
    """Run the reference solutions as a submission; return the cache that they left.

    Raises CourseError unless all of them pass: then the fault is here, not with the students.
    """
    whole = {exercise.name: exercise for exercise in exercises.exercises(source)}
    given = submission.given_cells(source)
    steps: list[dict] = []
    for cell, part, exercise in exercises.parts(source):
        if part == "check":
            steps.append(submission.check_step(whole[exercise.name], None))
        elif cell.cell_type == "code" and part != "summary" and cell.source.strip() not in given:
            owner = exercise.name if exercise else None
            steps.append({"kind": "run", "source": cell.source, "exercise": owner})
    place = warm / stem
    outcome = sandbox.run(job_of(source, steps), limits, keep=place)
    failed = [f"{v['exercise']}: {v['state']}, {v['sentence']}"
              for v in outcome.verdicts.values() if not v["passed"]]  # fmt: skip
    if failed or not outcome.finished:
        shown = "; ".join(failed) or outcome.printed.strip()[-300:] or "its process ended early"
        raise CourseError(f"the reference solutions of {stem} do not pass here: {shown}")
    return place


def row(name: str, made: Submission, exercise: Exercise, outcome: Outcome) -> Row:
    """Return the row of one exercise: the last verdict, and what explains it."""
    own = {i: step for i, step in enumerate(made.steps) if step["exercise"] == exercise.name}
    verdicts = [outcome.verdicts[i] for i in sorted(own) if i in outcome.verdicts]
    remarks = [*made.remarks.get("", []), *made.remarks.get(exercise.name, [])]
    remarks += stops(own, outcome)
    seen = made.seen.get(exercise.name, "")
    made_row = Row(name, made.source, exercise.name, "no answer", seen=seen, remarks=remarks,
                   code=made.answers.get(exercise.name, ""))  # fmt: skip
    if verdicts:
        made_row.state, made_row.sentence = verdicts[-1]["state"], verdicts[-1]["sentence"]
    elif not outcome.finished:
        made_row.sentence = "the submission was stopped before this check could be run"
    if made_row.state == "void":
        made_row.remarks.append(f"it tampers with the check: {made_row.sentence}")
    if difference := explained(made_row):
        made_row.remarks.append(difference)
    return made_row


def stops(own: dict[int, dict], outcome: Outcome) -> list[str]:
    """Return in words which of an exercise's cells raised or stopped the process."""
    said = []
    for index, step in own.items():
        where = f"cell {step['cell']}" if step.get("cell") else "its check"
        if index in outcome.stopped:
            said.append(f"{where} {outcome.stopped[index]}; it was left out and the rest was run")
        error = outcome.errors.get(index)
        if error and error["name"] == "OutOfTime":
            said.append(f"{where} took too long and was stopped")
        elif error:
            line = f" in line {error['line']}" if error.get("line") else ""
            said.append(f"{where} raised {error['name']}{line}: {error['message']}".rstrip(": "))
    return said


def explained(found: Row) -> str:
    """Return why the learner saw another verdict than the grader; "" where they agree."""
    if not found.seen or found.seen == found.state:
        return ""
    began = f"the learner saw “{found.seen}”, the grader “{found.state}”: "
    if found.state == "void":
        return began + "the course's functions were replaced, so its verdict counts for nothing"
    if found.state in ("out of time", "no answer"):
        return began + "here there was no answer to judge"
    if any("changed" in remark for remark in found.remarks):
        return began + "the check below which it stood was not the course's"
    if any("top to bottom" in remark for remark in found.remarks):
        return began + "run from top to bottom, the cells make something else"
    return began + "the answer was changed after its check, or rests on what is not in the file"
