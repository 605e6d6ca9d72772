"""The commands behind `make`: `python3 course_tools/tasks.py TASK [ARGUMENTS]`.

Standard library only, and in the words of Python 3.8, so that it runs on a bare machine, on
Windows too, and can say which Python is missing. Everything else runs in .venv, which
`environment` makes on demand. A second environment, .venv-colab, holds what Colab has.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a start as a script

from course_tools.environment import (
    COLAB,
    COLABS_PYTHON,
    ROOT,
    VENV,
    TaskFailed,
    ensure,
    find_python,
    pip_install,
    read_stamp,
    run,
    venv_python,
    version_of,
    write_stamp,
)

COLABS_LIST = "https://raw.githubusercontent.com/googlecolab/backend-info/main/pip-freeze.txt"
SITE = ROOT / "_build" / "html"
UV = "uv==0.13.8"  # compiles the locks; nothing else needs it


def book(arguments):
    """build the book into _build/html and check its pages"""
    ensure("book")
    run([venv_python(), "-m", "course_tools.site.build", *arguments])


def serve(arguments):
    """show the book in a browser from a server on this machine"""
    wanted = arguments[0] if arguments else "8000"
    if not (wanted.isdigit() and 0 < int(wanted) < 65536):
        raise TaskFailed(f"{wanted} is no port: a number from 1 to 65535")
    if not (SITE / "index.html").is_file():
        book([])
    port = free_port(int(wanted))
    print(f"Open http://127.0.0.1:{port} (Ctrl-C stops the server)", flush=True)
    try:
        run([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", SITE, port])
    except KeyboardInterrupt:
        print()


def free_port(wanted):
    """Return the port wanted, or another one when that is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise TaskFailed("No port is free on this machine")


def test(arguments):
    """run the quick tests: package, notebooks, book, pages"""
    ensure("course")
    build_if_stale()
    pytest("not slow and not colab", [*notebooks(), *arguments])


def test_all(arguments):
    """run every test, on real data where there are any and on drawn data; then the mutants"""
    ensure("course")
    ensure("colab")  # where the disk has no room for it, that is said before half an hour of tests
    build_if_stale()
    real = real_data()
    drawn = ("drawn", {"COURSE_SOURCE": "drawn", "COURSE_DATA": None})
    modes = [("real", {"COURSE_SOURCE": "real", "COURSE_DATA": real}), drawn] if real else [drawn]
    # COURSE_QUICK_DONE says that `make test` has just passed
    first = "slow and not colab" if os.environ.get("COURSE_QUICK_DONE") else "not colab"
    failed = []
    for number, (name, env) in enumerate(modes):
        # the second time, only what the data can change
        chosen = "not slow and not browser and not book and not colab" if number else first
        left_out = [f"--ignore=tests/{name}" for name in DATALESS] if number else []
        print(f"\nTests on {name} data", flush=True)
        if pytest(chosen, [*notebooks(), *left_out, *arguments], env, status=True):
            failed.append(f"the tests on {name} data")
    if run([venv_python(), "-m", "course_tools.mutants"], status=True):
        failed.append("the mutants")
    print("\nTests with the versions that Colab has", flush=True)
    if colab_tests(arguments):
        failed.append("the tests with Colab's versions")
    if failed:
        raise TaskFailed("Failed: " + ", ".join(failed))


# what asks for no data set of the course
DATALESS = ["check", "test_convolution.py", "test_encodings.py", "test_environment.py"]
DATALESS += ["test_estimators.py", "test_locks.py", "test_mutants.py", "test_wrong_input.py"]
# what has nothing to do with the versions of torch and its kin
TOOLS = ["book", "chapters", "editions", "test_locks.py", "test_mutants.py", "test_tasks.py"]
TOOLS += ["test_bench.py", "test_environment.py"]


def colab(arguments):
    """run quick tests, and the student notebooks, with the versions that Colab has"""
    status = colab_tests(arguments)
    if status:
        raise SystemExit(status)


