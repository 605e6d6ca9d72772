"""pyproject.toml, environment.yml and the two locks say the same."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from course_tools import tasks

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENVIRONMENT = (ROOT / "environment.yml").read_text(encoding="utf-8")
LOCKS = {
    name: (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    for name in ("book", "course", "colab")
}
PYTHONS = ("3.11.9", "3.12.9", "3.13.3")
SYSTEMS = (("linux", "x86_64"), ("darwin", "arm64"), ("win32", "AMD64"))


@dataclass(frozen=True)
class Entry:
    """One line of a lock."""

    pin: str
    hashes: tuple[str, ...]

    @property
    def requirement(self) -> Requirement:
        """The name, version and marker."""
        return Requirement(self.pin)


def entries(text: str) -> list[Entry]:
    """Return the entries of a lock; its lines are continued with a backslash."""
    lines = text.replace("\\\n", " ").splitlines()
    found = []
    for line in filter(None, map(str.strip, lines)):
        words = line.split(" --hash=")
        found.append(Entry(words[0].strip(), tuple(word.strip() for word in words[1:])))
    return found


# ------------------------------------------- what is wanted, as functions that return the faults


def unpinned_or_unhashed(text: str) -> list[str]:
    """Return the lines that do not name one version and at least one SHA-256."""
    pinned = re.compile(r"[a-z0-9-]+==[^\s;,]+( ; .+)?")
    return [
        entry.pin
        for entry in entries(text)
        if not pinned.fullmatch(entry.pin)
        or not entry.hashes
        or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in entry.hashes)
    ]


def addresses(text: str) -> list[str]:
    """Return the lines that name a place to download from."""
    outside = re.compile(r"://|^\s*(-i|--(extra-)?index-url|--find-links|-f)\b| @ ")
    return [line for line in text.splitlines() if outside.search(line)]


def not_in(small: str, large: str) -> list[str]:
    """Return what the first lock holds and the second does not, or not in the same way."""
    have = set(entries(large))
    return [entry.pin for entry in entries(small) if entry not in have]


def unmet(wanted: list[str], text: str) -> list[str]:
    """Return the requirements that a lock does not meet on some system or version of Python."""
    locked: dict[str, list[Requirement]] = {}
    for entry in entries(text):
        requirement = entry.requirement
        locked.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return [
        f"{text_of} on {system[0]}, Python {python}"
        for text_of in wanted
        for python in PYTHONS
        for system in SYSTEMS
        if not met(Requirement(text_of), locked, environment(python, system))
    ]


def met(wanted: Requirement, locked: dict[str, list[Requirement]], where: dict) -> bool:
    """Tell whether the one version locked for `where` satisfies the requirement."""
    if wanted.marker and not wanted.marker.evaluate(where):
        return True
    applying = [
        next(iter(pin.specifier)).version
        for pin in locked.get(canonicalize_name(wanted.name), [])
        if not pin.marker or pin.marker.evaluate(where)
    ]
    return len(applying) == 1 and Version(applying[0]) in wanted.specifier


def environment(python: str, system: tuple[str, str]) -> dict[str, str]:
    """Return the markers of a Python version on a system."""
    return {
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": system[0],
        "platform_machine": system[1],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def differences(environment_text: str, project: dict) -> list[str]:
    """Return what environment.yml and pyproject.toml do not say alike."""
    listed = yaml.safe_load(environment_text)["dependencies"]
    pip = next(item["pip"] for item in listed if isinstance(item, dict))
    python = next(item for item in listed if isinstance(item, str) and item.startswith("python"))
    groups = project["dependency-groups"]
    wanted = {*project["project"]["dependencies"], *groups["book"], *groups["test"]}
    wanted |= {"--editable ."}
    faults = sorted(wanted ^ set(pip))
    if python != "python" + project["project"]["requires-python"]:
        faults.append(python)
    return faults


# ---------------------------------------------------------------------------- the committed files


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_is_pinned_and_hashed(name):
    assert len(entries(LOCKS[name])) > 50
    assert unpinned_or_unhashed(LOCKS[name]) == []


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_names_an_address(name):
    assert addresses(LOCKS[name]) == []


def test_the_book_lock_is_a_part_of_the_course_lock():
    assert not_in(LOCKS["book"], LOCKS["course"]) == []


def test_the_book_lock_has_no_torch():
    names = {entry.requirement.name for entry in entries(LOCKS["book"])}
    assert not names & {"torch", "torchvision", "numpy", "matplotlib", "scikit-learn"}


def test_the_locks_meet_the_project():
    groups, needed = PROJECT["dependency-groups"], PROJECT["project"]["dependencies"]
    assert unmet(groups["book"], LOCKS["book"]) == []
    ours = [line for name in ("book", "test", "build") for line in groups[name]]
    assert unmet([*needed, *ours], LOCKS["course"]) == []
    on_colab = [line for line in needed if Requirement(line).name not in tasks.NOT_ON_COLAB]
    assert unmet([*on_colab, *groups["colab"]], LOCKS["colab"]) == []


def test_the_bounds_admit_colabs_versions_and_begin_with_them():
    """Nothing older is tried anywhere, so nothing older is promised."""
    pinned = dict(
        line.split("==") for line in PROJECT["dependency-groups"]["colab"] if "==" in line
    )
    for line in PROJECT["project"]["dependencies"]:
        needed = Requirement(line)
        if needed.name in pinned:
            assert Version(pinned[needed.name]) in needed.specifier, line
            lowest = next(s.version for s in needed.specifier if s.operator == ">=")
            kept = Version(pinned[needed.name]).release[: len(Version(lowest).release)]
            assert Version(lowest).release == kept, line


def test_colab_lacks_what_it_lacks():
    names = {entry.requirement.name for entry in entries(LOCKS["colab"])}
    assert not names & {"deeplake", "torchmetrics", "onnx", "jupyter-book", "playwright"}


def test_the_build_backend_is_locked():
    assert unmet(PROJECT["build-system"]["requires"], LOCKS["course"]) == []


def test_environment_yml_agrees_with_the_project():
    assert differences(ENVIRONMENT, PROJECT) == []


# ------------------------------------------------------------------------------- planted faults

GOOD = "numpy==2.4.6 \\\n    --hash=sha256:" + "a" * 64 + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "numpy==2.4.6\n",
        GOOD.replace("==", ">="),
        GOOD.replace("sha256", "md5"),
        GOOD.replace("a" * 64, "a" * 10),
    ],
)
def test_an_unhashed_or_open_entry_is_caught(text):
    assert unpinned_or_unhashed(GOOD) == []
    assert unpinned_or_unhashed(text)


@pytest.mark.parametrize(
    "line",
    ["--index-url https://pypi.example/simple", "-f /opt/wheels", "numpy @ file:///tmp/numpy.whl"],
)
def test_an_address_is_caught(line):
    assert addresses(GOOD) == []
    assert addresses(GOOD + line)


def test_another_version_or_hash_in_the_book_lock_is_caught():
    assert not_in(GOOD, GOOD) == []
    assert not_in(GOOD.replace("2.4.6", "2.4.5"), GOOD)
    assert not_in(GOOD.replace("aaaa", "bbbb"), GOOD)


def test_a_lock_that_does_not_meet_the_project_is_caught():
    assert unmet(["numpy>=2,<3"], GOOD) == []
    assert unmet(["numpy<2"], GOOD)
    assert unmet(["torch"], GOOD)
    elsewhere = GOOD.replace("2.4.6 ", "2.4.6 ; sys_platform == 'linux' ")
    assert unmet(["numpy"], elsewhere)
    assert unmet(["numpy ; sys_platform == 'linux'"], elsewhere) == []


def test_a_drifting_environment_yml_is_caught():
    assert differences(ENVIRONMENT.replace("typer>=0.15", "typer>=0.14"), PROJECT)
    assert differences(ENVIRONMENT.replace("python>=3.11", "python>=3.10"), PROJECT)
    assert differences(ENVIRONMENT + '      - "scipy"\n', PROJECT)
