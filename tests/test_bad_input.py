"""Mistakes of a person end with a message and exit status 2: no traceback, nothing half done."""

import functools
import gc
import hashlib
import http.server
import json
import math
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from commands import course, publish, refused, tiny_recipe

from course_utils import checkpoint, data, recipes, runtime
from course_utils.data import idx
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
    data._load.cache_clear()


@pytest.fixture
def on_mnist(runs, monkeypatch):
    """Add a recipe that trains on the data folder in no time."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_recipe(data=data.mnist))


# ----------------------------------------------------------------------------------- unknown names


def test_an_unknown_recipe(tiny):
    for command in ("train", "bench"):
        message = refused(command, "nothing-like-it")
        assert "'nothing-like-it' is unknown" in message and "tiny" in message


@pytest.mark.parametrize("name", ["cuda:7", "tpu", "meta"])
def test_an_unknown_or_absent_device(tiny, name):
    for command in (("train", "tiny"), ("evaluate", "tiny"), ("bench", "tiny")):
        message = refused(*command, "--device", name)
        assert repr(name) in message and "--device cpu" in message


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
        ("data", "imagenet"),
        ("data",),
        ("train",),
        ("train", "tiny", "--seed", "-1"),
        ("train", "tiny", "--seed", "x"),
        ("train", "tiny", "--sed", "1"),
        ("bench", "tiny", "--rounds", "0"),
        ("nothing",),
    ],
)
def test_words_that_make_no_command(tiny, words):
    assert "Usage: course" in refused(*words)


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
    path = mnist / f"{idx.FILES[0]}.gz"
    if not packed:
        content = idx.unpacked(path)
        path.unlink()
        path = path.with_suffix("")
        path.write_bytes(content)
    damage(path, how)
    for command in (("train", "tiny"), ("data", "mnist", "--verify")):
        message = refused(*command)
        assert f"{path} is damaged" in message and "course data mnist" in message


def test_one_wrong_pixel_is_noticed(mnist, on_mnist):
    path = mnist / idx.FILES[0]
    content = bytearray(idx.unpacked(mnist / f"{idx.FILES[0]}.gz"))
    content[-1] ^= 1
    path.write_bytes(content)
    assert "SHA-256" in refused("data", "mnist", "--verify")


@pytest.mark.skipif(not os.environ.get("COURSE_DATA"), reason="set COURSE_DATA to real data")
def test_a_real_file_cut_short(tmp_path, monkeypatch, on_mnist):
    real = runtime.data_dir() / "MNIST" / "raw"
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in idx.FILES:
        content = idx.unpacked(next(p for p in idx.candidates(real / name) if p.is_file()))
        (raw / name).write_bytes(content[:-1] if name == idx.FILES[2] else content)
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
    (mnist / f"{idx.FILES[3]}.gz").unlink()
    message = refused("train", "tiny")
    assert idx.FILES[3] in message and "course data mnist" in message
    assert "COURSE_SOURCE=drawn" in message


# ------------------------------------------------------------------------------------- run folders


def test_no_run_at_all(tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    for run in (tmp_path / "nowhere", tmp_path / "empty", "tiny", "nothing-like-it"):
        refused("evaluate", run)
    assert "no run" in refused("evaluate", tmp_path / "empty")


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
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"format": checkpoint.FORMAT + 1}))
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


# -------------------------------------------------------------------------------------- downloading


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files without a log."""

    def log_message(self, *args):
        pass


@pytest.fixture
def served(monkeypatch):
    """Return a function that serves a folder as the only mirror."""
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    servers = []

    def serve(folder: Path) -> None:
        handler = functools.partial(QuietHandler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("COURSE_MIRROR", f"http://127.0.0.1:{server.server_port}/")

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def tiny_mirror(tmp_path, monkeypatch, served):
    """Serve the small MNIST, whose MD5 sums torchvision is told; return its folder."""
    import torchvision.datasets

    raw = publish(tmp_path / "published", monkeypatch)
    packed = [raw / f"{name}.gz" for name in idx.FILES]
    sums = [(path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in packed]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    served(raw)
    yield raw
    data._load.cache_clear()


def test_data_fetches_and_train_finds_it(tiny_mirror, on_mnist):
    result = course("data", "mnist")
    assert result.exit_code == 0 and "four files, verified" in result.stdout
    assert "already in" in course("data", "mnist").stdout
    assert "on mnist:" in course("train", "tiny").stdout


def test_data_completes_what_is_incomplete(tiny_mirror, tmp_path):
    course("data", "mnist")
    for path in (tmp_path / "data" / "MNIST" / "raw").glob(f"{idx.FILES[0]}*"):
        path.unlink()
    assert course("data", "mnist").exit_code == 0
    assert "SHA-256 checked" in course("data", "mnist", "--verify").stdout


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib's socket
@pytest.mark.parametrize("spoil", ["missing", "truncated", "corrupt"])
def test_a_bad_mirror(tiny_mirror, tmp_path, spoil):
    victim = tiny_mirror / f"{idx.FILES[2]}.gz"
    victim.unlink() if spoil == "missing" else damage(victim, spoil)
    message = refused("data", "mnist")
    gc.collect()  # here, not in the next test
    assert "could not be downloaded" in message and "COURSE_MIRROR" in message
    assert list((tmp_path / "data").iterdir()) == []


def test_no_mirror_answers(tiny_mirror, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", "http://127.0.0.1:9")  # nothing listens there
    message = refused("data", "mnist")
    assert "could not be downloaded" in message and "127.0.0.1:9" in message


def test_a_data_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    assert "cannot write to" in refused("data", "mnist")


@pytest.mark.skipif(not os.environ.get("COURSE_DATA"), reason="set COURSE_DATA to real data")
def test_the_real_archives_are_fetched_and_verified(tmp_path, monkeypatch, served):
    mirror = Path(os.environ["COURSE_DATA"]) / "mirror"
    if not (mirror / f"{idx.FILES[0]}.gz").is_file():
        pytest.skip("there is no folder `mirror` with MNIST's four archives beside MNIST")
    served(mirror)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert "four files, verified" in course("data", "mnist").stdout
    assert "SHA-256 checked" in course("data", "mnist", "--verify").stdout
