"""Planted faults: would the tests notice?

    python -m course_tools.mutants            # plant each fault of mutants.toml, one at a time
    python -m course_tools.mutants --list     # say which there are
    python -m course_tools.mutants ID ...     # plant these only

A fault is planted in a copy of the package; the working tree is never touched. The named tests run
against the copy and must fail. The exit status is 1 when a fault survives, cannot be planted any
more, or its tests fail without it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from course_utils import console
from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_name("mutants.toml")
NEEDED = ("course_utils", "course_tools", "tests", "pyproject.toml")
NEEDED += ("book/claims", "book/_ext", "book/references.bib", "notebooks")
AT_ONCE = 2
SECONDS = 180  # that the tests of one mutant may take
FAILED, NONE_FOUND = 1, (4, 5)  # exit statuses of pytest
NOT_THE_COPY = 100  # our own: the tests would have run against another package
# what most tests import, and what takes longer to import than they take: imported once
WARM = ["pytest", "torch", "torchvision", "scipy.stats", "sklearn.linear_model", "torchmetrics"]
WARM += ["matplotlib.pyplot", "IPython.display", "PIL.Image", "nbformat", "safetensors.torch"]


@dataclass(frozen=True)
class Mutant:
    """A fault: what becomes of a text in a file, and which tests must fail then.

    Attributes:
        id: short name.
        says: the fault in words.
        file: below the root of the clone.
        old, new: `old` occurs exactly once.
        tests: arguments of pytest that choose the tests: files, or tests in them.
    """

    id: str
    says: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def problem(self, root: Path = ROOT) -> str | None:
        """Tell why the fault cannot be planted; None where it can."""
        path = root / self.file
        if not path.is_file():
            return f"there is no {self.file}"
        count = path.read_text(encoding="utf-8").count(self.old)
        if count != 1:
            return f"its original text occurs {count} times in {self.file}"
        absent = [t for t in self.tests if not (root / t.partition("::")[0]).is_file()]
        return f"there is no {absent[0]}" if absent else None

    def plant(self, root: Path) -> None:
        """Write the fault into the copy at `root`."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: `caught` by a test, or not, and why."""

    caught: bool
    why: str


def load(table: Path = TABLE) -> list[Mutant]:
    """Return the mutants of the table; raise ValueError where two share an id."""
    entries = tomllib.loads(table.read_text(encoding="utf-8"))["mutant"]
    mutants = [Mutant(**(entry | {"tests": tuple(entry["tests"])})) for entry in entries]
    ids = [m.id for m in mutants]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise ValueError(f"{table} has more than one mutant named {', '.join(twice)}")
    return mutants


def copy(to: Path) -> Path:
    """Copy what the tests need from the working tree to `to`; return it."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in NEEDED:
        source, target = ROOT / name, to / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=ignored)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return to


def environment(root: Path) -> dict[str, str]:
    """Return the environment of the tests, in which `import course_utils` means the copy at `root`.

    PYTHONPATH, for what the tests start, comes before the editable install; drawn data and one
    thread make the tests the same everywhere.
    """
    # CI too: there pytest prints differences in full, and megabytes of weights take it minutes
    unwanted = ("COURSE_", "PYTEST_", "CI", "BUILD_NUMBER")
    own = {k: v for k, v in os.environ.items() if not k.startswith(unwanted)}
    return own | {
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "COURSE_SOURCE": "drawn",
        "OMP_NUM_THREADS": "1",
    }


def warm() -> multiprocessing.context.BaseContext:
    """Return what starts processes that have imported everything but the course.

    A fork of one that has is alive at once; where there is no fork, each process imports anew.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    return context


