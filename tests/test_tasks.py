"""The commands behind make: any Python can start them."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from course_tools import tasks

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["__init__", "environment", "tasks"])
def test_the_script_is_plain_python_3_8_and_imports_nothing_to_install(name):
    source = (ROOT / "course_tools" / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        (alias.name if isinstance(node, ast.Import) else node.module).split(".")[0]
        for node in imports
        for alias in node.names
    }
    assert names <= {*sys.stdlib_module_names, "course_tools"}


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
        task = re.match(
            r"(?:make|python course_tools/tasks\.py) ([a-z-]+)(?: ARGS=\S+| --upgrade)?$", command
        )
        assert re.match(r"(\.venv/bin/)?course ", command) or task[1] in tasks.TASKS


def test_the_environment_for_conda_is_made_once_a_week():
    """And the course is asked whether it can run in it."""
    job = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text("utf-8"))["jobs"][
        "conda"
    ]
    (made,) = [step for step in job["steps"] if "micromamba" in step.get("uses", "")]
    assert made["with"]["environment-file"] == "environment.yml"
    assert "course doctor" in [step.get("run") for step in job["steps"]]


def test_ci_runs_tests_then_all_tests_then_the_book():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^make ([a-z-]+)", script, re.MULTILINE) == ["test", "test-all", "book"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize(("done", "first"), [("", "not colab"), ("1", "slow and not colab")])
def test_what_make_test_has_just_tried_is_not_tried_again(monkeypatch, done, first):
    chosen = []
    monkeypatch.setenv("COURSE_QUICK_DONE", done)
    monkeypatch.setattr(tasks, "ensure", lambda lock: None)
    monkeypatch.setattr(tasks, "build_if_stale", lambda: None)
    monkeypatch.setattr(tasks, "real_data", lambda: "somewhere")
    monkeypatch.setattr(tasks, "pytest", lambda marks, *_, **__: chosen.append(marks) or 0)
    monkeypatch.setattr(tasks, "run", lambda *_, **__: 0)
    monkeypatch.setattr(tasks, "colab_tests", lambda arguments: 0)
    tasks.test_all([])
    assert chosen == [first, "not slow and not browser and not book and not colab"]


def test_what_is_left_out_on_drawn_data_asks_for_no_data():
    """Neither by a fixture nor by itself; checks of exercises draw for themselves."""
    asks = re.compile(r"def test\w*\([^)]*\b(digits|few|runs)\b|\b(mnist|faces)\(|COURSE_SOURCE")
    for name in tasks.DATALESS:
        place = ROOT / "tests" / name
        assert place.exists(), name
        for path in place.rglob("*.py") if place.is_dir() else [place]:
            assert not asks.search(path.read_text(encoding="utf-8")), path


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


# ------------------------------------------------------------------------------------------ Colab


def test_colabs_list_of_the_day_is_taken_where_the_lock_has_another_version():
    locked = "torch==2.11.0 ; sys_platform == 'linux' \\\n    --hash=x\nscikit_learn==1.6.1 \\\n"
    locked += "tqdm==4.67"
    published = "torch==2.12.1+cu128\nscikit-learn==1.6.1\ntqdm==4.68.0\nother==1\n# a comment"
    assert tasks.todays(published, locked) == ["torch==2.12.1", "tqdm==4.68.0"]


def test_an_unknown_choice_of_versions_is_refused(monkeypatch):
    monkeypatch.setenv("COURSE_COLAB", "yesterday")
    with pytest.raises(tasks.TaskFailed, match="locked, today and newest"):
        tasks.colab_tests([])


def test_the_weekly_check_reaches_other_systems_and_newer_versions():
    jobs = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text("utf-8"))["jobs"]
    assert jobs["systems"]["strategy"]["matrix"]["system"] == ["macos-latest", "windows-latest"]
    assert jobs["colab"]["strategy"]["matrix"]["versions"] == ["locked", "today"]
    newest = [step.get("run") for step in jobs["newest"]["steps"]]
    assert newest.index("make locks ARGS=--upgrade") < newest.index("make test")
