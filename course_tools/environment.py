"""The environments of the clone: .venv, and .venv-colab with the versions that Colab has.

Each holds what a lock file in requirements/ names, and is made, mended where the clone was moved,
and remade when the lock changes, on demand. Standard library only, and in the words of Python 3.8:
it makes the environment in which everything else runs.
"""

import contextlib
import hashlib
import json
import os
import re
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

# GB (2**30 bytes), measured on Linux; elsewhere PyTorch comes without CUDA
SIZES = {"book": 0.25, "course": 6.3, "colab": 5.3}  # of an environment, by its lock
CUDA = 5.0  # of it
WORKSHOP = "pip-tmp"  # in an environment: where pip puts what it has fetched until it is installed
WORK = 1.0  # of which it holds at most
CACHE = 3.0  # what pip keeps of one environment for the next
GIANTS = re.compile(r"(nvidia-|torch==|triton==)")  # requirements whose wheels are that large
DISK_FULL = ("[Errno 28]", "[Errno 122]", "[WinError 112]")  # no space, no quota, Windows' word


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
    """Install with an environment's pip: quietly unless someone watches.

    What pip fetches waits inside the environment, not in the system's temporary folder, which is
    small on some machines: one disk has to have room, and a pip that was killed leaves nothing.
    """
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    pip = [venv_python(venv), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if free(venv.parent) < SIZES["course"] + WORK + CACHE:
        quiet.append("--no-cache-dir")
    room = str(venv / WORKSHOP)
    shutil.rmtree(room, ignore_errors=True)
    os.mkdir(room)
    try:
        run_pip([*pip, *quiet, *arguments], {"TMPDIR": room, "TEMP": room, "TMP": room})
    finally:
        shutil.rmtree(room, ignore_errors=True)


def run_pip(command, env):
    """Run pip and show what it says; stop when it fails, in words where the disk is full."""
    full = False
    pip = subprocess.Popen(
        [str(word) for word in command],
        cwd=str(ROOT),
        env={**os.environ, "PYTHONUTF8": "1", **env},
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    with pip:
        for line in pip.stderr:
            print(line, end="", file=sys.stderr, flush=True)
            full = full or any(word in line for word in DISK_FULL)
    if pip.returncode and full:
        raise TaskFailed(no_room("The disk became full before all was installed", ROOT))
    if pip.returncode:
        raise SystemExit(pip.returncode)


def free(folder):
    """Return how much the disk of a folder has free, in GB."""
    return shutil.disk_usage(str(folder)).free / 2**30


def held(folder):
    """Return how much the files in a folder hold, in GB."""
    total = 0
    for place, _, names in os.walk(str(folder)):
        total += sum(os.lstat(os.path.join(place, name)).st_size for name in names)
    return total / 2**30


def no_room(what, folder):
    """Return what to do where a disk has no room."""
    return (
        f"{what}, and {folder} has {free(folder):.1f} GB free now.\n"
        "Free some (python3 -m pip cache purge empties pip's cache) or move the clone to a larger "
        "disk, and type the command again; what is installed stays."
    )


def check_room(venv, lock):
    """Stop where an environment surely does not fit on its disk."""
    size = SIZES[lock] - (CUDA if lock != "book" and not sys.platform.startswith("linux") else 0)
    missing = size - held(venv)
    if missing > size / 2 and free(venv) < missing:  # where most is there, pip may try
        raise TaskFailed(
            no_room(f"{venv.name} takes {size:.1f} GB, {missing:.1f} more than it has", ROOT)
        )


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
    check_room(venv, lock)
    print(f"Installing requirements/{lock}.txt into {venv.name}", flush=True)
    if lock != "book":
        print("(with PyTorch: up to 3 GB to download the first time)", flush=True)
    write_stamp(venv, {"place": str(venv)})  # it holds no lock until all is there
    forget_halves(venv)
    install_lock(venv, ROOT / "requirements" / f"{lock}.txt")
    if lock != "book":
        install_package(venv)
    if lock == "course":
        wanted = {**wanted, "book": digest("requirements/book.txt")}
    write_stamp(venv, wanted)


def install_lock(venv, lock_file):
    """Install what a lock names: the giants first, one by one, so that no two wait at a time."""
    hashed = ["--only-binary", ":all:", "--require-hashes", "-r"]
    part = venv / "giant.txt"
    for requirement in re.split(r"\n(?=\S)", lock_file.read_text(encoding="utf-8")):
        if GIANTS.match(requirement):
            part.write_text(requirement + "\n", encoding="utf-8")
            pip_install(venv, "--no-deps", *hashed, part)
            part.unlink()
    pip_install(venv, *hashed, lock_file)


def forget_halves(venv):
    """Forget what pip was installing when it was killed, so that it takes it for new.

    It writes INSTALLER after the files of a package; what it replaces waits in names with a ~.
    """
    for packages in [*venv.glob("lib/python*/site-packages"), venv / "Lib" / "site-packages"]:
        for folder in [*packages.glob("*.dist-info"), *packages.glob("~*")]:
            if folder.name.startswith("~") or not (folder / "INSTALLER").exists():
                shutil.rmtree(str(folder), ignore_errors=True)


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
