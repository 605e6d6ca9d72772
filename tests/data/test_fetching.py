"""`course data`: what is fetched is verified, the files of others stay, every mirror is tried."""

import contextlib
import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
import torchvision.datasets
from commands import as_idx, course, refused
from serving import served

from course_utils import data, folders
from course_utils.data import mirrors
from course_utils.data.mnist_like import FILES, MNIST
from course_utils.errors import CourseError


def contents(sizes=(7, 3)) -> dict[str, bytes]:
    """Return the four files of a tiny MNIST."""
    rng = np.random.default_rng(0)
    shapes = [shape for n in sizes for shape in ((n, 28, 28), (n,))]
    arrays = [as_idx(rng.integers(0, 10, shape, dtype=np.uint8)) for shape in shapes]
    return dict(zip(FILES, arrays, strict=True))


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Make a tiny MNIST the published one, which no mirror has; return the folder of its files."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, content in contents().items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents().items()}
    monkeypatch.setattr(MNIST, "sha256", sums)
    monkeypatch.setitem(MNIST.sizes, "quick", (4, 2, 2))
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    data.forget()
    yield folder
    data.forget()


@pytest.fixture
def root(tmp_path, monkeypatch, published):
    """Return the empty folder that COURSE_DATA names; COURSE_MIRROR names that of `published`."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COURSE_MIRROR", str(published))
    return tmp_path / "data"


@pytest.fixture
def serve():
    """Return a function that serves a folder on this machine and returns its address."""
    with contextlib.ExitStack() as servers:
        yield lambda folder: servers.enter_context(served(folder))


def is_complete(root) -> bool:
    """Tell whether the four files are there and the published ones."""
    return not MNIST.missing(root) and bool(MNIST.verify(root))


# --------------------------------------------------------------------------- what is there already


def test_the_files_of_others_stay(root):
    """Beside the four files, in all folders, and one of the four in good order."""
    raw, others = root / "MNIST" / "raw", {}
    kept = ("MNIST/my_notes.txt", "MNIST/processed/training.pt", "MNIST/raw/my-own-digits.npz")
    for name in kept:
        others[root / name] = f"mine: {name}".encode()
    others[raw / FILES[0]] = contents()[FILES[0]]
    for path, content in others.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    before = (raw / FILES[0]).stat().st_mtime_ns
    assert course("data", "mnist").exit_code == 0
    assert {path: path.read_bytes() for path in others} == others and is_complete(root)
    assert (raw / FILES[0]).stat().st_mtime_ns == before  # what is good is not written again


def test_a_damaged_file_is_replaced_and_the_good_ones_are_not(root):
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / FILES[0]).write_bytes(b"damaged")
    MNIST.fetch(root)
    assert is_complete(root)


def test_what_a_killed_fetch_left_goes_with_the_next(root):
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / f".{FILES[0]}.4711.tmp").write_bytes(b"half")
    MNIST.fetch(root)
    assert sorted(path.name for path in raw.iterdir()) == sorted(FILES)


def test_a_folder_that_is_a_link_works(root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (root / "MNIST").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert course("data", "mnist").exit_code == 0
    assert is_complete(root) and (root / "MNIST").is_symlink()
    assert (tmp_path / "elsewhere" / "raw" / FILES[0]).is_file()


@pytest.mark.parametrize("spoil", ["missing", "corrupt", "truncated", "empty", "other"])
def test_a_bad_file_on_the_only_mirror_changes_nothing(root, published, spoil):
    """Not even the three other files are written."""
    victim = published / f"{FILES[2]}.gz"
    content = victim.read_bytes()
    other = gzip.compress(as_idx(np.zeros((3, 28, 28), np.uint8)))
    spoilt = {"corrupt": content[::-1], "truncated": content[:-9], "empty": b"", "other": other}
    victim.unlink() if spoil == "missing" else victim.write_bytes(spoilt[spoil])
    with pytest.raises(CourseError, match=r"MNIST could not be downloaded.*COURSE_MIRROR"):
        MNIST.fetch(root)
    assert list((root / "MNIST" / "raw").iterdir()) == []


FETCH = (
    "import hashlib, json, os, sys; from pathlib import Path\n"
    "from course_utils.data.mnist_like import MNIST\n"
    "MNIST.sha256, MNIST.mirrors = json.loads(sys.argv[2]), lambda: []\n"
    "MNIST.fetch(Path(sys.argv[1])); print(MNIST.verify(Path(sys.argv[1])))\n"
)


def test_three_at_once_all_end_well(root):
    """One fetches; the others wait, say for what, and find the work done."""
    command = [sys.executable, "-c", FETCH, str(root), json.dumps(MNIST.sha256)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in started:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert out == "is what was published: four files, SHA-256 checked\n"
        assert err in (
            "",
            f"waiting for MNIST in {root / 'MNIST' / 'raw'}: another process is at it\n",
        )
    assert is_complete(root)


def test_only_the_first_of_two_fetches(root, monkeypatch):
    MNIST.fetch(root)
    before = {path: path.stat().st_mtime_ns for path in (root / "MNIST" / "raw").iterdir()}
    monkeypatch.setattr(mirrors.Mirrors, "get", lambda *_: pytest.fail("a mirror was asked"))
    MNIST.fetch(root)
    after = {path: path.stat().st_mtime_ns for path in (root / "MNIST" / "raw").iterdir()}
    assert before == after


# ------------------------------------------------------------------------------------ real causes


def test_a_folder_without_permission_is_no_trouble_of_the_network(root, ordinary_user):
    root.chmod(0o555)
    with ordinary_user():
        message = refused("data", "mnist")
    assert "no permission" in message and "network" not in message


def test_a_locked_folder_is_told_by_everything_that_looks_into_it(root, ordinary_user):
    (root / "MNIST").mkdir()
    (root / "MNIST").chmod(0)
    with ordinary_user():
        for command in (("data", "mnist"), ("data", "mnist", "--verify")):
            assert "no permission" in refused(*command)
        with pytest.raises(CourseError, match="no permission"):
            data.mnist("auto")
        doctor = course("doctor")
    assert doctor.exit_code == 1 and "no permission" in doctor.stdout
    (root / "MNIST").chmod(0o755)


def test_a_full_disk_is_no_trouble_of_the_network(root, full_disk):
    with full_disk(after=100):
        message = refused("data", "mnist")
    assert "the disk is full" in message and "network" not in message
    assert list((root / "MNIST" / "raw").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_others_may_read_what_was_fetched(root):
    MNIST.fetch(root)
    assert {path.stat().st_mode & 0o044 for path in (root / "MNIST" / "raw").iterdir()} == {0o044}


def test_an_archive_is_refused_where_there_is_none(root):
    assert "four files, no archive" in refused("data", "mnist", "--archive", "digits.tgz")


def test_an_unknown_collection_is_refused(root):
    assert "choose one of: mnist, fashionmnist" in refused("data", "cifar")
    assert course("data", "MNIST").exit_code == 0


# ---------------------------------------------------------------------------------------- mirrors


@pytest.mark.parametrize("spelling", ["{}", "{}/", "file://{}", "file://localhost{}/", " {} "])
@pytest.mark.parametrize("name", ["plain", "with blanks", "mit Ümläuten"])
def test_a_folder_is_a_mirror(root, published, monkeypatch, tmp_path, spelling, name):
    folder = tmp_path / name
    published.rename(folder)
    quoted = str(folder)
    if spelling.startswith("file:"):
        quoted = quoted.replace(" ", "%20")
    monkeypatch.setenv("COURSE_MIRROR", spelling.format(quoted))
    MNIST.fetch(root)
    assert is_complete(root)


def test_a_folder_of_unpacked_files_is_a_mirror(root, published):
    for path in published.iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    MNIST.fetch(root)
    assert is_complete(root)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_an_address_is_a_mirror(root, published, monkeypatch, serve, end):
    monkeypatch.setenv("COURSE_MIRROR", serve(published) + end)
    MNIST.fetch(root)
    assert is_complete(root)


def test_an_address_with_a_blank_is_a_mirror(root, published, monkeypatch, serve, tmp_path):
    published.rename(tmp_path / "my mirror")
    monkeypatch.setenv("COURSE_MIRROR", serve(tmp_path) + "/my mirror")
    MNIST.fetch(root)
    assert is_complete(root)


def talks_nonsense(greeting: bytes) -> str:
    """Serve `greeting` to whoever connects, as a mail server would; return the address."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(greeting)

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}"


