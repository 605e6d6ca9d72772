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
import yaml

from course_tools import tasks

ROOT = Path(__file__).resolve().parents[1]
BOOK, COURSE, COLAB, SELF = (
    "requirements/book.txt",
    "requirements/course.txt",
    "requirements/colab.txt",
    ".",
)
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
    """Return a bare clone and the list of what its pip is asked for, of which it does nothing."""
    folder, asked = tmp_path / "clone", []
    (folder / "requirements").mkdir(parents=True)
    for name in (BOOK, COURSE, COLAB, "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)

    def make_venv(venv):
        tasks.venv_python(venv).parent.mkdir(parents=True, exist_ok=True)
        tasks.venv_python(venv).touch()
        (venv / "bin").mkdir(exist_ok=True)
        (venv / "bin" / "course").write_text(f"#!{venv}/bin/python\ncourse()\n", encoding="utf-8")

    monkeypatch.setattr(tasks, "make_venv", make_venv)
    monkeypatch.setattr(tasks, "pip_install", lambda venv, *words: asked.append(words[-1]))
    settle(folder, monkeypatch)
    return folder, asked


def settle(folder: Path, monkeypatch) -> None:
    """Let the tasks believe that the clone lies in `folder`."""
    monkeypatch.setattr(tasks, "ROOT", folder)
    monkeypatch.setattr(tasks, "VENV", folder / ".venv")
    monkeypatch.setattr(tasks, "COLAB", folder / ".venv-colab")


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
    (tasks.VENV / tasks.STAMP).write_text("{", encoding="utf-8")
    tasks.ensure("book")
    assert asked == [BOOK, BOOK]


def test_colabs_versions_have_an_environment_of_their_own(clone):
    folder, asked = clone
    tasks.ensure("colab")
    tasks.ensure("colab")
    assert asked == [COLAB, SELF] and (folder / ".venv-colab").is_dir()
    tasks.ensure("course")
    assert asked == [COLAB, SELF, COURSE, SELF]


# ------------------------------------------------------------------------- a clone that was moved


def first_line(folder: Path) -> str:
    """Return which Python the command `course` of the clone in `folder` would start."""
    return (folder / ".venv" / "bin" / "course").read_text(encoding="utf-8").splitlines()[0]


@pytest.mark.skipif(os.name != "posix", reason="on Windows the environment is made anew")
@pytest.mark.parametrize("how", ["moved", "copied"])
@pytest.mark.parametrize("stamped", [True, False])
def test_a_clone_that_moved_is_mended(clone, monkeypatch, tmp_path, how, stamped):
    """Its commands start its own Python, its package is its own, and nothing is downloaded."""
    folder, asked = clone
    tasks.ensure("course")
    if not stamped:  # an environment from before stamps knew their place
        stamp = tasks.read_stamp(tasks.VENV)
        del stamp["place"]
        tasks.write_stamp(tasks.VENV, stamp)
        shutil.copy(folder / ".venv" / "bin" / "course", folder / ".venv" / "bin" / "pip")
    asked.clear()
    moved = tmp_path / "elsewhere"
    folder.rename(moved) if how == "moved" else shutil.copytree(folder, moved)
    settle(moved, monkeypatch)
    tasks.ensure("course")
    assert asked == [SELF]
    assert first_line(moved) == f"#!{moved}/.venv/bin/python"
    tasks.ensure("course")
    assert asked == [SELF]
    if how == "copied":
        assert first_line(folder) == f"#!{folder}/.venv/bin/python"


@pytest.mark.skipif(os.name != "posix", reason="on Windows the environment is made anew")
def test_where_scripts_cannot_be_mended_the_environment_is_made_anew(clone, monkeypatch, tmp_path):
    folder, asked = clone
    tasks.ensure("course")
    asked.clear()
    moved = tmp_path / "a name with blanks"
    folder.rename(moved)
    settle(moved, monkeypatch)
    tasks.ensure("course")
    assert asked == [COURSE, SELF]
    assert str(moved) in first_line(moved)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="on Windows the environment is made anew")
def test_a_real_environment_works_again_where_it_was_moved(tmp_path, monkeypatch):
    """With a package that is installed like the course's: editable, with a script."""
    old = tmp_path / "old"
    (old / "thing").mkdir(parents=True)
    (old / "thing" / "__init__.py").write_text("def main(): print(__file__)", encoding="utf-8")
    (old / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "thing"\nversion = "1"\n[project.scripts]\nthing = "thing:main"\n',
        encoding="utf-8",
    )
    subprocess.run(
        [sys.executable, "-m", "venv", "--system-site-packages", old / ".venv"], check=True
    )
    settle(old, monkeypatch)
    # the build backend of the environment that runs this test
    backend = tmp_path / "backend.pth"
    (packages,) = (old / ".venv" / "lib").glob("python*/site-packages")
    import hatchling

    (packages / backend.name).write_text(str(Path(hatchling.__file__).parents[1]), "utf-8")
    tasks.install_package(tasks.VENV)
    tasks.write_stamp(tasks.VENV, {"place": str(tasks.VENV), "package": "x"})
    new = tmp_path / "new"
    old.rename(new)
    settle(new, monkeypatch)
    tasks.mend_moved(tasks.VENV, str(old / ".venv"))
    said = subprocess.run([new / ".venv" / "bin" / "thing"], capture_output=True, check=True)
    assert said.stdout.decode().strip() == str(new / "thing" / "__init__.py")


ALONE = (
    "import sys, time; from pathlib import Path; from course_tools import tasks\n"
    "with tasks.alone(Path(sys.argv[1])):\n"
    "    print('in', flush=True); time.sleep(0.5); print('out', flush=True)\n"
)


def test_two_installations_at_once_wait_for_each_other(tmp_path):
    command = [sys.executable, "-c", ALONE, tmp_path / ".venv"]
    log = tmp_path / "log"
    with log.open("w", encoding="utf-8") as out:
        for process in [subprocess.Popen(command, stdout=out, cwd=ROOT) for _ in range(2)]:
            assert process.wait() == 0
    said = log.read_text(encoding="utf-8").splitlines()
    assert [line for line in said if line in ("in", "out")] == ["in", "out"] * 2
    assert said.count("Waiting for another process that installs into .venv") == 1


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