def colab_tests(arguments):
    """Run them on drawn data; return pytest's exit status.

    COURSE_COLAB chooses the versions: "locked", those of requirements/colab.txt; "today", those
    that Colab publishes; "newest", those of .venv, say after `make locks ARGS=--upgrade`.
    """
    versions = os.environ.get("COURSE_COLAB") or "locked"
    if versions not in ("locked", "today", "newest"):
        raise TaskFailed(f"COURSE_COLAB is {versions!r}; locked, today and newest are known")
    venv = VENV if versions == "newest" else COLAB
    ensure("course")  # it writes the student notebooks
    if versions != "newest":
        ensure("colab")
    if versions == "today":
        install_todays()
    if version_of(venv_python(venv)) != COLABS_PYTHON:
        print("Not run on Python {}.{}, which Colab has".format(*COLABS_PYTHON), flush=True)
    drawn = {"COURSE_SOURCE": "drawn", "COURSE_DATA": None}
    handed_out = ["tests/editions/test_colab.py", "--dist", "load", *arguments]
    failed = pytest("colab", handed_out, drawn, status=True, venv=venv)
    if versions == "newest":  # whose other tests are those of `make test`
        return failed
    left_out = [f"--ignore=tests/{name}" for name in TOOLS]
    marks = "not slow and not book and not browser and not colab"
    rest = [*notebooks(), *left_out, *arguments]
    return pytest(marks, rest, drawn, status=True, venv=venv) or failed


def install_todays():
    """Bring .venv-colab to the versions that Colab publishes today, where its lock has another."""
    try:
        with urllib.request.urlopen(COLABS_LIST, timeout=60) as answer:
            published = answer.read().decode("utf-8")
    except (OSError, ValueError) as error:
        raise TaskFailed(f"Colab's list could not be fetched from {COLABS_LIST}: {error}") from None
    locked = (ROOT / "requirements" / "colab.txt").read_text(encoding="utf-8")
    wanted = todays(published, locked)
    print("Colab's list of today: {}".format(" ".join(wanted) or "as locked"), flush=True)
    if wanted:
        pip_install(COLAB, *wanted)
        stamp = {key: value for key, value in read_stamp(COLAB).items() if key != "colab"}
        write_stamp(COLAB, stamp)  # it does not hold the lock any more


def todays(published, locked):
    """Return the requirements in which a published list of versions differs from the lock.

    Versions of builds (2.11.0+cu128) are taken without what tells the build.
    """
    pattern = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\+]+)", re.MULTILINE)
    name = lambda text: re.sub(r"[-_.]+", "-", text).lower()  # noqa: E731
    ours = {name(found[0]): found[1] for found in pattern.findall(locked)}
    theirs = {name(found[0]): found[1] for found in pattern.findall(published)}
    return [f"{each}=={theirs[each]}" for each in sorted(ours)
            if each in theirs and theirs[each] != ours[each]]  # fmt: skip


def publish(arguments):
    """push the book and the student notebooks to the branch of the pages"""
    ensure("course")
    run([venv_python(), "-m", "course_tools.editions.publish", *arguments])


def mutants(arguments):
    """plant faults in the package and show that a test catches each"""
    ensure("course")
    run([venv_python(), "-m", "course_tools.mutants", *arguments])


def lint(arguments):
    """check the code's style with ruff"""
    ensure("course")
    check = run([venv_python(), "-m", "ruff", "check", *arguments], status=True)
    form = run([venv_python(), "-m", "ruff", "format", "--check", *arguments], status=True)
    if check or form:
        raise TaskFailed("ruff mends most of it: ruff check --fix, then ruff format")


