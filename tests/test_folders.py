"""Folders and files: one door, whole writes, errors in words, locks."""

import os
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from course_utils import folders
from course_utils.errors import CourseError


def test_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert folders.data_dir() == tmp_path.resolve()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "gone"))
    with pytest.raises(CourseError, match="gone', which is not there"):
        folders.data_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "file"))
    with pytest.raises(CourseError, match="file', which is a file, not a folder"):
        folders.data_dir()
    monkeypatch.delenv("COURSE_DATA")
    assert folders.data_dir() == folders.cache_dir() / "data"


def test_cache_and_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.delenv("COURSE_RUNS", raising=False)
    assert folders.cache_dir() == tmp_path.resolve()
    assert folders.runs_dir() == tmp_path.resolve() / "runs"
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "elsewhere"))
    assert folders.runs_dir() == tmp_path.resolve() / "elsewhere"
    monkeypatch.delenv("COURSE_CACHE")
    assert "autoencoder-course" in str(folders.cache_dir())


def test_make_folder(tmp_path):
    assert folders.make_folder(tmp_path / "a" / "b").is_dir()
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    for taken in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CourseError, match=r"cannot write to .*file.*--out DIR"):
            folders.make_folder(taken)


def test_a_full_disk_is_noticed_before_hours_of_training(tmp_path, full_disk):
    with full_disk(after=0), pytest.raises(CourseError, match="cannot write to"):
        folders.make_folder(tmp_path)


def test_a_folder_without_permission(tmp_path, ordinary_user):
    tmp_path.chmod(0o555)
    with ordinary_user(), pytest.raises(CourseError, match=r"cannot write to .*no permission"):
        folders.make_folder(tmp_path)
    with ordinary_user(), pytest.raises(CourseError, match=r"cannot write to .*no permission"):
        folders.write_atomically(tmp_path / "file", "text")


def test_what_lies_below_a_locked_folder_is_told_not_raised(tmp_path, ordinary_user):
    locked = tmp_path / "locked"
    (locked / "below").mkdir(parents=True)
    locked.chmod(0)
    looks = (folders.exists, folders.is_dir, folders.is_file, folders.listing)
    for look in (*looks, folders.read_bytes, folders.read_text, folders.make_folder):
        with ordinary_user(), pytest.raises(CourseError, match="no permission"):
            look(locked / "below")
    with ordinary_user(), pytest.raises(CourseError, match="no permission"):
        folders.listing(locked)
    locked.chmod(0o755)


def test_a_name_too_long_a_circle_and_no_name_are_told(tmp_path):
    long = tmp_path / ("n" * 300)
    for act in (folders.exists, folders.read_text, folders.make_folder):
        with pytest.raises(CourseError, match="the name is too long; choose a shorter one"):
            act(long / "below")
    with pytest.raises(CourseError, match="the name is too long"):
        folders.write_atomically(long, "text")
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(CourseError, match="links lead in a circle"):
        folders.read_text(tmp_path / "a")
    with pytest.raises(CourseError, match="no name for a file"):
        folders.located("a\0b")


def test_looking_at_what_is_not_there(tmp_path):
    (tmp_path / "file").write_text("text", encoding="utf-8")
    for path in (tmp_path / "gone", tmp_path / "file" / "below"):
        assert not (folders.exists(path) or folders.is_dir(path) or folders.is_file(path))
        assert folders.listing(path) == []
    assert folders.listing(tmp_path) == [tmp_path / "file"]


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(CourseError, match="not a text in UTF-8"):
        folders.read_text(tmp_path / "file")


