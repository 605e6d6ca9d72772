"""Mistakes of a person end with a message and exit status 2: no traceback, nothing half done."""

import functools
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from commands import course, publish, refused, tiny_recipe

from course_utils import checkpoint, data, folders, recipes, runtime
from course_utils.data import idx
from course_utils.data.mnist_like import FILES, MNIST
from course_utils.runs import driver


@pytest.fixture
def tiny(runs, monkeypatch):
    """Add a recipe that trains in no time; runs are kept in a folder of this test."""
    recipe = tiny_recipe()
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    return recipe


@pytest.fixture
def finished(tiny, tmp_path):
    """Return the folder of a finished run."""
    assert course("train", "tiny", "--out", tmp_path / "run").exit_code == 0
    return tmp_path / "run"


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """Publish a small MNIST; return its folder MNIST/raw, which COURSE_DATA leads to."""
    yield publish(tmp_path / "data", monkeypatch)
    data.forget()


@pytest.fixture
def on_mnist(runs, monkeypatch):
    """Add a recipe that trains on the data folder in no time."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe(data=data.mnist))


# ----------------------------------------------------------------------------------- unknown names


def test_an_unknown_recipe(tiny):
    for command in ("train", "bench"):
        message = refused(command, "nothing-like-it")
        assert message == (
            "course: recipe 'nothing-like-it' is unknown; `course recipes` lists them all\n"
        )
        assert "did you mean tiny?" in refused(command, "tinny")
        assert "did you mean tiny?" in refused(command, "TINY")
    for command in ("evaluate", "recipes"):
        assert "`course recipes` lists them all" in refused(command, "nothing-like-it")


@pytest.mark.parametrize("name", ["cuda:7", "tpu", "meta"])
def test_an_unknown_or_absent_device(tiny, name):
    for command in (("train", "tiny"), ("evaluate", "tiny"), ("bench", "tiny")):
        message = refused(*command, "--device", name)
        assert repr(name) in message and "--device cpu" in message


def test_an_unknown_device_is_answered_in_one_line(tiny):
    """Not with the list of everything that torch was ever built for."""
    message = refused("train", "tiny", "--device", "cudaa")
    assert "'cudaa' is unknown (cpu, cuda, mps)" in message and len(message) < 160


def test_an_unknown_profile(tiny, monkeypatch):
    assert "quick, full" in refused("train", "tiny", "--profile", "fast")
    monkeypatch.setenv("COURSE_PROFILE", "slow")
    assert "'slow'" in refused("train", "tiny")


def test_an_unknown_source(on_mnist, monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "imaginary")
    assert "auto, real, drawn" in refused("train", "tiny")


@pytest.mark.parametrize(
    "words",
    [
        ("data",),
        ("train",),
        ("train", "tiny", "--seed", "-1"),
        ("train", "tiny", "--seed", "x"),
        ("train", "tiny", "--seed", "20000000000000"),
        ("train", "tiny", "--threads", "0"),
        ("train", "tiny", "--threads", "many"),
        ("train", "tiny", "--sed", "1"),
        ("bench", "tiny", "--rounds", "0"),
        ("bench", "tiny", "--rounds", "10000000000000000000000"),
        ("claims", "--tolerance", "-1"),
        ("nothing",),
    ],
)
def test_words_that_make_no_command(tiny, words):
    assert "Usage: course" in refused(*words)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("claims nothing.of-it", "claim 'nothing.of-it' is unknown; `course claims` lists them"),
        ("claims --rerun ae.test ae.pca3", "'ae.pca3' is one too many"),
        ("claims --whole", "--whole goes with --rerun ID"),
        ("book 01", "go with --execute"),
        ("book --profile quick", "go with --execute"),
        ("book --execute 99", "no chapter is called '99'; there are: 00_features, 01_"),
        ("book --execute exercises/99", "no exercise is called 'exercises/99'; .*: exercises/00_"),
        ("data mnist --hub", "for lfw alone"),
        ("runs pack --from x --out y", "--from goes with `course runs fetch`"),
        ("runs fetch ae --from x --out y", "--out with `course runs pack`"),
        ("runs --from x", "--from goes with `course runs fetch`"),
        ("runs fetch ae --from x --delete", "takes names alone"),
        ("data lfw --hub --archive x.tgz", "leave --alignment, --archive out"),
    ],
)
def test_options_that_do_not_fit_each_other(tiny, words, why):
    assert re.search(why, refused(*words.split()))


# ----------------------------------------------------------------------------------- damaged files


def damage(path: Path, how: str) -> None:
    """Spoil a file as a broken download or a bad disk does."""
    whole = path.read_bytes()
    spoilt = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "corrupt": whole[:100] + bytes(255 - b for b in whole[100:140]) + whole[140:],
        "foreign": b"<html>404 Not Found</html>",
    }
    path.write_bytes(spoilt[how])


@pytest.mark.parametrize("how", ["truncated", "empty", "corrupt", "foreign"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_data_file(mnist, on_mnist, how, packed):
    path = mnist / f"{FILES[0]}.gz"
    if not packed:
        content = idx.unpacked(path.read_bytes())
        path.unlink()
        path = path.with_suffix("")
        path.write_bytes(content)
    damage(path, how)
    for command in (("train", "tiny"), ("data", "mnist", "--verify")):
        message = refused(*command)
        assert f"{path} is damaged" in message and "course data mnist" in message


def test_one_wrong_pixel_is_noticed(mnist, on_mnist):
    path = mnist / FILES[0]
    content = bytearray(idx.unpacked((mnist / f"{FILES[0]}.gz").read_bytes()))
    content[-1] ^= 1
    path.write_bytes(content)
    assert "SHA-256" in refused("data", "mnist", "--verify")


@pytest.mark.skipif(not os.environ.get("COURSE_DATA"), reason="set COURSE_DATA to real data")
def test_a_real_file_cut_short(tmp_path, monkeypatch, on_mnist):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        content = MNIST.content(runtime.data_dir(), name)
        (raw / name).write_bytes(content[:-1] if name == FILES[2] else content)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert "7,840,015 bytes where 7,840,016 belong" in refused("train", "tiny")


# ------------------------------------------------------------------------------------- COURSE_DATA


def test_a_data_folder_that_is_a_file(tmp_path, on_mnist, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "file"))
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    for command in (("train", "tiny"), ("data", "mnist")):
        assert "a file, not a folder" in refused(*command)


def test_a_data_folder_that_is_not_there(tmp_path, on_mnist, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert "not there" in refused("train", "tiny")


def test_an_incomplete_data_folder_is_no_reason_to_draw(mnist, on_mnist):
    (mnist / f"{FILES[3]}.gz").unlink()
    message = refused("train", "tiny")
    assert FILES[3] in message and "course data mnist" in message
    assert "COURSE_SOURCE=drawn" in message


# ------------------------------------------------------------------------------------- run folders


def test_no_run_at_all(tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    for run in (tmp_path / "nowhere", tmp_path / "empty", "tiny", "nothing-like-it"):
        refused("evaluate", run)
    assert "no run" in refused("evaluate", tmp_path / "empty")


def test_no_such_run_of_a_recipe(tiny):
    """The command that makes it is said, option by option."""
    message = refused("evaluate", "tiny", "--profile", "full", "--seed", "3")
    assert message.endswith("make one: course train tiny --profile full --seed 3\n")


def test_a_file_where_a_run_should_be(tiny, tmp_path):
    (tmp_path / "file").write_text("no run")
    assert "no run" in refused("evaluate", tmp_path / "file")
    assert "cannot write to" in refused("train", "tiny", "--out", tmp_path / "file")


def test_a_run_of_another_architecture(finished, monkeypatch):
    wider = tiny_recipe(model_args={"widths": (32,), "output": "tanh"})
    monkeypatch.setitem(recipes.RECIPES, "tiny", wider)
    assert course("evaluate", finished).exit_code == 0  # run.json says how it was built
    assert "other settings" in refused("train", "tiny", "--out", finished)


@pytest.mark.parametrize("name", ["weights.safetensors", "run.json", "history.csv"])
@pytest.mark.parametrize("how", ["truncated", "empty", "foreign"])
def test_a_damaged_run(finished, name, how):
    damage(finished / name, how)
    for command in (("evaluate", finished), ("train", "tiny", "--out", finished)):
        assert str(finished / name) in refused(*command)


def test_a_run_from_a_newer_course(finished):
    path = finished / "run.json"
    info = folders.read_json(path)
    folders.write_json(path, info | {"format": checkpoint.FORMAT + 1})
    assert "newer version of the course" in refused("evaluate", finished)


def test_weights_from_a_newer_course(finished):
    path = finished / "weights.safetensors"
    tensors, info = checkpoint.load(path)
    checkpoint.save(path, tensors, info | {"format": checkpoint.FORMAT + 1})
    assert "newer version of the course" in refused("evaluate", finished)


def test_an_unfinished_run_of_other_settings_is_not_resumed(tiny, tmp_path, monkeypatch):
    unfinish(tmp_path / "run", monkeypatch)
    message = refused("train", "tiny", "--seed", "5", "--out", tmp_path / "run", "--resume")
    assert "other settings or data" in message
    assert "unfinished" in refused("evaluate", tmp_path / "run")


def test_a_damaged_checkpoint_is_not_resumed(tiny, tmp_path, monkeypatch):
    unfinish(tmp_path / "run", monkeypatch)
    damage(tmp_path / "run" / "checkpoint.safetensors", "truncated")
    assert "checkpoint" in refused("train", "tiny", "--out", tmp_path / "run", "--resume")


def unfinish(folder: Path, monkeypatch) -> None:
    """Leave a run with its checkpoint, as a crash while it is scored does."""

    def crash(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(driver, "score", crash)
        assert course("train", "tiny", "--out", folder).exit_code == 130
    assert (folder / "checkpoint.safetensors").exists()


# ------------------------------------------------------------------------- what belongs to others


def test_a_folder_of_ones_own_files_is_refused_and_left_as_it_is(tiny, tmp_path):
    (tmp_path / "m" / ".tmpnotes").mkdir(parents=True)
    mine = [tmp_path / "m" / name for name in (".session.tmp", ".tmp-draft.md", "history.csv")]
    for path in mine:
        path.write_text("mine")
    message = refused("train", "tiny", "--out", tmp_path / "m")
    assert "belongs to no run" in message and ".session.tmp" in message and "--out" in message
    assert all(path.read_text() == "mine" for path in mine)
    assert len(list((tmp_path / "m").iterdir())) == 4


def test_folders_without_permission(tiny, finished, tmp_path, monkeypatch, ordinary_user):
    (tmp_path / "locked").mkdir(mode=0)
    for words in (("train", "tiny", "--out"), ("evaluate",)):
        for place in ("locked/run", "locked/a/b"):
            with ordinary_user():
                assert "no permission" in refused(*words, tmp_path / place)
    finished.chmod(0)
    with ordinary_user():
        assert "no permission" in refused("evaluate", finished)
        monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "locked"))
        for words in (("train", "tiny"), ("evaluate", "tiny"), ("runs",)):
            assert "no permission" in refused(*words)


def test_weights_that_may_not_be_read_are_not_called_damaged(finished, ordinary_user):
    finished.chmod(0o755)
    (finished / "weights.safetensors").chmod(0)
    with ordinary_user():
        message = refused("evaluate", finished)
    assert "no permission" in message and "delete" not in message


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_path_of_300_characters(tiny, tmp_path, command):
    words = ("train", "tiny", "--out") if command == "train" else ("evaluate",)
    assert "too long" in refused(*words, tmp_path / ("x" * 300))


def test_a_home_that_nobody_knows(tiny, monkeypatch):
    assert "home" in refused("train", "tiny", "--out", "~nobody-like-that/run")
    assert "home" in refused("evaluate", "~nobody-like-that/run")


# --------------------------------------------------------------------------------- folders and disk


def test_an_output_folder_that_cannot_be_made(tiny, tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = refused("train", "tiny", "--out", tmp_path / "file" / "run")
    assert "cannot write to" in message and "--out" in message


def test_a_runs_folder_that_cannot_be_made(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_RUNS", str(tmp_path / "file" / "runs"))
    assert "COURSE_RUNS" in refused("train", "tiny")


@pytest.mark.parametrize("room", [0, 20_000], ids=["at once", "in the first checkpoint"])
def test_a_full_disk(tiny, tmp_path, full_disk, room):
    with full_disk(after=room):
        message = refused("train", "tiny", "--out", tmp_path / "run")
    assert "cannot write to" in message and "free some space" in message
    assert [path.name for path in (tmp_path / "run").iterdir()] == []


# ------------------------------------------------------------------------------ NaN on the way


def test_nan_in_training_stops_at_once_and_keeps_the_last_good_checkpoint(
    tiny, tmp_path, monkeypatch
):
    steps = []

    def loss(model, x, y):
        terms = tiny.loss(model, x, y)
        steps.extend([1] * model.training)
        return terms | {"loss": terms["loss"] * math.nan} if len(steps) == 13 else terms

    broken = replace(tiny, loss=functools.wraps(tiny.loss)(loss))
    monkeypatch.setitem(recipes.RECIPES, "tiny", broken)
    folder = tmp_path / "run"
    message = refused("train", "tiny", "--out", folder)
    assert "nan in epoch 3" in message and "learning rate" in message
    assert len(steps) == 15  # no further epoch
    tensors, info = checkpoint.load(folder / "checkpoint.safetensors")
    assert [row["epoch"] for row in info["history"]] == [1, 2]
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
    assert not (folder / "run.json").exists()
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)  # mended
    assert course("train", "tiny", "--out", folder, "--resume").exit_code == 0
    assert len(recipes.load(folder).history) == 3


def test_a_learning_rate_that_blows_up(runs, monkeypatch):
    wild = recipes.Settings(epochs=3, batch_size=100, lr=1e38)
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe(quick=wild))
    assert "Lower the learning rate" in refused("train", "tiny")
