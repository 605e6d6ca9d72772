"""The environments: any Python can make .venv, and it is remade only when it must be."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_tools import environment

ROOT = Path(__file__).resolve().parents[1]
BOOK, COURSE, COLAB, SELF = (
    "requirements/book.txt",
    "requirements/course.txt",
    "requirements/colab.txt",
    ".",
)


# -------------------------------------------------------------------------------- which Python


def test_an_unsupported_python_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(environment, "SUPPORTED", ((3, 99),))
    with pytest.raises(environment.TaskFailed, match=r"make book PYTHON=python3\.12"):
        environment.find_python()


def test_a_supported_python_elsewhere_on_the_path_is_taken(monkeypatch, tmp_path):
    version = sys.version_info[:2]
    other = tmp_path / "python{}.{}".format(*version)
    other.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment, "SUPPORTED", (version,))
    monkeypatch.setattr(environment, "in_venv", lambda: True)
    assert environment.find_python() == str(other)


def test_a_broken_interpreter_has_no_version(tmp_path):
    assert environment.version_of(tmp_path / "python") is None
    assert environment.version_of(sys.executable) == sys.version_info[:2]


# ----------------------------------------------------------------------------- the environment


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Return a bare clone, on a large disk, and a list of what its pip would have installed."""
    folder, asked = tmp_path / "clone", []
    (folder / "requirements").mkdir(parents=True)
    for name in (BOOK, COURSE, COLAB, "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)

    def make_venv(venv):
        environment.venv_python(venv).parent.mkdir(parents=True, exist_ok=True)
        environment.venv_python(venv).touch()
        (venv / "bin").mkdir(exist_ok=True)
        (venv / "bin" / "course").write_text(f"#!{venv}/bin/python\ncourse()\n", encoding="utf-8")

    monkeypatch.setattr(environment, "make_venv", make_venv)
    lock_name = lambda path: path.relative_to(environment.ROOT).as_posix()  # noqa: E731
    monkeypatch.setattr(environment, "install_lock", lambda _, lock: asked.append(lock_name(lock)))
    monkeypatch.setattr(environment, "pip_install", lambda venv, *words: asked.append(words[-1]))
    monkeypatch.setattr(environment, "free", lambda folder: 100.0)
    settle(folder, monkeypatch)
    return folder, asked


def settle(folder: Path, monkeypatch) -> None:
    """Let the module believe that the clone lies in `folder`."""
    monkeypatch.setattr(environment, "ROOT", folder)
    monkeypatch.setattr(environment, "VENV", folder / ".venv")
    monkeypatch.setattr(environment, "COLAB", folder / ".venv-colab")


def test_an_environment_is_made_once(clone):
    _, asked = clone
    environment.ensure("book")
    environment.ensure("book")
    assert asked == [BOOK]


def test_the_course_holds_the_book(clone):
    _, asked = clone
    environment.ensure("course")
    environment.ensure("book")
    environment.ensure("course")
    assert asked == [COURSE, SELF]


def test_the_course_is_added_to_the_book(clone):
    _, asked = clone
    environment.ensure("book")
    environment.ensure("course")
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
    environment.ensure("course")
    asked.clear()
    with (folder / file).open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    environment.ensure(lock)
    assert asked == again


def test_line_endings_do_not_change_a_lock(clone):
    folder, asked = clone
    environment.ensure("book")
    text = (folder / BOOK).read_bytes()
    (folder / BOOK).write_bytes(text.replace(b"\n", b"\r\n"))
    environment.ensure("book")
    assert asked == [BOOK]


def interrupted(lock, monkeypatch):
    """Begin to install a lock, and stop."""

    def stop(*words):
        raise SystemExit(1)

    with monkeypatch.context() as context:
        context.setattr(environment, "install_lock", stop)
        with pytest.raises(SystemExit):
            environment.ensure(lock)


def test_an_interrupted_installation_is_done_again(clone, monkeypatch):
    _, asked = clone
    interrupted("book", monkeypatch)
    environment.ensure("book")
    assert asked == [BOOK]


def test_after_an_interrupted_update_the_old_lock_is_installed_again(clone, monkeypatch):
    """Since nobody knows which versions are there."""
    folder, asked = clone
    environment.ensure("course")
    old = (folder / COURSE).read_bytes()
    (folder / COURSE).write_bytes(old + b"# changed\n")
    interrupted("course", monkeypatch)
    (folder / COURSE).write_bytes(old)
    asked.clear()
    environment.ensure("course")
    assert asked == [COURSE, SELF]


def test_a_damaged_stamp_means_installing_again(clone):
    _, asked = clone
    environment.ensure("book")
    (environment.VENV / environment.STAMP).write_text("{", encoding="utf-8")
    environment.ensure("book")
    assert asked == [BOOK, BOOK]


def test_colabs_versions_have_an_environment_of_their_own(clone):
    folder, asked = clone
    environment.ensure("colab")
    environment.ensure("colab")
    assert asked == [COLAB, SELF] and (folder / ".venv-colab").is_dir()
    environment.ensure("course")
    assert asked == [COLAB, SELF, COURSE, SELF]


# -------------------------------------------------------------------------------- room on the disk


@pytest.mark.parametrize("lock", [BOOK, COURSE, COLAB])
def test_large_wheels_are_installed_one_by_one_before_the_rest(tmp_path, monkeypatch, lock):
    """Each as the lock has it, with its marker and hashes, and without what it depends on."""
    asked = []

    def pip_install(venv, *words):
        asked.append((words[:-1], Path(words[-1]).read_text(encoding="utf-8")))

    monkeypatch.setattr(environment, "pip_install", pip_install)
    environment.install_lock(tmp_path, ROOT / lock)
    whole = (ROOT / lock).read_text(encoding="utf-8")
    hashed = ("--only-binary", ":all:", "--require-hashes", "-r")
    *giants, last = asked
    assert last == (hashed, whole)
    assert all(words == ("--no-deps", *hashed) for words, _ in giants)
    found = re.findall(r"^((?:nvidia-\S+|torch|triton)==[^\n]+\n(?: .+\n)+)", whole, re.MULTILINE)
    assert [text for _, text in giants] == found
    assert bool(found) == (lock != BOOK)
    assert not list(tmp_path.iterdir())


PIP = "import sys; print(sys.argv[1], file=sys.stderr); raise SystemExit(int(sys.argv[2]))"


@pytest.mark.parametrize(
    "error", ["OSError: [Errno 28] No space left on device", "OSError: [WinError 112] No room"]
)
def test_a_full_disk_is_said_in_words(error, capfd):
    with pytest.raises(environment.TaskFailed) as stopped:
        environment.run_pip([sys.executable, "-c", PIP, error, 1], {})
    first, then = str(stopped.value).splitlines()
    assert re.fullmatch(
        r"The disk became full before all was installed, and .+ has [\d.]+ GB free now\.", first
    )
    assert then.endswith("and type the command again; what is installed stays.")
    assert error in capfd.readouterr().err  # what pip says is shown nonetheless


def test_another_failure_of_pip_ends_with_its_status():
    with pytest.raises(SystemExit) as ended:
        environment.run_pip([sys.executable, "-c", PIP, "no such version", 3], {})
    assert ended.value.code == 3
    environment.run_pip([sys.executable, "-c", PIP, "[Errno 28]: went on without a cache", 0], {})


def test_an_environment_that_cannot_fit_is_not_begun(clone, monkeypatch):
    """The sentence says what it takes, what is there and where, and what to do."""
    folder, asked = clone
    monkeypatch.setattr(environment, "free", lambda folder: 3.0)
    monkeypatch.setattr(environment.sys, "platform", "linux")
    with pytest.raises(environment.TaskFailed) as stopped:
        environment.ensure("course")
    said = str(stopped.value)
    size = environment.SIZES["course"]
    assert said.startswith(f".venv takes {size:.1f} GB, {size:.1f} more than it has, ")
    assert (
        f"and {folder} has 3.0 GB free now." in said and "move the clone to a larger disk" in said
    )
    assert asked == []
    environment.ensure("book")  # which is small


def test_where_most_is_there_an_update_is_tried(clone, monkeypatch):
    _, asked = clone
    monkeypatch.setattr(environment, "free", lambda folder: 0.2)
    monkeypatch.setattr(environment, "held", lambda folder: environment.SIZES["course"] - 0.3)
    environment.ensure("course")
    assert asked == [COURSE, SELF]


def test_without_cuda_there_is_less_to_hold(clone, monkeypatch):
    _, asked = clone
    monkeypatch.setattr(environment, "free", lambda folder: 3.0)
    monkeypatch.setattr(environment.sys, "platform", "darwin")
    environment.ensure("course")
    assert asked == [COURSE, SELF]


def test_the_files_of_an_environment_are_measured(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a").write_bytes(bytes(2**20))
    (tmp_path / "lib64").symlink_to("lib")  # counts once
    assert environment.held(tmp_path) == pytest.approx(2**-10, rel=1e-4)
    assert environment.held(tmp_path / "nowhere") == 0


def test_pip_works_inside_the_environment_and_leaves_nothing_there(tmp_path, monkeypatch):
    """Whatever was left by one that was killed, and however this one ends."""
    venv, seen = tmp_path / ".venv", []
    (venv / environment.WORKSHOP / "pip-unpack-old").mkdir(parents=True)

    def run_pip(command, env):
        room = Path(env["TMPDIR"])
        seen.append((room, list(room.iterdir()), env["TEMP"] == env["TMP"] == env["TMPDIR"]))
        (room / "torch.whl").touch()
        raise SystemExit(1)

    monkeypatch.setattr(environment, "run_pip", run_pip)
    with pytest.raises(SystemExit):
        environment.pip_install(venv, "torch")
    assert seen == [(venv / environment.WORKSHOP, [], True)]
    assert not list(venv.iterdir())


@pytest.mark.parametrize(("there", "kept"), [(5.0, False), (50.0, True)])
def test_pip_keeps_a_cache_where_there_is_room(tmp_path, monkeypatch, there, kept):
    commands = []
    monkeypatch.setattr(environment, "free", lambda folder: there)
    monkeypatch.setattr(environment, "run_pip", lambda command, env: commands.append(command))
    environment.pip_install(tmp_path, "torch")
    assert ("--no-cache-dir" not in commands[0]) == kept


@pytest.mark.parametrize("packages", ["lib/python3.12/site-packages", "Lib/site-packages"])
def test_what_pip_was_installing_when_it_was_killed_is_forgotten(tmp_path, packages):
    whole, half, replaced = (
        tmp_path / packages / name
        for name in ("numpy-2.dist-info", "torch-2.dist-info", "~orch-1.dist-info")
    )
    for folder in (whole, half, replaced):
        folder.mkdir(parents=True)
    (whole / "INSTALLER").touch()
    (replaced / "INSTALLER").touch()
    environment.forget_halves(tmp_path)
    assert list((tmp_path / packages).iterdir()) == [whole]


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
    environment.ensure("course")
    if not stamped:  # an environment from before stamps knew their place
        stamp = environment.read_stamp(environment.VENV)
        del stamp["place"]
        environment.write_stamp(environment.VENV, stamp)
        shutil.copy(folder / ".venv" / "bin" / "course", folder / ".venv" / "bin" / "pip")
    asked.clear()
    moved = tmp_path / "elsewhere"
    folder.rename(moved) if how == "moved" else shutil.copytree(folder, moved)
    settle(moved, monkeypatch)
    environment.ensure("course")
    assert asked == [SELF]
    assert first_line(moved) == f"#!{moved}/.venv/bin/python"
    environment.ensure("course")
    assert asked == [SELF]
    if how == "copied":
        assert first_line(folder) == f"#!{folder}/.venv/bin/python"


@pytest.mark.skipif(os.name != "posix", reason="on Windows the environment is made anew")
def test_where_scripts_cannot_be_mended_the_environment_is_made_anew(clone, monkeypatch, tmp_path):
    folder, asked = clone
    environment.ensure("course")
    asked.clear()
    moved = tmp_path / "a name with blanks"
    folder.rename(moved)
    settle(moved, monkeypatch)
    environment.ensure("course")
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
    environment.install_package(environment.VENV)
    environment.write_stamp(environment.VENV, {"place": str(environment.VENV), "package": "x"})
    new = tmp_path / "new"
    old.rename(new)
    settle(new, monkeypatch)
    environment.mend_moved(environment.VENV, str(old / ".venv"))
    said = subprocess.run([new / ".venv" / "bin" / "thing"], capture_output=True, check=True)
    assert said.stdout.decode().strip() == str(new / "thing" / "__init__.py")


ALONE = (
    "import sys, time; from pathlib import Path; from course_tools import environment\n"
    "with environment.alone(Path(sys.argv[1])):\n"
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
        environment.run([sys.executable, "-c", "raise SystemExit(7)"])
    assert ended.value.code == 7
    assert environment.run([sys.executable, "-c", "raise SystemExit(7)"], status=True) == 7


def test_a_variable_can_be_taken_away(monkeypatch, capfd):
    monkeypatch.setenv("COURSE_DATA", "/somewhere")
    code = "import os; print(os.environ.get('COURSE_DATA'))"
    environment.run([sys.executable, "-c", code], env={"COURSE_DATA": None})
    assert capfd.readouterr().out.strip() == "None"