def run_tests(root: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """Run tests in the copy at `root`; return pytest's exit status and output."""
    printed = root / "printed.txt"
    child = warm().Process(target=in_copy, args=(root, tests, environment(root), printed))
    child.start()
    child.join(SECONDS)
    if child.is_alive():
        end(child)
        return FAILED, f"FAILED time-limit-of-{SECONDS}-s"
    return child.exitcode, printed.read_text(encoding="utf-8", errors="replace")


def end(child: multiprocessing.process.BaseProcess) -> None:
    """End a process, and those that it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):  # it has just ended, or never began
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.join()


def in_copy(root: Path, tests: tuple[str, ...], env: dict[str, str], printed: Path) -> None:
    """Run pytest inside the copy at `root`, in a process of its own; exit with its status."""
    if hasattr(os, "setsid"):
        os.setsid()  # so that whatever the tests start can be ended with it
    to_file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(to_file, 1)
    os.dup2(to_file, 2)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(root)
    sys.path[:] = [str(root), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
    # this module and what it imports are the working tree's
    for name in [n for n in sys.modules if n.partition(".")[0] in ("course_tools", "course_utils")]:
        del sys.modules[name]
    import pytest

    import course_utils

    if not Path(course_utils.__file__).resolve().is_relative_to(root.resolve()):
        sys.exit(NOT_THE_COPY)
    words = ["-x", "-q", "--tb=line", "--no-header", "-rfE", "-p", "no:cacheprovider"]
    words += ["-p", "no:xdist", "-m", "not slow"]
    sys.exit(int(pytest.main([*words, *tests])))


def judge(mutant: Mutant) -> Outcome:
    """Plant the fault in a fresh copy, run its tests, and tell whether one failed."""
    if problem := mutant.problem():
        return Outcome(False, f"cannot be planted: {problem}")
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = copy(Path(folder))
        mutant.plant(root)
        status, output = run_tests(root, mutant.tests)
    return verdict(status, output)


def verdict(status: int, output: str) -> Outcome:
    """Read pytest's exit status: only a failed test catches a fault, not a broken start."""
    if status == FAILED and (named := re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", output, re.M)):
        return Outcome(True, named[1].rpartition("/")[2])
    if status == 0:
        return Outcome(False, "SURVIVED")
    if status == NOT_THE_COPY:
        return Outcome(False, "the tests would not have imported the copy")
    reason = "no such test" if status in NONE_FOUND else "the tests could not run"
    return Outcome(False, f"{reason}: {output.strip()[-300:]}")


def control(mutants: list[Mutant]) -> str | None:
    """Run the tests of the mutants without any fault; return their output when one fails."""
    tests = tuple(dict.fromkeys(test for m in mutants for test in m.tests))
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        status, output = run_tests(copy(Path(folder)), tests)
    return None if status == 0 else output


def report(mutants: list[Mutant]) -> int:
    """Judge all mutants, print a line for each as it comes, and return how many were missed."""
    missed = 0
    width = max(len(m.id) for m in mutants)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, outcome in zip(mutants, pool.map(judge, mutants), strict=True):
            missed += not outcome.caught
            mark = "✓" if outcome.caught else "✗"
            end = f"caught by {outcome.why}" if outcome.caught else outcome.why
            print(f"{mark} {mutant.id:<{width}}  {mutant.says}: {end}", flush=True)
    return missed


def choose(mutants: list[Mutant], ids: list[str]) -> list[Mutant]:
    """Return the mutants with the given ids, or all; raise CourseError for an unknown id."""
    unknown = set(ids) - {m.id for m in mutants}
    if unknown:
        raise CourseError(f"no mutant is named {', '.join(sorted(unknown))}; see --list")
    return [m for m in mutants if not ids or m.id in ids]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    console.be_lenient()
    parser = argparse.ArgumentParser(prog="python -m course_tools.mutants", description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("ids", nargs="*", metavar="ID", help="plant these only")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    options = parser.parse_args(arguments)
    try:
        mutants = choose(load(), options.ids)
    except CourseError as error:
        parser.error(str(error))  # ends with exit status 2
    if options.list:
        for m in mutants:
            print(f"{m.id}: {m.says} ({m.file}; {', '.join(m.tests)})")
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-drawn-") as drawn:
        os.environ["DRAWN_FOR_TESTS"] = drawn  # see tests/conftest.py: drawn once, not each time
        os.environ["OMP_NUM_THREADS"] = "1"  # libraries count their threads when they are imported
        if failure := control(mutants):
            print(f"the tests fail without any fault planted:\n{failure}")
            return 1
        missed = report(mutants)
    caught = len(mutants) - missed
    print(f"{caught} of {len(mutants)} caught in {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