def locks(arguments):
    """compile requirements/*.txt from pyproject.toml (add --upgrade for newer versions)"""
    uv = find_uv()
    common = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate"]
    common += ["--no-header", "--no-emit-index-url", "--quiet", *arguments]
    groups = [word for name in ("book", "test", "build") for word in ("--group", name)]
    compile_lock = [*uv, "pip", "compile", *common]
    run([*compile_lock, "pyproject.toml", *groups, "-o", "requirements/course.txt"])
    # the book's lock takes the course's versions: one is always a part of the other
    limits = ["--constraints", "requirements/course.txt"]
    run([*compile_lock, *limits, "--group", "pyproject.toml:book", "-o", "requirements/book.txt"])
    without = ROOT / "_build" / "not-on-colab.txt"
    without.parent.mkdir(exist_ok=True)
    lines = [f"{name} ; sys_platform == 'nowhere'\n" for name in NOT_ON_COLAB]
    without.write_text("".join(lines), encoding="utf-8")
    colab_lock = ["--group", "colab", "--overrides", without, "-o", "requirements/colab.txt"]
    colab_lock += [word for name in NOT_ON_COLAB for word in ("--no-emit-package", name)]
    run([*compile_lock, "pyproject.toml", *colab_lock])
    print("requirements/course.txt, book.txt and colab.txt are compiled")


NOT_ON_COLAB = ("deeplake",)


def find_uv():
    """Return the command that runs uv: the one on the path, else one in a folder of its own."""
    if shutil.which("uv"):
        return [shutil.which("uv")]
    folder = ROOT / "_build" / "uv"
    python = folder / venv_python().relative_to(VENV)
    if not python.exists():
        run([find_python(), "-m", "venv", folder])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])
    return [python, "-m", "uv"]


def build_if_stale():
    """Build the book before the tests look at it, unless it is as new as its sources."""
    run([venv_python(), "-m", "course_tools.site.build", "--if-stale"])


# nbval compares the stored outputs of notebooks with those of a fresh run
NBVAL = ["-p", "course_tools.chapters.nbval_plugin", "--nbval", "--nbval-current-env"]
NBVAL += ["--nbval-cell-timeout", "300"]
NBVAL += ["--nbval-sanitize-with", str(ROOT / "tests" / "chapters" / "sanitize.cfg")]


def notebooks():
    """Return what to test: with nbval's comparison of the stored notebooks, when there are any."""
    stored = list((ROOT / "notebooks").glob("*.ipynb"))
    return ["tests", "notebooks", *NBVAL] if stored else ["tests"]


def pytest(marks, arguments, env=None, status=False, venv=None):
    """Run pytest on several processes, one file to each at a time."""
    workers = min(2, os.cpu_count() or 1)
    spread = ["-n", workers, "--dist", "loadfile"]  # a notebook's cells belong together
    command = [venv_python(venv), "-m", "pytest", *spread, "-m", marks, *arguments]
    return run(command, status, env=env or {})


def real_data():
    """Return the folder that holds MNIST (COURSE_DATA, else the user's cache), or None."""
    code = "from course_utils import folders; print(folders.data_dir())"
    asked = subprocess.run(
        [str(venv_python()), "-c", code],
        cwd=str(ROOT),
        env={**os.environ, "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
    )
    folder = Path(asked.stdout.decode("utf-8").strip())
    if asked.returncode:
        raise TaskFailed("COURSE_DATA does not name a folder; the lines above say more")
    return str(folder) if (folder / "MNIST" / "raw").is_dir() else None


TASKS = {
    "book": book,
    "serve": serve,
    "test": test,
    "test-all": test_all,
    "test-colab": colab,
    "publish": publish,
    "mutants": mutants,
    "lint": lint,
    "locks": locks,
}


def main(words):
    """Run the task that the words name; return the exit status."""
    listing = "\n".join(f"  {name:10} {TASKS[name].__doc__}" for name in TASKS)
    parser = argparse.ArgumentParser(
        prog="tasks.py",
        description="The commands behind make.",
        epilog="tasks:\n" + listing,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=TASKS, metavar="TASK")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the task's tool")
    chosen = parser.parse_args(words)
    try:
        TASKS[chosen.task](chosen.arguments)
    except TaskFailed as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
