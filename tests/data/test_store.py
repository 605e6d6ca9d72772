"""The store of photographs: whole or not there, checked before every opening."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import lfw_like
import pytest

from course_utils.data import store
from course_utils.errors import CourseError

lake = pytest.mark.skipif(not store.lake_runs(), reason="Deep Lake is not installed here")


@pytest.fixture(params=["lake", "images"])
def kind(request, monkeypatch):
    """Build with Deep Lake, and as where it does not run."""
    if request.param == "images":
        monkeypatch.setattr(store, "lake_runs", lambda: False)
    elif not store.lake_runs():
        pytest.skip("Deep Lake is not installed here")
    return request.param


def read(folder: Path) -> dict[str, bytes]:
    """Return all photographs of a store."""
    return {n: b for ns, bs in store.jpegs(folder, 10) for n, b in zip(ns, bs, strict=True)}


def largest(folder: Path) -> Path:
    """Return the largest file of a store: a chunk with images."""
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def test_the_bytes_come_back(tmp_path, few_photographs, kind):
    manifest = store.build(tmp_path / "s", few_photographs, "deepfunneled")
    assert (manifest.kind, manifest.rows, manifest.alignment) == (kind, 24, "deepfunneled")
    assert read(tmp_path / "s") == few_photographs
    assert store.check(tmp_path / "s") == manifest
    assert manifest.content == store.content_sha256(few_photographs)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip, "has changed"),
        (lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]), "bytes where"),
        (lambda p: p.unlink(), "is missing"),
    ],
)
def test_damage_is_named_and_nothing_is_read(tmp_path, few_photographs, kind, damage, says):
    folder = tmp_path / "s"
    store.build(folder, few_photographs, "deepfunneled")
    damage(largest(folder))
    with pytest.raises(CourseError, match=f"{says}.*Nothing was read"):
        next(store.jpegs(folder))


@lake
def test_every_file_of_a_lake_is_watched(tmp_path, few_photographs):
    folder = tmp_path / "s"
    manifest = store.build(folder, few_photographs, "deepfunneled")
    for name in manifest.files:
        path = folder / name
        whole = path.read_bytes()
        if not whole:
            continue
        flip(path)
        with pytest.raises(CourseError, match="has changed"):
            store.open_lake(folder)
        path.write_bytes(whole)
    assert len(store.open_lake(folder)) == 24


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "is damaged"), ("{}", "is damaged"), ('{"format": 9}', "newer version")],
)
def test_a_manifest_that_cannot_be_read(tmp_path, few_photographs, text, says):
    store.build(tmp_path / "s", few_photographs, "deepfunneled")
    (tmp_path / "s" / store.MANIFEST).write_text(text)
    with pytest.raises(CourseError, match=says):
        store.check(tmp_path / "s")


def test_a_store_of_deep_lake_3_is_told(tmp_path):
    (tmp_path / "dataset_meta.json").write_text("{}")
    with pytest.raises(CourseError, match=r"Deep Lake 3.*convert"):
        store.check(tmp_path)


def test_no_store_and_a_lake_without_deep_lake(tmp_path, few_photographs, monkeypatch):
    with pytest.raises(CourseError, match="is no store of faces"):
        store.check(tmp_path / "nothing")
    if store.lake_runs():
        store.build(tmp_path / "s", few_photographs, "deepfunneled")
        monkeypatch.setattr(store, "lake_runs", lambda: False)
        with pytest.raises(CourseError, match="Deep Lake is not installed here"):
            next(store.jpegs(tmp_path / "s"))


def test_what_is_there_is_kept_and_what_is_damaged_is_made_again(tmp_path, few_photographs, kind):
    folder = tmp_path / "s"
    store.build(folder, few_photographs, "deepfunneled")
    born = (folder / store.MANIFEST).stat().st_mtime_ns
    store.build(folder, few_photographs, "deepfunneled")
    assert (folder / store.MANIFEST).stat().st_mtime_ns == born
    flip(largest(folder))
    store.build(folder, few_photographs, "deepfunneled")
    assert read(folder) == few_photographs
    assert not list(tmp_path.glob(".s.*.tmp"))


def test_two_builds_at_once_leave_one_store(tmp_path, few_photographs, kind):
    builds = [
        threading.Thread(target=store.build, args=(tmp_path / "s", few_photographs, "original"))
        for _ in range(2)
    ]
    for build in builds:
        build.start()
    for build in builds:
        build.join()
    assert read(tmp_path / "s") == few_photographs
    assert [p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == ["s"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, few_photographs, kind, full_disk):
    with full_disk(4_000), pytest.raises(CourseError, match="cannot write to"):
        store.build(tmp_path / "s", few_photographs, "deepfunneled")
    assert not (tmp_path / "s").exists()
    assert not list(tmp_path.glob(".s.*.tmp"))


BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import lfw_like
from course_utils.data import store
photographs = lfw_like.photographs()
print("ready", flush=True)
sys.stdin.readline()
store.build(Path(sys.argv[1]) / "s", photographs, "deepfunneled")
print("built", flush=True)
"""


@pytest.mark.slow
def test_killed_builds_leave_all_or_nothing(tmp_path, few_photographs):
    """Twenty builds are killed, each a little later; none leaves a store that reads wrong."""
    wholes = 0
    for attempt in range(20):
        place = tmp_path / str(attempt)
        place.mkdir()
        child = subprocess.Popen(
            [sys.executable, "-c", BUILD, str(place), str(Path(lfw_like.__file__).parent)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert child.stdout.readline() == "ready\n"
        child.stdin.write("go\n")
        child.stdin.flush()
        time.sleep(0.04 * attempt)
        child.kill()
        child.communicate()
        if (place / "s").exists():
            wholes += 1
            assert read(place / "s") == few_photographs
        assert store.build(place / "s", few_photographs, "deepfunneled").rows == 24
        assert read(place / "s") == few_photographs
        assert not list(place.glob(".s.*.tmp"))
    print(f"{wholes} of 20 were whole when they were killed")


def test_the_manifest_is_plain_json(tmp_path, few_photographs, kind):
    store.build(tmp_path / "s", few_photographs, "funneled")
    kept = json.loads((tmp_path / "s" / store.MANIFEST).read_text())
    assert kept["alignment"] == "funneled" and kept["rows"] == 24
