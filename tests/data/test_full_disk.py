"""A disk that is really full: one sentence, exit status 2, nothing lost, no part of a file left."""

import contextlib
import shutil
import subprocess
import sys

import lfw_like
import pytest
from commands import course, refused, tiny_recipe

from course_utils import recipes
from course_utils.data import decoding, lfw, store
from course_utils.errors import CourseError

SAYS = "the disk is full; free some space"


@pytest.fixture
def disk_of(tmp_path):
    """Return a function that makes a disk of so many bytes; skip where this user may not."""
    if sys.platform != "linux" or not shutil.which("mount"):
        pytest.skip("no small disk can be made here")
    with contextlib.ExitStack() as stack:

        def disk(size: int):
            place = tmp_path / "disk"
            place.mkdir()
            kind = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
            if subprocess.run(kind, capture_output=True).returncode:
                pytest.skip("this user may not mount a small disk")
            stack.callback(subprocess.run, ["umount", str(place)], check=True)
            return place

        yield disk


def files(folder) -> list[str]:
    """Return what lies below a folder, locks apart, which stay."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(path.relative_to(folder).as_posix() for path in found)


@pytest.mark.parametrize("kind", ["lake", "images"])
@pytest.mark.parametrize("share", [0.2, 0.9])
def test_lfw(disk_of, small_lfw, few_photographs, monkeypatch, kind, share):
    if kind == "lake" and not store.lake_runs():
        pytest.skip("Deep Lake is not installed here")
    monkeypatch.setattr(store, "lake_runs", lambda: kind == "lake")
    packed = lfw_like.archive(small_lfw / "lfw-deepfunneled.tgz", few_photographs)
    disk = disk_of(int(share * sum(map(len, few_photographs.values()))))
    (disk / "mine.txt").write_text("kept")
    monkeypatch.setenv("COURSE_DATA", str(disk))
    message = " ".join(refused("data", "lfw", "--archive", packed).split())
    assert SAYS in message and "deepfunneled" in message
    assert files(disk) == ["mine.txt"] and (disk / "mine.txt").read_text() == "kept"
    monkeypatch.setenv("COURSE_DATA", str(small_lfw / "data"))  # the cure that it names
    assert course("data", "lfw", "--archive", packed).exit_code == 0
    assert course("data", "lfw", "--verify").exit_code == 0


@pytest.mark.skipif(not store.lake_runs(), reason="Deep Lake is not installed here")
def test_what_deep_lake_says_is_told(tmp_path, few_photographs, monkeypatch):
    """It raises a RuntimeError, in which the system's number is lost and its words are kept."""
    import deeplake

    def create(path):
        raise RuntimeError(f"Failed to write to {path}/next_base: No space left on device")

    monkeypatch.setattr(deeplake, "create", create)
    with pytest.raises(CourseError, match=SAYS):
        store.build(tmp_path / "s", few_photographs, "deepfunneled")
    assert files(tmp_path) == []


def test_decoded_faces(disk_of, tmp_path, few_photographs, monkeypatch):
    store.build(tmp_path / "s", few_photographs, "deepfunneled")
    disk = disk_of(64_000)
    monkeypatch.setenv("COURSE_CACHE", str(disk))
    with pytest.raises(CourseError, match=SAYS):
        decoding.cached(tmp_path / "s")
    assert files(disk) == []
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    assert len(decoding.cached(tmp_path / "s")[0]) == 24


def test_drawn_faces(disk_of, monkeypatch):
    disk = disk_of(64_000)
    monkeypatch.setenv("COURSE_CACHE", str(disk))
    with pytest.raises(CourseError, match=SAYS):
        lfw.drawn_images(8, seed=0)
    assert files(disk) == []


# a run keeps weights of 104 kB at its end, beside a checkpoint of three times that
@pytest.mark.parametrize(
    ("size", "left"),
    [(64_000, []), (500_000, ["run/checkpoint.safetensors"])],
    ids=["in the first checkpoint", "in the second"],
)
def test_a_run(disk_of, tmp_path, monkeypatch, size, left):
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe())
    disk = disk_of(size)
    assert SAYS in " ".join(refused("train", "tiny", "--out", disk / "run").split())
    assert files(disk) == left
    shutil.copytree(disk / "run", tmp_path / "run")  # to where there is room
    done = course("train", "tiny", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert files(tmp_path / "run") == ["history.csv", "run.json", "weights.safetensors"]