BAD = {
    "a folder that is not there": "/nowhere/at/all",
    "a relative one": "nowhere",
    "a file: address that is not there": "file:///nowhere/at/all",
    "a file: address of another machine": "file://server/share",
    "a blank in the host": "http://not a host/mnist",
    "no host": "http://",
    "no port": "http://127.0.0.1:port/",
    "half an IPv6 address": "http://[::1/",
    "an unknown scheme": "gopher://127.0.0.1/",
    "nobody listens": "http://127.0.0.1:9",
    "too long a name": "/" + "n" * 300,
    "a user's home that nobody knows": "~nobody-of-this-name/mnist",
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_mirror_is_told_in_a_sentence_and_the_next_is_asked(
    root, published, monkeypatch, serve, capsys, case
):
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [serve(published) + "/"])
    monkeypatch.setenv("COURSE_MIRROR", BAD[case])
    MNIST.fetch(root)
    said = capsys.readouterr().err
    assert is_complete(root) and said.count("\n") == 1
    assert said.startswith(f"COURSE_MIRROR is {BAD[case]!r}, which gives no MNIST (")
    assert said.endswith("; the next mirror is asked\n")


@pytest.mark.parametrize(
    "greeting",
    [b"", b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort",
     b"HTTP/1.1 2000000\r\n\r\n", b"\x00\xff" * 100, b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000],
)  # fmt: skip
def test_a_server_that_speaks_no_http_is_told_and_the_next_is_asked(
    root, published, monkeypatch, serve, capsys, greeting
):
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [serve(published) + "/"])
    monkeypatch.setenv("COURSE_MIRROR", talks_nonsense(greeting))
    MNIST.fetch(root)
    assert is_complete(root) and "the next mirror is asked" in capsys.readouterr().err


