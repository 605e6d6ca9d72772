"""The student edition: nothing of a solution, everything else, the same bytes each time."""

import copy
import json
import re

import nbformat
import pytest
import sample

from course_tools.chapters import exercises, stored
from course_tools.editions import folder, instructor, markdown, setup_cell, student, wheel
from course_utils import check
from course_utils.errors import CourseError

CHAPTERS = stored.chapters()
RAW = re.compile(r"\{[a-z][a-z:-]+\}`|^(?:`{3,}|:{3,})\{", re.M)


def edition(clone):
    """Return what an edition is made with."""
    return student.Edition(markdown.read_book(clone))


def made(clone, change=None):
    """Return the student edition of the sample, changed first by a function."""
    nb = sample.notebook()
    if change:
        change(nb)
    path = clone / "notebooks" / "exercises" / f"{sample.NAME}.ipynb"
    nbformat.write(nb, path)
    return student.from_file(path, edition(clone))


def test_no_solution_is_handed_out(handed_out):
    text = nbformat.writes(handed_out)
    for exercise in exercises.exercises(sample.notebook()):
        assert exercises.telling_lines(exercise)
        assert not exercises.leaks("\n".join(c.source for c in handed_out.cells), [exercise])
    assert "number + number" not in text and "explains itself" not in text


def test_statements_hints_starters_and_checks_are_kept(handed_out):
    sources = [cell.source for cell in handed_out.cells]
    assert "check.cube(my_cube)" in sources and sample.STARTER.format("cube") in sources
    assert "<summary>Hint 2</summary>" in nbformat.writes(handed_out)
    statement = sample.part(handed_out, "cube", "statement").source
    assert "5 minutes" in statement and "graded" in statement


def test_checks_say_nothing_before_they_are_run(clone):
    def run(nb):
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.execution_count = 3
                cell.outputs = [nbformat.v4.new_output("stream", text="✓ right\n")]

    nb = made(clone, run)
    assert not any(c.outputs for c in nb.cells if "check" in c.metadata.get("tags", []))


def test_a_solution_that_is_tagged_wrongly_is_noticed(clone):
    def forget(nb):
        later = [cell for cell in nb.cells if "solution" in cell.metadata.get("tags", [])]
        nb.cells.append(nbformat.v4.new_code_cell(later[0].source))

    with pytest.raises(CourseError, match="would be handed out: double"):
        made(clone, forget)


def test_the_first_cell_sets_up_and_says_how_long_it_takes(handed_out):
    first = handed_out.cells[0]
    assert first.id == setup_cell.ID and "setup" in first.metadata.tags
    compile(first.source, "set-up", "exec")
    assert "about 25 minutes" in first.source and "device_label" in first.source


