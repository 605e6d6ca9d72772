"""The commands behind `make`: `python3 course_tools/tasks.py TASK [ARGUMENTS]`.

Standard library only, and in the words of Python 3.8, so that it runs on a bare machine, on
Windows too, and can say which Python is missing. Everything else runs in .venv, which holds what
a lock file in requirements/ names, and is made, mended where the clone was moved, and remade when
the lock changes, on demand. A second environment, .venv-colab, holds what Colab has.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
COLAB = ROOT / ".venv-colab"
COLABS_PYTHON = (3, 13)
COLABS_LIST = "https://raw.githubusercontent.com/googlecolab/backend-info/main/pip-freeze.txt"
STAMP = "course-locks.json"  # in an environment: which locks it holds, by their hashes, and where
SITE = ROOT / "_build" / "html"
SUPPORTED = ((3, 11), (3, 12), (3, 13))
UV = "uv==0.13.8"  # compiles the locks; nothing else needs it


class TaskFailed(Exception):
    """Something a person has to mend; the message says what."""


# -------------------------------------------------------------------------------- environment


def venv_python(venv=None):
    """Return the path of the Python inside an environment, .venv if none is named, there or not."""
    return (venv or VENV) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def run(command, status=False, **settings):
    """Run a command in the clone and show its output; stop when it fails.

    With `status`, return its exit status instead of stopping. `env` changes the environment;
    None takes a variable out of it.
    """
    env = {**os.environ, "PYTHONUTF8": "1", **settings.pop("env", {})}
    env = {name: value for name, value in env.items() if value is not None}
    done = subprocess.run([str(word) for word in command], cwd=str(ROOT), env=env, **settings)
    if status:
        return done.returncode
    if done.returncode:
        raise SystemExit(done.returncode)
    return 0


def version_of(python):
    """Return (major, minor) of an interpreter, or None when it does not run."""
    try:
        answer = subprocess.run(
            [str(python), "-c", "import sys; print(*sys.version_info[:2])"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        major, minor = answer.stdout.split()
        return int(major), int(minor)
    except (OSError, ValueError):
        return None


def find_python(wanted=None):
    """Return an interpreter that the locks support: the running one, else one on the path.

    One of the version `wanted` comes before them, where there is one.
    """
    if wanted is not None and wanted != sys.version_info[:2]:
        found = shutil.which("python{}.{}".format(*wanted))
        if found and version_of(found) == wanted:
            return found
    if sys.version_info[:2] in SUPPORTED and not in_venv():
        return sys.executable
    for major, minor in reversed(SUPPORTED):
        found = shutil.which(f"python{major}.{minor}")
        if found and version_of(found) == (major, minor):
            return found
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    raise TaskFailed(
        "This is Python {}, and the course needs 3.11, 3.12 or 3.13.\n"
        "Install one of them, then name it: make book PYTHON=python3.12".format(
            ".".join(map(str, sys.version_info[:3]))
        )
    )


def in_venv():
    """Tell whether the running Python belongs to a virtual environment."""
    return sys.prefix != sys.base_prefix


def digest(name):
    """Return the hash of a file of the clone, whatever its line endings."""
    return hashlib.sha256((ROOT / name).read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def read_stamp(venv):
    """Return what an environment is known to hold; nothing when that is not known."""
    try:
        return dict(json.loads((venv / STAMP).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


@contextlib.contextmanager
def alone(venv):
    """Let one process at a time make or mend an environment; the others wait, and say so."""
    with open(str(venv) + ".lock", "a+b") as file:
        if not locked(file, wait=False):
            print(f"Waiting for another process that installs into {venv.name}", flush=True)
            locked(file, wait=True)
        yield  # closing the file, or dying, sets it free


def locked(file, wait):
    """Lock an open file for this process; return whether that worked."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            mode = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK
            msvcrt.locking(file.fileno(), mode, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return wait and os.name == "nt" and locked(file, wait)  # Windows waits ten seconds at most
    return True


def make_venv(venv):
    """Create an environment unless a usable one is there."""
    python = venv_python(venv)
    version = version_of(python) if python.exists() else None
    if version in SUPPORTED and run([python, "-m", "pip", "--version"], True, **SILENT) == 0:
        return
    base = find_python(COLABS_PYTHON if venv == COLAB else None)
    print(f"Creating {venv.name} with {base}", flush=True)
    if run([base, "-m", "venv", "--clear", venv], status=True):
        raise TaskFailed(
            f"The environment {venv.name} could not be created.\n"
            "On Debian and Ubuntu its module is a package: sudo apt install python3-venv"
        )


SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def pip_install(venv, *arguments):
    """Install with an environment's pip: quietly unless someone watches."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    pip = [venv_python(venv), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    run([*pip, *quiet, *arguments])


def ensure(lock):
    """Make the environment hold what requirements/LOCK.txt names; instant when its stamp says so.

    course.txt names all that book.txt names, at the same versions: with it, both are there.
    """
    venv = COLAB if lock == "colab" else VENV
    wanted = {"place": str(venv), lock: digest(f"requirements/{lock}.txt")}
    if lock != "book":
        wanted["package"] = digest("pyproject.toml")
    if holds(venv, wanted):
        return
    with alone(venv):
        if not holds(venv, wanted):  # another process may have brought it
            install(venv, lock, wanted)


def holds(venv, wanted):
    """Tell whether an environment is in its place and holds what is wanted."""
    stamp = read_stamp(venv)
    return venv_python(venv).exists() and all(stamp.get(key) == wanted[key] for key in wanted)


def install(venv, lock, wanted):
    """Bring an environment to what is wanted, and note it in its stamp."""
    old = place_of(venv)
    if old not in (None, str(venv)):
        mend_moved(venv, old)
        if holds(venv, wanted):
            return
    make_venv(venv)
    print(f"Installing requirements/{lock}.txt into {venv.name}", flush=True)
    if lock != "book":
        print("(with PyTorch: up to 3 GB to download the first time)", flush=True)
    lock_file = f"requirements/{lock}.txt"
    pip_install(venv, "--only-binary", ":all:", "--require-hashes", "-r", lock_file)
    if lock != "book":
        install_package(venv)
    if lock == "course":
        wanted = {**wanted, "book": digest("requirements/book.txt")}
    write_stamp(venv, {**read_stamp(venv), **wanted})


def install_package(venv):
    """Let the environment import the package, and the tools, from this clone."""
    pip_install(venv, "--no-deps", "--no-build-isolation", "--editable", ".")


def write_stamp(venv, stamp):
    """Note what an environment holds, and where it is."""
    (venv / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def place_of(venv):
    """Return where an environment was made, by its stamp or its scripts; None if nobody knows."""
    if "place" in read_stamp(venv):
        return read_stamp(venv)["place"]
    try:
        first = (venv / "bin" / "pip").read_bytes().splitlines()[0].decode("utf-8")
    except (OSError, ValueError, IndexError):
        return None
    return str(Path(first[2:]).parents[1]) if first.startswith("#!/") else None


def mend_moved(venv, old):
    """Mend an environment that was moved or copied with its clone: its scripts and the package.

    They name the old place: the scripts would not start, or start what lies there, and notebooks
    would import nothing, or the package of another clone. Where the scripts cannot be mended, the
    environment is removed, to be made anew.
    """
    new, stamp = str(venv), read_stamp(venv)
    print(f"{venv.name} was made in {old}: mending it", flush=True)
    if os.name == "nt" or " " in new or len(new) > 100:  # no plain first lines in these scripts
        shutil.rmtree(new)
        return
    for script in sorted((venv / "bin").iterdir()):
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        if b"\0" not in content and old.encode() in content:
            script.write_bytes(content.replace(old.encode(), new.encode()))
    if "package" in stamp:
        install_package(venv)
    write_stamp(venv, {**stamp, "place": new})


# -------------------------------------------------------------------------------------- tasks


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
        print(f"\nTests on {name} data", flush=True)
        if pytest(chosen, [*notebooks(), *arguments], env, status=True):
            failed.append(f"the tests on {name} data")
    if run([venv_python(), "-m", "course_tools.mutants"], status=True):
        failed.append("the mutants")
    print("\nTests with the versions that Colab has", flush=True)
    if colab_tests(arguments):
        failed.append("the tests with Colab's versions")
    if failed:
        raise TaskFailed("Failed: " + ", ".join(failed))


# what has nothing to do with the versions of torch and its kin
TOOLS = ["book", "chapters", "editions", "test_locks.py", "test_mutants.py", "test_tasks.py"]
TOOLS += ["test_bench.py"]


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