@pytest.mark.parametrize("case", BAD)
def test_without_a_good_mirror_the_command_ends_in_words(root, monkeypatch, case):
    monkeypatch.setenv("COURSE_MIRROR", BAD[case])
    message = refused("data", "mnist")
    assert "MNIST could not be downloaded" in message and BAD[case] in message


@pytest.mark.parametrize("case", BAD)
def test_without_a_good_mirror_auto_draws(tmp_path, published, monkeypatch, case):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_MIRROR", BAD[case])
    assert data.mnist("auto").name == "drawn digits"


def test_a_file_that_does_not_end_is_no_data_set(published, monkeypatch, serve):
    monkeypatch.setattr(mirrors, "LIMIT", 100)
    with pytest.raises(mirrors.Unreachable, match="does not end"):
        mirrors.downloaded(f"{serve(published)}/{FILES[0]}.gz")


def test_every_reason_is_in_the_last_word(root, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("COURSE_MIRROR", "/nowhere")
    message = refused("data", "mnist")
    assert "/nowhere: there is no such folder" in message and "http://127.0.0.1:9/: " in message


# ------------------------------------------------------------------------------------ all together


def test_what_the_command_fetched_is_what_is_loaded(root):
    fetched = course("data", "mnist")
    assert fetched.exit_code == 0 and fetched.stdout.endswith("MNIST/raw, verified\n")
    assert "already in" in course("data", "mnist").stdout
    assert "four files, SHA-256 checked" in course("data", "mnist", "--verify").stdout
    loaded = data.mnist("auto", "quick")
    assert (loaded.name, loaded.source, len(loaded.train)) == ("mnist", "real", 4)


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    assert "cannot write to" in refused("data", "mnist")


@pytest.mark.skipif(not os.environ.get("COURSE_DATA"), reason="set COURSE_DATA to real data")
def test_the_real_archives_are_fetched_and_verified(tmp_path, monkeypatch, serve):
    mirror = folders.data_dir() / "mirror"
    if not (mirror / f"{FILES[0]}.gz").is_file():
        pytest.skip("there is no folder `mirror` with MNIST's four archives beside MNIST")
    monkeypatch.setenv("COURSE_MIRROR", serve(mirror))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert course("data", "mnist").exit_code == 0 and is_complete(tmp_path)
