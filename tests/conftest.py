"""What every test of the package stands on: drawn data, a cache of its own, one thread, no network.

COURSE_DATA or COURSE_SOURCE, where given, decide about the data; the rest of the user's settings
must not change what the tests see.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest

LOOPBACK = ("127.", "::1", "localhost")
OWN_CACHE = pytest.StashKey[Path]()
NOT_THE_USERS = ("COURSE_PROFILE", "COURSE_RUNS", "COURSE_RECORD", "COURSE_MIRROR")


def pytest_configure(config):
    """Set the environment before anything is imported; xdist's workers and subprocesses inherit it.

    Images are drawn once into the common cache. With one thread a sum has one order, so results
    can be compared bit by bit, and workers do not fight over the cores.
    """
    config.addinivalue_line("markers", "slow: takes longer than a moment; part of `make test-all`")
    config.addinivalue_line("filterwarnings", "error")
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    for name in NOT_THE_USERS:
        os.environ.pop(name, None)
    if not os.environ.get("COURSE_DATA"):
        os.environ.setdefault("COURSE_SOURCE", "drawn")
    os.environ.setdefault("COURSE_DEVICE", "cpu")
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    config.stash[OWN_CACHE] = Path(tempfile.mkdtemp(prefix="course-tests-"))
    os.environ["COURSE_CACHE"] = str(config.stash[OWN_CACHE])
    if drawn := os.environ.get("DRAWN_FOR_TESTS"):  # from course_tools.mutants
        (config.stash[OWN_CACHE] / "drawn").symlink_to(drawn, target_is_directory=True)


def pytest_unconfigure(config):
    """Remove the cache of this session."""
    if OWN_CACHE in config.stash:
        shutil.rmtree(config.stash[OWN_CACHE], ignore_errors=True)


def refuse(host: object) -> None:
    """Fail the test that reaches out; a plain OSError would pass for a dead network."""
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if not name.startswith(LOOPBACK):
        pytest.fail(f"a unit test tried to reach {name}", pytrace=True)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Let Python's sockets reach this machine only."""
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def guarded_look_up(host, *args, **options):
        refuse(host)
        return look_up(host, *args, **options)

    def guarded_connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse(address[0])
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)


@pytest.fixture(scope="session")
def digits():
    """Return the digits of the quick profile: 10,000 train, 1,000 val, 2,000 test images."""
    from course_utils import data

    return data.mnist(profile="quick")


@pytest.fixture
def few(digits):
    """Return the first 300 training images and labels."""
    return digits.train.head(300)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Return an empty folder in which recipes keep their runs during this test."""
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def full_disk():
    """Return a context in which no file grows beyond `after` bytes, as if the disk were full."""
    resource = pytest.importorskip("resource", reason="file sizes cannot be limited here")

    @contextlib.contextmanager
    def limit(after: int):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (after, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def ordinary_user(tmp_path):
    """Return a context in which permissions count: the administrator becomes a plain user in it."""
    if os.name != "posix":
        pytest.skip("permissions are POSIX's")
    for folder in (tmp_path, *tmp_path.parents[:3]):  # one more where several processes test
        if folder == tmp_path or folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o755)  # pytest's own folders are closed to others

    @contextlib.contextmanager
    def become():
        if os.geteuid():
            yield
            return
        os.setegid(65534)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    return become
