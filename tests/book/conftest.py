"""The built book, a server for it, and a browser to open it with."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from looking import CHROMIUM_OPTIONS, chromium_or_skip, find_chromium
from serving import served

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items):
    """Mark everything in this folder: data do not change what it tests."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("book")


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of the built book; build it when its sources are newer.

    Tests run in several processes, and one of them builds while the others wait.
    """
    (ROOT / "_build").mkdir(exist_ok=True)
    with filelock.FileLock(ROOT / "_build" / "tests.lock"):
        done = subprocess.run(
            [sys.executable, "-m", "course_tools.site.build", "--if-stale"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, f"the book does not build:\n{done.stdout}{done.stderr}"
    return ROOT / "_build" / "html"


@pytest.fixture(scope="module")
def serve():
    """Return a function that serves a folder on this machine and returns its address."""
    with contextlib.ExitStack() as servers:
        yield lambda folder: servers.enter_context(served(folder))


# one per module: Playwright keeps an event loop running, and other tests want theirs
@pytest.fixture(scope="module")
def browser():
    """Return a browser started for this module."""
    path = chromium_or_skip(find_chromium())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield started
        started.close()
