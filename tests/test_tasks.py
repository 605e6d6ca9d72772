"""The commands behind make: any Python can start them, and .venv is remade only when it must be."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from course_tools import tasks

ROOT = Path(__file__).resolve().parents[1]
SOURCE = (ROOT / "course_tools" / "tasks.py").read_text(encoding="utf-8")


def test_the_script_is_plain_python_3_8_and_imports_nothing_to_install():
    tree = ast.parse(SOURCE, feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        (alias.name if isinstance(node, ast.Import) else node.module).split(".")[0]
        for node in imports
        for alias in node.names
    }
    assert names <= sys.stdlib_module_names


def test_make_has_every_task_and_no_other():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^(book .*):$", makefile, re.MULTILINE)[1].split()
    assert set(targets) == set(tasks.TASKS)


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", ".ci/run"])
def test_the_commands_in_the_words_exist(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    named = re.findall(r"^\s*make ([a-z-]+)|`make ([a-z-]+)", text, re.MULTILINE)
    assert named
    assert {first or second for first, second in named} <= set(tasks.TASKS)


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=str)
def test_workflows_use_the_same_commands(path):
    commands = re.findall(r"run: (.+)", path.read_text(encoding="utf-8"))
    assert commands
    for command in commands:
        task = re.match(r"(?:make|python course_tools/tasks\.py) ([a-z-]+)$", command)
        assert command.startswith(".venv/bin/course ") or task[1] in tasks.TASKS


def test_ci_runs_tests_then_all_tests_then_the_book():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^make ([a-z-]+)", script, re.MULTILINE) == ["test", "test-all", "book"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_help_lists_the_tasks():
    done = subprocess.run(
        [sys.executable, "course_tools/tasks.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    for name, task in tasks.TASKS.items():
        assert re.search(rf"^  {name} +{re.escape(task.__doc__)}", done.stdout, re.MULTILINE)


def test_an_unknown_task_is_refused():
    done = subprocess.run(
        [sys.executable, "course_tools/tasks.py", "bok"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'bok'" in done.stderr and "Traceback" not in done.stderr


# -------------------------------------------------------------------------------- which Python


def test_an_unsupported_python_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(tasks, "SUPPORTED", ((3, 99),))
    with pytest.raises(tasks.TaskFailed, match=r"make book PYTHON=python3\.12"):
        tasks.find_python()


def test_a_supported_python_elsewhere_on_the_path_is_taken(monkeypatch, tmp_path):
    version = sys.version_info[:2]
    other = tmp_path / "python{}.{}".format(*version)
    other.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tasks, "SUPPORTED", (version,))
    monkeypatch.setattr(tasks, "in_venv", lambda: True)
    assert tasks.find_python() == str(other)


def test_a_broken_interpreter_has_no_version(tmp_path):
    assert tasks.version_of(tmp_path / "python") is None
    assert tasks.version_of(sys.executable) == sys.version_info[:2]


# ----------------------------------------------------------------------------- the environment


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Return a bare clone whose pip only notes what it is asked for, as `clone.asked`."""
    (tmp_path / "requirements").mkdir()
    for name in ("requirements/book.txt", "requirements/course.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(tasks, "STAMP", tmp_path / ".venv" / "course-locks.json")
    asked = []

    def make_venv():
        tasks.venv_python().parent.mkdir(parents=True, exist_ok=True)
        tasks.venv_python().touch()

    monkeypatch.setattr(tasks, "make_venv", make_venv)
    monkeypatch.setattr(tasks, "pip_install", lambda *words: asked.append(words[-1]))
    tmp_path.joinpath(".venv").mkdir()
    return tmp_path, asked


BOOK, COURSE, SELF = "requirements/book.txt", "requirements/course.txt", "."


def test_an_environment_is_made_once(clone):
    _, asked = clone
    tasks.ensure("book")
    tasks.ensure("book")
    assert asked == [BOOK]


def test_the_course_holds_the_book(clone):
    _, asked = clone
    tasks.ensure("course")
    tasks.ensure("book")
    tasks.ensure("course")
    assert asked == [COURSE, SELF]


def test_the_course_is_added_to_the_book(clone):
    _, asked = clone
    tasks.ensure("book")
    tasks.ensure("course")
    assert asked == [BOOK, COURSE, SELF]


@pytest.mark.parametrize(
    ("file", "lock", "again"),
    [
        (BOOK, "book", [BOOK]),
        (COURSE, "course", [COURSE, SELF]),
        ("pyproject.toml", "course", [COURSE, SELF]),
    ],
)
def test_a_changed_lock_is_installed(clone, file, lock, again):
    folder, asked = clone
    tasks.ensure("course")
    asked.clear()
    with (folder / file).open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    tasks.ensure(lock)
    assert asked == again


def test_line_endings_do_not_change_a_lock(clone):
    folder, asked = clone
    tasks.ensure("book")
    text = (folder / BOOK).read_bytes()
    (folder / BOOK).write_bytes(text.replace(b"\n", b"\r\n"))
    tasks.ensure("book")
    assert asked == [BOOK]


def test_an_interrupted_installation_is_done_again(clone, monkeypatch):
    _, asked = clone

    def stop(*words):
        raise SystemExit(1)

    with monkeypatch.context() as context:
        context.setattr(tasks, "pip_install", stop)
        with pytest.raises(SystemExit):
            tasks.ensure("book")
    tasks.ensure("book")
    assert asked == [BOOK]


def test_a_damaged_stamp_means_installing_again(clone):
    _, asked = clone
    tasks.ensure("book")
    tasks.STAMP.write_text("{", encoding="utf-8")
    tasks.ensure("book")
    assert asked == [BOOK, BOOK]


def test_a_failed_command_ends_with_its_status():
    with pytest.raises(SystemExit) as ended:
        tasks.run([sys.executable, "-c", "raise SystemExit(7)"])
    assert ended.value.code == 7
    assert tasks.run([sys.executable, "-c", "raise SystemExit(7)"], status=True) == 7


def test_a_variable_can_be_taken_away(monkeypatch, capfd):
    monkeypatch.setenv("COURSE_DATA", "/somewhere")
    code = "import os; print(os.environ.get('COURSE_DATA'))"
    tasks.run([sys.executable, "-c", code], env={"COURSE_DATA": None})
    assert capfd.readouterr().out.strip() == "None"


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(port, capsys):
    assert tasks.main(["serve", port]) == 2
    assert f"{port} is no port: a number from 1 to 65535" in capsys.readouterr().err


def test_a_taken_port_is_left_alone():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        other = tasks.free_port(number)
    assert other != number
    assert tasks.free_port(number) == number
