"""The planted faults still apply, and the tool tells a caught fault from a surviving one."""

from pathlib import Path

import pytest

from course_tools import mutants

MUTANTS = mutants.load()
SLIP = mutants.Mutant(
    id="slip",
    says="bytes divided by 256",
    file="course_utils/data/loader.py",
    old="div_(255)",
    new="div_(256)",
    tests=("tests/data/test_loader.py::test_pixels_become_floats_exactly",),
)


def test_every_mutant_can_be_planted():
    for mutant in MUTANTS:
        assert mutant.problem() is None, mutant.id
        assert mutant.old != mutant.new, mutant.id
        text = (mutants.ROOT / mutant.file).read_text(encoding="utf-8")
        compile(text.replace(mutant.old, mutant.new), f"{mutant.id} in {mutant.file}", "exec")


def test_every_named_test_exists():
    for mutant in MUTANTS:
        for test in mutant.tests:
            path, _, name = test.partition("[")[0].partition("::")  # [...]: one of its cases
            source = (mutants.ROOT / path).read_text(encoding="utf-8")
            assert not name or f"def {name}(" in source, f"{mutant.id}: {test}"


def test_the_list_covers_the_package():
    files = {m.file.removeprefix("course_utils/").partition("/")[0] for m in MUTANTS}
    assert {"losses", "train", "data", "models", "metrics", "recipes"} <= files
    assert {"checkpoint.py", "claims.py"} <= files
    assert len(MUTANTS) >= 100


def test_a_fault_is_caught_in_a_copy_and_the_working_tree_stays_as_it_is():
    before = (mutants.ROOT / SLIP.file).read_bytes()
    outcome = mutants.judge(SLIP)
    assert outcome.caught and outcome.why.endswith("test_pixels_become_floats_exactly")
    assert (mutants.ROOT / SLIP.file).read_bytes() == before


def test_without_a_fault_the_same_test_passes(tmp_path):
    status, output = mutants.run_tests(mutants.copy(tmp_path), SLIP.tests)
    assert status == 0, output


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux about processes")
def test_tests_that_hang_are_ended_and_so_is_what_they_started(tmp_path, monkeypatch):
    text = "import subprocess, sys\n\n\ndef test_hangs():\n"
    text += "    sleep = 'import time; time.sleep(60)'\n"
    text += "    child = subprocess.Popen([sys.executable, '-c', sleep])\n"
    text += "    open('pid', 'w', encoding='utf-8').write(str(child.pid))\n"
    text += "    child.wait()\n"
    root = mutants.copy(tmp_path)
    (root / "tests/test_hangs.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(mutants, "SECONDS", 30)
    status, output = mutants.run_tests(root, ("tests/test_hangs.py",))
    assert status == mutants.FAILED and "time-limit-of-30-s" in output
    assert gone(int((root / "pid").read_text(encoding="utf-8")))


def gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has asked about yet counts as ended."""
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text(encoding="utf-8").split()[2] == "Z"


@pytest.mark.parametrize(
    ("status", "output", "caught", "why"),
    [
        (1, "FAILED tests/test_x.py::test_y[1] - assert", True, "test_x.py::test_y[1]"),
        (1, "ERROR tests/test_x.py::test_y - Boom", True, "test_x.py::test_y"),
        (0, "1 passed", False, "SURVIVED"),
        (2, "ERROR tests/test_x.py - SyntaxError", False, "could not run"),
        (4, "ERROR: not found: test_z", False, "no such test"),
        (5, "no tests ran", False, "no such test"),
        (100, "", False, "would not have imported the copy"),
    ],
)
def test_only_a_failed_test_catches_a_fault(status, output, caught, why):
    outcome = mutants.verdict(status, output)
    assert outcome.caught is caught and why in outcome.why


def change(**fields) -> mutants.Mutant:
    """Return a mutant that cannot be planted for one reason."""
    return mutants.Mutant(**(vars(SLIP) | fields))


@pytest.mark.parametrize(
    ("mutant", "why"),
    [
        (change(old="nowhere to be found"), "occurs 0 times"),
        (change(old="self"), "times in course_utils/data/loader.py"),
        (change(file="course_utils/gone.py"), "there is no course_utils/gone.py"),
        (change(tests=("tests/test_gone.py",)), "there is no tests/test_gone.py"),
    ],
)
def test_a_mutant_that_no_longer_applies_is_a_failure(mutant, why):
    outcome = mutants.judge(mutant)
    assert not outcome.caught and "cannot be planted" in outcome.why and why in outcome.why


@pytest.mark.parametrize(
    ("outcome", "problem", "status"),
    [
        (mutants.Outcome(True, "a test"), None, 0),
        (mutants.Outcome(False, "SURVIVED"), None, 1),
        (mutants.Outcome(True, "a test"), "1 failed", 1),
    ],
)
def test_the_exit_status(monkeypatch, capsys, outcome, problem, status):
    monkeypatch.setattr(mutants, "judge", lambda mutant: outcome)
    monkeypatch.setattr(mutants, "control", lambda chosen: problem)
    assert mutants.main(["pixels-over-256"]) == status
    printed = capsys.readouterr().out
    assert ("fail without any fault" if problem else "pixels-over-256") in printed


def test_the_list_is_printed_without_running_anything(monkeypatch, capsys):
    monkeypatch.setattr(mutants, "judge", None)
    monkeypatch.setattr(mutants, "control", None)
    assert mutants.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(MUTANTS)


def test_an_unknown_id_is_refused(capsys):
    with pytest.raises(SystemExit) as end:
        mutants.main(["gone"])
    assert end.value.code == 2 and "no mutant is named gone" in capsys.readouterr().err
