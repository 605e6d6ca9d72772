"""Folders of other people, locked ones, names too long, users without a home: told in words.

Every command that meets such a folder ends with exit status 2 and loses nothing; the doctor, whose
business it is, says what is wrong and goes on.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import course, refused, tiny_recipe

from course_utils import data, recipes
from course_utils.errors import CourseError

PACKAGE = Path(__file__).resolve().parents[1] / "course_utils"


@pytest.fixture
def tiny(runs, monkeypatch):
    """Add a recipe that trains in no time."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe())


@pytest.fixture
def locked(tmp_path, ordinary_user):
    """Return a folder that this user may not enter, with a folder `below` in it."""
    folder = tmp_path / "locked"
    (folder / "below").mkdir(parents=True)
    folder.chmod(0)
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize("place", ["", "below", "new"])
def test_no_permission_is_called_by_its_name(tiny, locked, ordinary_user, place, tmp_path):
    assert course("train", "tiny", "--out", tmp_path / "warm").exit_code == 0  # loads modules
    folder = locked / place
    with ordinary_user():
        for words in (("train", "tiny", "--out", folder), ("evaluate", folder)):
            assert "no permission" in refused(*words), words


@pytest.mark.parametrize("variable", ["COURSE_DATA", "COURSE_CACHE", "COURSE_RUNS"])
def test_the_doctor_says_which_folder_is_locked(locked, ordinary_user, monkeypatch, variable):
    course("doctor")  # loads modules
    monkeypatch.setenv(variable, str(locked / "below"))
    with ordinary_user():
        found = course("doctor")
    assert found.exit_code == 1 and "no permission" in found.stdout
    assert str(locked / "below") in found.stdout


@pytest.mark.parametrize("variable", ["COURSE_DATA", "COURSE_CACHE", "COURSE_RUNS"])
def test_names_too_long(tiny, monkeypatch, variable, tmp_path):
    long = str(tmp_path / ("n" * 300))
    assert "name is too long" in refused("train", "tiny", "--out", long)
    assert "name is too long" in refused("evaluate", long)
    monkeypatch.setenv(variable, long)
    found = course("doctor")
    assert found.exit_code == 1 and "name is too long" in found.stdout
    if variable == "COURSE_DATA":
        monkeypatch.setenv("COURSE_SOURCE", "auto")
        assert "name is too long" in refused("data", "mnist")


HOMELESS = (
    "import os, pwd, sys\n"
    "for name in ('HOME', 'XDG_CACHE_HOME', 'USERPROFILE'): os.environ.pop(name, None)\n"
    "def unknown(uid): raise KeyError(uid)\n"
    "pwd.getpwuid = unknown\n"
    "from course_utils.cli import main\n"
    "sys.argv = ['course', *sys.argv[1:]]; main()\n"
)


@pytest.mark.skipif(os.name != "posix", reason="HOME and user numbers are POSIX's")
@pytest.mark.parametrize("words", ["doctor", "data mnist", "train ae", "evaluate ae", "runs"])
def test_a_user_without_a_home(words):
    """As in a container that runs under any number: doctor diagnoses it, all others say it."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("COURSE_")}
    env["COURSE_SOURCE"] = "drawn"
    command = [sys.executable, "-c", HOMELESS, *words.split()]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=env)
    said = done.stdout + done.stderr
    assert done.returncode == (1 if words == "doctor" else 2), said
    assert "set HOME" in said and "Traceback" not in said


def test_a_second_user_reads_what_the_first_one_drew(tmp_path, monkeypatch, ordinary_user):
    """And where something is to be written that this user may not write, it is said."""
    tmp_path.chmod(0o755)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    found = data.COLLECTIONS["mnist"]
    monkeypatch.setitem(found.sizes, "quick", (40, 20, 20))
    data.forget()
    first = data.mnist("drawn", "quick")
    data.forget()
    with ordinary_user():
        assert data.mnist("drawn", "quick").train.x.equal(first.train.x)
        monkeypatch.setitem(found.sizes, "quick", (50, 20, 20))
        with pytest.raises(CourseError, match="no permission"):
            data.mnist("drawn", "quick")
    data.forget()


# ------------------------------------------------------------------------------------- one door

ASKING = {
    "exists",
    "is_dir",
    "is_file",
    "expanduser",
    "resolve",
    "iterdir",
    "rglob",
    "mkdir",
    "stat",
}
# the package's own files, which are there or nothing is; what faces' store does under `in_words`
ELSEWHERE = {"folders.py", "claims.py", "data/store.py", "runs/catalogue.py"}


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_the_file_system_is_asked_through_one_door(path):
    """Or a locked folder ends in a traceback somewhere."""
    if path.relative_to(PACKAGE).as_posix() in ELSEWHERE:
        return
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            owner = ast.unparse(call.func.value)
            own = owner == "folders" or "__file__" in owner
            assert call.func.attr not in ASKING or own, f"line {call.lineno}: {ast.unparse(call)}"