@pytest.mark.skipif(os.name != "posix", reason="HOME and user numbers are POSIX's")
def test_a_user_without_a_home_is_told_what_to_set(tmp_path):
    """As in a container that runs under any number, without HOME."""
    code = (
        "import os; os.environ.pop('HOME', None); os.environ.pop('XDG_CACHE_HOME', None)\n"
        "import pwd; pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid))\n"
        "from course_utils import folders\n"
        "from course_utils.errors import CourseError\n"
        "for place in (folders.cache_dir, folders.runs_dir, lambda: folders.located('~/runs')):\n"
        "    try: place()\n"
        "    except CourseError as error: assert 'set HOME' in str(error), error\n"
        "    else: raise SystemExit('a home was found')\n"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("COURSE_")}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


# -------------------------------------------------------------------------------- atomic writing


def test_write_atomically(tmp_path):
    path = tmp_path / "new" / "file"
    folders.write_atomically(path, "ümläut\n")
    assert path.read_bytes() == "ümläut\n".encode()
    folders.write_atomically(path, b"\0\1")
    assert path.read_bytes() == b"\0\1"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path, full_disk):
    path = tmp_path / "file"
    folders.write_atomically(path, "old")
    with (
        full_disk(after=100),
        pytest.raises(CourseError, match=r"cannot write to .*file.*disk is full; free"),
    ):
        folders.write_atomically(path, "new" * 1000)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_reader_ever_sees_a_part(tmp_path, monkeypatch):
    """Until the very rename the old content is there, and after it the new one."""
    path = tmp_path / "file"
    folders.write_atomically(path, "old")
    seen = []
    replace = os.replace

    def watched(source, target):
        seen.append(path.read_text(encoding="utf-8"))
        replace(source, target)
        seen.append(path.read_text(encoding="utf-8"))

    monkeypatch.setattr(os, "replace", watched)
    folders.write_atomically(path, "new")
    assert seen == ["old", "new"]


def test_replacing_moves_nothing_when_its_body_fails(tmp_path):
    path = tmp_path / "file"
    folders.write_atomically(path, "old")
    with pytest.raises(KeyboardInterrupt), folders.replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_what_is_written_has_the_permissions_of_the_umask(tmp_path, umask):
    """safetensors alone would write files that nobody but their owner can read."""
    before = os.umask(umask)
    try:
        folders.write_atomically(tmp_path / "text", "text")
        folders.write_tensors(tmp_path / "tensors", {"x": torch.zeros(2)})
        with folders.lock(tmp_path / ".lock", "a test"):
            pass
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~umask}


def test_tensors_on_a_full_disk(tmp_path, full_disk):
    path = tmp_path / "tensors"
    folders.write_tensors(path, {"x": torch.zeros(2)})
    with full_disk(after=1000), pytest.raises(CourseError, match="the disk is full; free some"):
        folders.write_tensors(path, {"x": torch.zeros(2000)})
    assert load_file(path)["x"].shape == (2,) and list(tmp_path.iterdir()) == [path]


def test_sweep_removes_unfinished_writes_and_nothing_else(tmp_path):
    """Only of the file named, and only what bears a process number."""
    others = ("run.json", ".run.json.tmp", ".run.json.a.tmp", ".other.12.tmp", "run.json.12.tmp")
    kept = [tmp_path / name for name in others]
    for path in [*kept, tmp_path / ".run.json.4711.tmp"]:
        path.touch()
    folders.sweep(tmp_path / "run.json")
    assert sorted(tmp_path.iterdir()) == sorted(kept)


# ----------------------------------------------------------------------------------------- locks

HOLD = (
    "import sys; from pathlib import Path; from course_utils import folders\n"
    "path = Path(sys.argv[1])\n"
    "def note(word):\n"
    "    with path.with_name('order').open('a', encoding='utf-8') as file: file.write(word)\n"
    "with folders.lock(path, 'the work'):\n"
    "    note('in '); print('held', flush=True); sys.stdin.readline(); note('out ')\n"
)


def holder(path, **streams) -> subprocess.Popen:
    """Start a process that takes the lock `path`, says so, and keeps it until it is told."""
    command = [sys.executable, "-c", HOLD, path]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **streams
    )


