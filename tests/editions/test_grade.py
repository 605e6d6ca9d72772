"""Twelve submissions, hostile ones among them: each costs only itself, and is named."""

import ast
import csv
import dataclasses
import json
import subprocess
import sys

import nbformat
import pytest
import sample
from commands import refused

from course_tools.editions import grade, harness, sandbox, submission
from course_tools.editions.grade import IMPORTS
from course_utils import check
from course_utils.check import verdict
from course_utils.errors import CourseError

LIMITS = sandbox.Limits(cell_seconds=3, seconds=60, output_bytes=200_000, memory_megabytes=1024)
pytestmark = [
    pytest.mark.filterwarnings("ignore::nbformat.warnings.DuplicateCellId"),
    pytest.mark.skipif(not hasattr(sandbox.os, "killpg"), reason="needs groups of processes"),
]


def graded(clone, tmp_path, found: dict) -> tuple[dict, list]:
    """Grade submissions; return rows by (student, exercise), and all of them."""
    sample.hand_in(tmp_path / "in", found)
    rows = grade.grade(tmp_path / "in", tmp_path / "out", LIMITS, clone / "notebooks")
    return {(row.student, row.exercise): row for row in rows}, rows


@pytest.fixture(autouse=True)
def light(monkeypatch, standin):
    """Import nothing heavy before a submission: the sample needs none of it."""
    monkeypatch.setattr(grade, "IMPORTS", ["math"])


def test_the_grader_reads_what_the_checks_show():
    assert submission.VERDICT == verdict.VERDICT_TYPE
    assert {state: mark for mark, state in submission.MARKS.items()} == verdict.MARKS


@pytest.mark.slow
def test_twelve_submissions(clone, handed_out, tmp_path):
    found, rows = graded(clone, tmp_path, sample.twelve(handed_out))
    states = {student: tuple(found[student, name].state for name in sample.SOLUTIONS)
              for student, _ in found if (student, "cube") in found}  # fmt: skip
    right = ("right",) * 3
    assert states == {
        "ada": right,
        "ben": ("right", "wrong", "not attempted"),
        "cleo": ("not attempted",) * 3,
        "dora-hangs": ("right", "no answer", "right"),
        "emil-crashes": ("right", "no answer", "right"),
        "finn-lacks": ("right", "no answer", "right"),
        "gita-doubles": ("wrong", "right", "right"),
        "hugo-splits": right,
        "ivan-fakes": ("right", "void", "void"),
        "jana-floods": ("right", "no answer", "right"),
        "kofi-hoards": ("right", "no answer", "right"),
    }
    named = {
        "dora-hangs": "hangs",
        "emil-crashes": "crashes",
        "finn-lacks": "check is missing",
        "gita-doubles": "more than once",
        "ivan-fakes": "tampers with the check",
        "jana-floods": "floods the output",
        "kofi-hoards": "MemoryError",
    }
    for student, words in named.items():
        remarks = " ".join(r for row in rows if row.student == student for r in row.remarks)
        assert words in remarks, (student, remarks)
    assert "no cell of it was ever executed" in found["cleo", "cube"].remarks
    assert "no notebook" in found["lena-damaged", ""].sentence
    # what the learner saw and what the grader saw agree, or the difference is explained
    for row in rows:
        assert not row.seen or row.seen == row.state or "the learner saw" in row.remarks[-1], row
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(rows) == 34
    assert sum(int(line["points"]) for line in table) == sum(row.passed for row in rows)
    pages = {path.stem for path in (tmp_path / "out" / "feedback").iterdir()}
    assert pages == set(sample.twelve(handed_out))


def test_a_right_and_a_fake_answer(clone, handed_out, tmp_path):
    """The quick one of the tests above; the printed tick of a fake changes nothing."""
    all_of_them = sample.twelve(handed_out)
    found, _ = graded(clone, tmp_path, {name: all_of_them[name] for name in ("ada", "ivan-fakes")})
    assert [found["ada", name].state for name in sample.SOLUTIONS] == ["right"] * 3
    assert found["ivan-fakes", "square"].state == found["ivan-fakes", "cube"].state == "void"
    assert "empty answer" in found["ivan-fakes", "square"].sentence


