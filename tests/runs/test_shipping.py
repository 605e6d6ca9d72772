"""Runs packed for a release and fetched from a server on this machine."""

import json
import zipfile

import pytest
from commands import course, refused, tiny_recipe
from serving import served

from course_utils import folders, recipes
from course_utils import runs as course_runs
from course_utils.errors import CourseError
from course_utils.runs import shipping


@pytest.fixture
def release(runs, tmp_path, monkeypatch):
    """Return the folder of a release with one run, whose own folder is then put aside."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe())
    course_runs.measured(course_runs.run("tiny", profile="full"), "a bound", lambda: 1.5)
    shipping.pack(tmp_path / "release", [])
    runs.rename(tmp_path / "original")
    return tmp_path / "release"


@pytest.fixture
def address(release):
    """Return the address of a server that serves the release."""
    with served(release) as address:
        yield address


def packed(release):
    """Return the ZIP file of the release's run."""
    return next(release.glob("tiny-*.zip"))


def test_a_fetched_run_is_the_run(address, tmp_path):
    result = course("runs", "fetch", "tiny", "--from", address)
    assert result.exit_code == 0, result.output
    assert "1 run fetched" in result.stdout
    (folder,) = (folders.runs_dir()).iterdir()
    (old,) = (tmp_path / "original").glob("tiny-*")
    for name in ("run.json", "weights.safetensors", "history.csv"):
        same = (folder / name).read_bytes() == (old / name).read_bytes()
        assert same, name
    run = course_runs.load(folder)
    assert run.recipe.name == "tiny"
    assert course_runs.measured(run, "a bound", lambda: pytest.fail("this came along")) == 1.5
    again = course("runs", "fetch", "--from", address)
    assert "is there already" in again.stdout and "0 runs fetched" in again.stdout


def test_the_place_may_be_a_folder_or_a_setting(release, monkeypatch):
    monkeypatch.setenv("COURSE_RELEASE", str(release))
    assert len(shipping.fetch(["ti*"])) == 1


def test_packing_twice_gives_the_same_bytes(release, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "original"))
    assert course("runs", "pack", "tiny", "--out", tmp_path / "again").exit_code == 0
    for path in release.iterdir():
        same = path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
        assert same, path.name


def test_what_is_not_what_the_index_says_is_refused(release, address):
    path = packed(release)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    message = refused("runs", "fetch", "--from", address)
    assert "is not the file of its index" in message
    path.write_bytes(bytes(content[:100]))
    assert "is not the file of its index" in refused("runs", "fetch", "--from", address)
    path.unlink()
    assert "404" in refused("runs", "fetch", "--from", address)
    assert not list(folders.runs_dir().glob("*")) and not list(folders.runs_dir().glob(".*"))


def test_a_run_whose_weights_are_not_its_own_is_refused(release):
    """The index may be wrong too: the run's own hashes are looked at."""
    path = packed(release)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["weights.safetensors"] += b" "
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(CourseError, match="not the file that run"):
        shipping.place_run(folders.runs_dir() / path.stem, path.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../evil.py", "x")
    with pytest.raises(CourseError, match=r"holds '\.\./evil\.py', no run"):
        shipping.place_run(folders.runs_dir() / path.stem, path.read_bytes())
    assert not list(folders.runs_dir().parent.glob("evil*"))


def test_an_unfinished_training_is_not_overwritten(release):
    home = folders.runs_dir() / packed(release).stem
    home.mkdir(parents=True)
    (home / "checkpoint.safetensors").write_bytes(b"hours of work")
    with pytest.raises(CourseError, match="holds an unfinished run"):
        shipping.fetch([], str(release))
    assert (home / "checkpoint.safetensors").read_bytes() == b"hours of work"


@pytest.mark.parametrize("content", ["{", "[]", '{"runs": {"../x": {"sha256": "", "size": 1}}}'])
def test_an_index_that_is_none(release, content):
    (release / "runs.json").write_text(content)
    with pytest.raises(CourseError, match="no index of runs"):
        shipping.fetch([], str(release))


def test_mistakes(release, address, tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_RELEASE", raising=False)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    assert "from where?" in refused("runs", "fetch")
    assert "holds tiny" in refused("runs", "fetch", "wrong", "--from", address)
    assert "could not be fetched" in refused("runs", "fetch", "--from", "http://127.0.0.1:9")
    assert "--out DIR" in refused("runs", "pack")
    assert "no finished run" in refused("runs", "pack", "--out", tmp_path / "new")
    assert "goes with" in refused("runs", "--from", address)
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "original"))
    assert "something else" in refused("runs", "pack", "--out", tmp_path / "mine")
    assert json.loads((release / "runs.json").read_text())["runs"]