def test_the_second_waits_says_for_what_and_goes_on(tmp_path):
    path = tmp_path / "new" / ".lock"
    with holder(path) as first:
        assert first.stdout.readline() == "held\n"
        with holder(path, stderr=subprocess.PIPE) as second:
            assert second.stderr.readline() == "waiting for the work: another process is at it\n"
            time.sleep(0.3)  # who does not wait would be in by now
            assert second.poll() is None
            first.communicate("\n")
            assert second.stdout.readline() == "held\n"
            assert second.communicate("\n") == ("", "")
    assert first.returncode == second.returncode == 0
    assert path.with_name("order").read_text(encoding="utf-8") == "in out in out "


def test_the_lock_of_a_killed_process_is_free(tmp_path, capsys):
    with holder(tmp_path / ".lock") as first:
        assert first.stdout.readline() == "held\n"
        first.kill()
        first.wait()
        with folders.lock(tmp_path / ".lock", "nobody"):
            pass
    assert capsys.readouterr().err == ""


def test_a_thread_may_take_its_own_lock_again(tmp_path):
    with folders.lock(tmp_path / ".lock", "once"), folders.lock(tmp_path / ".lock", "twice"):
        pass


def test_a_lock_that_cannot_be_written_is_told(tmp_path, ordinary_user):
    tmp_path.chmod(0o555)
    with ordinary_user(), pytest.raises(CourseError, match="no permission"):  # noqa: SIM117
        with folders.lock(tmp_path / ".lock", "nothing"):
            raise AssertionError("the block ran without its lock")


# ----------------------------------------------------------------------------------------- seals


def test_every_damage_to_a_sealed_file_of_tensors_is_found_or_harmless(tmp_path):
    """Each bit of the file, turned by itself; harmless are those in the word `seal` alone."""
    path, x = tmp_path / "file", torch.arange(3, dtype=torch.bfloat16)
    folders.write_sealed(path, {"x": x, "n": torch.tensor(7), "none": torch.zeros(0)}, {"a": [1]})
    whole, missed = path.read_bytes(), 0
    for i in range(8 * len(whole)):
        spoiled = bytearray(whole)
        spoiled[i // 8] ^= 1 << i % 8
        path.write_bytes(spoiled)
        try:
            tensors, info = folders.read_sealed(path)
        except CourseError:
            continue
        missed += 1
        assert torch.equal(tensors["x"], x) and tensors["n"] == 7 and info["a"] == [1]
    assert missed <= 8 * len("seal")


def test_every_damage_to_a_sealed_record_is_found_or_harmless(tmp_path):
    path, content = tmp_path / "file", {"loss": 0.25, "epochs": [1, 2], "name": "ünlü", "ok": True}
    folders.write_json(path, content)
    whole = path.read_bytes()
    assert folders.read_json(path) == content
    found = 0
    for i in range(8 * len(whole)):
        spoiled = bytearray(whole)
        spoiled[i // 8] ^= 1 << i % 8
        path.write_bytes(spoiled)
        try:
            assert folders.read_json(path).items() >= content.items()
        except CourseError:
            found += 1
    assert found > 0.9 * 8 * len(whole)


def test_records_without_a_seal_are_read_and_what_is_none_is_told(tmp_path):
    path = tmp_path / "file"
    path.write_text('{"a": 1}', encoding="utf-8")
    assert folders.read_json(path) == {"a": 1}
    for content in ("[1]", "{", "", "7", "null"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(CourseError, match="is damaged: it is no JSON object"):
            folders.read_json(path)


def test_what_was_read_does_not_change_with_the_file(tmp_path):
    """As it would if the file were mapped into memory, where cutting it short kills the reader."""
    path, x = tmp_path / "file", torch.arange(1000)
    folders.write_sealed(path, {"x": x})
    tensors, _ = folders.read_sealed(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(tensors["x"], x)
    tensors["x"][0] = 5  # and it can be written to