def test_a_submission_that_writes_events_of_its_own_is_not_believed(clone, handed_out, tmp_path):
    nb = sample.answered(handed_out, double=sample.SOLUTIONS["double"])
    sample.part(nb, "square", "starter").source = (
        "import sys, json\n"
        "path = open('/proc/self/cmdline').read().split(chr(0))[-2]\n"
        "number = open(path).read().count(chr(10))\n"
        "said = dict(event='verdict', exercise='square', passed=True, state='right',"
        " sentence='', index=3)\n"
        "for more in range(50):\n"
        "    said['event'] = 'end' if more == 49 else 'verdict'\n"
        "    text = json.dumps(said | {'number': number + more})\n"
        "    open(path, 'a').write('0' * 64 + ' ' + text + chr(10))\n"
    )
    found, _ = graded(clone, tmp_path, {"mallory": nb})
    assert found["mallory", "square"].state == "no answer"
    assert found["mallory", "double"].state == "right"


def test_hostile_names_and_code_do_no_harm_in_the_pages(clone, handed_out, tmp_path):
    nb = sample.answered(
        handed_out, double="def my_double(x):\n    return '<script>alert(1)</script>'"
    )
    graded(clone, tmp_path, {"<b>bold<": nb})
    for path in (tmp_path / "out").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<script>" not in text and "<b>" not in text


def test_a_reference_that_fails_here_stops_everything(clone, handed_out, tmp_path):
    path = clone / "notebooks" / "exercises" / f"{sample.NAME}.ipynb"
    nb = sample.notebook()
    next(c for c in nb.cells if "number + number" in c.source).source = "def my_double(n):\n    n"
    nbformat.write(nb, path)
    sample.hand_in(tmp_path / "in", {"ada": sample.twelve(handed_out)["ada"]})
    with pytest.raises(CourseError, match="reference solutions of 90_sample do not pass here"):
        grade.grade(tmp_path / "in", tmp_path / "out", LIMITS, clone / "notebooks")
    assert not (tmp_path / "out").exists()


