"""The environments of the clone: .venv, and .venv-colab with the versions that Colab has.

Each holds what a lock file in requirements/ names, and is made, mended where the clone was moved,
and remade when the lock changes, on demand. Standard library only, and in the words of Python 3.8:
it makes the environment in which everything else runs.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
COLAB = ROOT / ".venv-colab"
COLABS_PYTHON = (3, 13)
STAMP = "course-locks.json"  # in an environment: which locks it holds, by their hashes, and where
SUPPORTED = ((3, 11), (3, 12), (3, 13))
SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class TaskFailed(Exception):
    """Something a person has to mend; the message says what."""


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