def test_the_set_up_knows_every_dependency_but_those_of_torch():
    import tomllib

    said = tomllib.loads((stored.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = {re.match(r"[\w-]+", word)[0] for word in said["project"]["dependencies"]}
    # Colab has these, and they are not to be touched; deeplake is for LFW's store alone
    names -= {"torch", "torchvision", "numpy", "matplotlib", "deeplake"}
    assert names == set(setup_cell.NEEDED.values())


@pytest.mark.notebook
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapters_are_plain_and_keep_their_pictures(path):
    nb = student.from_file(path, student.Edition(markdown.read_book(stored.ROOT)))
    source = nbformat.read(path, as_version=4)
    texts = [cell.source for cell in nb.cells if cell.cell_type == "markdown"]
    assert not RAW.search("\n".join(re.sub(r"```.*?```", "", text, flags=re.S) for text in texts))

    def pictures(nb):
        shown = [out.get("data", {}) for cell in nb.cells for out in cell.get("outputs", [])]
        return [data[kind] for data in shown for kind in data if kind.startswith("image/")]

    assert pictures(nb) == pictures(source) != []
    assert "widgets" not in nb.metadata and nb.metadata.colab.generative_ai_disabled is True
    code = [cell.source for cell in nb.cells if cell.cell_type == "code"][1:]
    assert code == [cell.source for cell in source.cells if cell.cell_type == "code"]
    ids = [cell.id for cell in nb.cells]
    assert len(ids) == len(set(ids))


def fake_wheel(into, root):
    """Write a file in place of a wheel, so that no test waits for one."""
    into.mkdir()
    (into / "autoencoder_course-0.1.0-py3-none-any.whl").write_bytes(b"wheel")
    return into / "autoencoder_course-0.1.0-py3-none-any.whl"


def test_the_same_bytes_twice_and_only_over_an_older_edition(clone, tmp_path, monkeypatch):
    monkeypatch.setattr(wheel, "build", fake_wheel)
    out = tmp_path / "out"
    (path,) = student.write(out, "https://ada.github.io/course", root=clone)
    first = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    address = (
        "https://ada.github.io/course/student/wheels/autoencoder_course-0.1.0-py3-none-any.whl"
    )
    assert address in "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    student.write(out, "https://ada.github.io/course/", root=clone)
    assert first == {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    (out / folder.MARK).unlink()
    with pytest.raises(CourseError, match="holds something else"):
        student.write(out, root=clone)
    assert (out / "README.md").exists()


def test_a_failure_leaves_the_older_edition_as_it_was(clone, tmp_path, monkeypatch):
    monkeypatch.setattr(wheel, "build", fake_wheel)
    out = tmp_path / "out"
    student.write(out, root=clone)
    before = sorted(out.rglob("*"))
    (clone / "notebooks" / "exercises" / "91_broken.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(CourseError, match="91_broken"):
        student.write(out, root=clone)
    assert sorted(out.rglob("*")) == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda nb: nb.cells[2].metadata.pop("exercise"), "lack name"),
        (lambda nb: nb.cells[2].metadata.exercise.update(difficulty=7), "1, 2 or 3"),
        (lambda nb: nb.cells[2].metadata.exercise.update(minutes="ten"), "whole number"),
        (lambda nb: nb.cells[2].metadata.exercise.update(kind="riddle"), "not 'riddle'"),
        (lambda nb: nb.cells[2].metadata.exercise.update(goal=3), "is words"),
        (lambda nb: nb.cells[2].metadata.exercise.update(difficulty=2.0), "1, 2 or 3"),
        (lambda nb: nb.cells[2].metadata.exercise.update(name="no name"), "no name for"),
        (lambda nb: nb.cells[9].metadata.exercise.update(name="double"), "the same name: double"),
        (lambda nb: nb.cells[8].update(source="check.square(my_square)"), "the check of double"),
        (lambda nb: nb.cells.pop(2), "before any statement"),
        (lambda nb: nb.cells.__delitem__(slice(3, 5)), "0 hints"),
        (lambda nb: nb.cells.__delitem__(slice(6, 8)), "no solution"),
        (lambda nb: nb.cells.insert(3, nb.cells.pop(8)), "in the order"),
        (lambda nb: nb.cells[5].metadata.tags.append("check"), "one part"),
        (lambda nb: nb.cells[3].update(cell_type="code"), "markdown cell"),
    ],
)  # fmt: skip
def test_an_exercise_that_is_not_well_formed_is_refused(spoil, words):
    nb = copy.deepcopy(sample.notebook())
    spoil(nb)
    with pytest.raises(CourseError, match=words):
        exercises.exercises(nb)


@pytest.mark.slow
def test_the_wheel_is_the_same_twice_and_holds_statements(tmp_path):
    import zipfile

    one, two = wheel.build(tmp_path / "a"), wheel.build(tmp_path / "b")
    same = one.read_bytes() == two.read_bytes()
    assert same
    names = zipfile.ZipFile(one).namelist()
    assert "course_utils/_claims/01.toml" in names and "course_utils/_claims/01.json" in names


def test_a_wheel_with_a_graded_solution_is_refused(clone, tmp_path):
    import zipfile

    for name, content in (("good", "x = 1"), ("bad", sample.SOLUTIONS["cube"])):
        with zipfile.ZipFile(tmp_path / f"{name}.whl", "w") as archive:
            archive.writestr("course_utils/check/answers.py", content)
    wheel.refuse_solutions(tmp_path / "good.whl", clone)
    with pytest.raises(CourseError, match=r"answers.py gives a graded solution away: cube"):
        wheel.refuse_solutions(tmp_path / "bad.whl", clone)


def graded_in_the_course():
    """Return the graded exercises of the course itself."""
    notebooks = [nbformat.read(path, 4) for path in stored.exercises()]
    return [each for nb in notebooks for each in exercises.exercises(nb) if each.graded]


def test_a_graded_solution_is_in_no_file_that_a_wheel_is_made_of():
    graded = graded_in_the_course()
    assert len(graded) >= 3, "an instructor can hand out some"
    for path in sorted((stored.ROOT / "course_utils").rglob("*.py")):
        assert not exercises.leaks(path.read_text(encoding="utf-8"), graded), path


def test_a_graded_solution_is_in_the_answers_alone():
    graded = graded_in_the_course()
    book = markdown.read_book(stored.ROOT)
    for path in stored.exercises():
        handed_out = student.from_file(path, student.Edition(book))
        shown = "\n".join(cell.source for cell in handed_out.cells)
        assert not exercises.leaks(shown, graded), path.stem
    for each in graded:
        names = [path for path in stored.exercises() if each.name in path.read_text("utf-8")]
        texts = [instructor.answers(path, student.Edition(book)) for path in names]
        assert any(exercises.leaks("\n".join(c.source for c in nb.cells), [each]) for nb in texts)


def test_a_graded_check_knows_no_solution(capsys):
    for each in graded_in_the_course():
        found = check.CHECKS[each.name]
        assert found.reference is None
        found.solution()
        assert "your instructor's" in capsys.readouterr().out