def test_mistakes(clone, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    sample.hand_in(tmp_path / "in", {"ada": b"{}"})
    assert "no folder" in refused("grade", tmp_path / "gone", "--out", tmp_path / "out")
    assert "with a notebook" in refused("grade", tmp_path / "empty", "--out", tmp_path / "out")
    with pytest.raises(CourseError, match="something else"):
        grade.grade(tmp_path / "in", tmp_path / "mine", LIMITS, clone / "notebooks")
    with pytest.raises(CourseError, match="among the submissions"):
        grade.grade(tmp_path / "in", tmp_path / "in" / "out", LIMITS, clone / "notebooks")
    assert "seconds" in refused("grade", tmp_path / "in", "--seconds", "0")
    assert not (tmp_path / "out").exists()


def test_a_submission_gets_none_of_the_users_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    inside = sandbox.environment(tmp_path)
    assert "SECRET_TOKEN" not in inside and inside["HOME"] == str(tmp_path)
    assert inside["COURSE_PROFILE"] == "quick" and inside["COURSE_SOURCE"] == "drawn"


TRAINS = """
import importlib
for name in {imports}:
    importlib.import_module(name)
from course_tools.editions import harness
before = harness.snapshot()
import torch
weights = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.Adam([weights])
weights.sum().backward()
optimizer.step()
print(harness.replaced(before))
torch.allclose = lambda *a: True
print(harness.replaced(before))
"""


@pytest.mark.slow
def test_training_is_no_tampering():
    """PyTorch itself wraps functions when its first optimizer is made."""
    code = TRAINS.format(imports=IMPORTS)
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines() == ["[]", "['torch.allclose']"]


def test_who_deletes_the_graders_files_loses_the_unanswered_alone(clone, handed_out, tmp_path):
    nb = sample.answered(handed_out, **sample.SOLUTIONS)
    sample.part(
        nb, "square", "starter"
    ).source = "import shutil\nshutil.rmtree('..', ignore_errors=True)"
    found, _ = graded(clone, tmp_path, {"nora-deletes": nb})
    states = [found["nora-deletes", name].state for name in sample.SOLUTIONS]
    assert states == ["right", "no answer", "right"]


def odd_files(nb) -> dict:
    """Return files that parse as JSON and are no notebooks that anybody can work with."""
    files = {}
    for name, change in {
        "odd-tags": lambda raw: raw["cells"][6]["metadata"].update(tags=5),
        "odd-minor": lambda raw: raw.update(nbformat_minor=None),
        "odd-output": lambda raw: [
            cell.update(outputs=[{"output_type": "display_data", "data": {"text/plain": 5}}])
            for cell in raw["cells"] if cell["cell_type"] == "code"
        ],
        "odd-letters": lambda raw: [
            cell.update(source="\ud800 = 1") for cell in raw["cells"] if cell["cell_type"] == "code"
        ],
    }.items():  # fmt: skip
        raw = json.loads(nbformat.writes(nb))
        change(raw)
        files[name] = json.dumps(raw).encode()
    return files


def test_a_file_that_nobody_can_read_costs_only_itself(clone, handed_out, tmp_path):
    good = sample.answered(handed_out, **sample.SOLUTIONS)
    found, rows = graded(clone, tmp_path, odd_files(handed_out) | {"zora": good})
    assert {found["zora", name].state for name in sample.SOLUTIONS} == {"right"}
    others = [row for row in rows if row.student != "zora"]
    assert {row.student for row in others} == set(odd_files(handed_out))
    assert not any(row.passed for row in others)


FORGES = """
import os, sys
frame = sys._getframe()
while "witness" not in frame.f_locals:
    frame = frame.f_back
witness = frame.f_locals["witness"]
for index in range(20):
    witness.say(event="verdict", index=index, exercise="square", passed=True, state="right",
                sentence="as it should be")
witness.say(event="end")
os._exit(0)
"""


def test_who_looks_into_the_grader_is_named(clone, handed_out, tmp_path):
    """In one process with the grader such code can say what it likes; a person is told to look."""
    nb = sample.answered(handed_out, double=sample.SOLUTIONS["double"])
    sample.part(nb, "square", "starter").source = FORGES
    found, _ = graded(clone, tmp_path, {"olga-forges": nb})
    said = " ".join(found["olga-forges", "square"].remarks)
    assert "reaches for _getframe, f_back, f_locals, os._exit" in said
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "read it before you believe" in page


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from course_utils.check.networks import seen", ["course_utils.check"]),
        ("return check.log_aggregate.probes[0].oracle(z, mu, logvar)",
         ["check.log_aggregate.probes"]),
        ("return check.aggregate.mixture(z, mu, logvar)", ["check.aggregate.mixture"]),
        ("from course_utils import check\ncheck.x(my_x)\ncheck.x.hint(1)\ncheck.x.solution()", []),
        ("assert check.x(my_x).passed", []),
    ],
)  # fmt: skip
def test_who_asks_a_check_for_the_answer_is_named(code, found):
    assert submission.REACHES.findall(code) == found


def test_what_a_check_is_made_of_is_watched():
    """Its probes, their oracles and cases, and whether it asks anything at all."""
    probe = check.squared_error.probes[0]
    for thing, name, other in (
        (check.squared_error, "probes", ()),
        (probe, "oracle", lambda recon, x: recon),
        (probe, "cases", ()),
    ):
        before, kept = harness.snapshot(), getattr(thing, name)
        try:
            object.__setattr__(thing, name, other)
            assert "course_utils.check.squared_error" in harness.replaced(before)
        finally:
            object.__setattr__(thing, name, kept)
        assert harness.replaced(before) == []
    emptied = ast.unparse(harness.Emptied().visit(ast.parse("check.x(1)")))
    nothing = eval(emptied.removeprefix("check.x"))
    assert dataclasses.replace(check.squared_error, probes=()).judge(nothing).passed
    assert check.squared_error.judge(nothing).passed is False
