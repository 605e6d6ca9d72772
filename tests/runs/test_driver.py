"""A run is found again, resumed, or trained; and it is what its recipe says."""

import csv
import hashlib
import json
from dataclasses import replace

import pytest
import torch
from small_runs import changes, interrupted, never, run, weights

from course_utils import data, losses, runtime, train
from course_utils import runs as course_runs
from course_utils.errors import CourseError
from course_utils.models import Autoencoder
from course_utils.train import one_loss

# ----------------------------------------------------------------------------------- a finished run


def test_a_run_leaves_everything_needed_to_believe_it(recipe, runs):
    made = run(recipe, seed=3)
    assert made.path.parent == runs and made.path.name.startswith("ae-quick-s3-")
    names = ["history.csv", "run.json", "weights.safetensors"]
    assert sorted(p.name for p in made.path.iterdir()) == names
    info = json.loads((made.path / "run.json").read_text())
    dataset = recipe.data()
    assert (info["data"], info["data_sha256"]) == (dataset.name, dataset.sha256)
    assert (info["seed"], info["profile"], info["recipe"]) == (3, "quick", "ae")
    assert info["settings"]["epochs"] == 3 and info["versions"]["torch"]
    weights = (made.path / "weights.safetensors").read_bytes()
    assert info["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert info["parameters"] == train.parameter_count(Autoencoder(widths=(16,)))
    rows = list(csv.DictReader((made.path / "history.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]


def test_metrics_belong_to_the_split_that_they_name(recipe, runs):
    made = run(recipe)
    assert not made.model.training
    dataset = recipe.data()
    for split in ("train", "val", "test"):
        x = getattr(dataset, split).x / 255
        with torch.no_grad():
            sse = (made.model.reconstruct(x) - x).square().sum().item() / len(x)
        assert made.metrics[f"{split}_sse"] == pytest.approx(sse, rel=1e-4), split
        assert made.metrics[f"{split}_loss"] == pytest.approx(4 * sse, rel=1e-4), split
    assert made.metrics["val_sse"] == pytest.approx(made.history[-1]["val_sse"], rel=1e-6)


def test_the_test_split_plays_no_part_in_training(recipe, runs):
    dataset = recipe.data()
    other = replace(dataset, test=dataset.val)
    one = run(recipe)
    two = run(replace(recipe, data=lambda profile=None: other), out=runs / "two")
    assert weights(one) == weights(two)
    assert one.metrics["test_sse"] != two.metrics["test_sse"] == two.metrics["val_sse"]


def test_a_finished_run_is_loaded_and_equal(recipe, runs, monkeypatch):
    made = run(recipe)
    monkeypatch.setattr(train, "fit", never)
    again = run(recipe)
    assert again.metrics == made.metrics and again.history == made.history
    assert again.info == made.info and again.path == made.path
    for a, b in zip(again.model.parameters(), made.model.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not again.model.training


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(recipe, tmp_path):
    one, two, three = (run(recipe, seed=s, out=tmp_path / str(i)) for i, s in enumerate((1, 1, 2)))
    assert weights(one) == weights(two) != weights(three)
    assert (one.path / "history.csv").read_bytes() == (two.path / "history.csv").read_bytes()


def test_the_run_is_what_its_recipe_says(recipe, runs):
    """Retrained by hand with fit from the same seed: the same weights."""
    made = run(recipe, seed=2)
    runtime.seed_everything(2)
    model = Autoencoder(widths=(16,), output="tanh")
    batches = data.batches(recipe.data().train, 128, seed=2, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, fused=True)
    train.fit(model, losses.reconstruction_pm1, batches, epochs=3, optimizer=optimizer,
              progress=False)  # fmt: skip
    for a, b in zip(made.model.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_an_output_folder_that_cannot_be_written(recipe, tmp_path, full_disk):
    (tmp_path / "file").touch()
    with pytest.raises(CourseError, match="cannot write to"):
        run(recipe, out=tmp_path / "file")
    with full_disk(after=0), pytest.raises(CourseError, match="cannot write to"):
        run(recipe, out=tmp_path / "new")


def test_a_disk_that_fills_during_training(recipe, tmp_path, full_disk):
    """The run can be repeated once there is space, and no half file is left."""
    with (
        full_disk(after=50_000),
        pytest.raises(CourseError, match=r"cannot write.*free some space"),
    ):
        run(recipe, out=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert run(recipe, out=tmp_path).metrics


# ----------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("schedule", ["constant", "onecycle"])
@pytest.mark.parametrize("after", [1, 2])
def test_an_interrupted_run_resumes_to_the_same_bytes(recipe, tmp_path, schedule, after):
    recipe = replace(recipe, quick=replace(recipe.quick, schedule=schedule))
    whole = run(recipe, out=tmp_path / "whole")
    interrupted(recipe, tmp_path / "cut", after)
    resumed = run(recipe, out=tmp_path / "cut")
    assert weights(resumed) == weights(whole)
    assert resumed.history == whole.history and resumed.metrics == whole.metrics
    assert not (tmp_path / "cut" / "checkpoint.safetensors").exists()


def test_onecycle_is_felt(recipe, tmp_path):
    onecycle = replace(recipe, quick=replace(recipe.quick, schedule="onecycle"))
    assert weights(run(recipe, out=tmp_path / "a")) != weights(run(onecycle, out=tmp_path / "b"))


def test_a_resumed_run_trains_the_missing_epochs_only(recipe, tmp_path, monkeypatch):
    interrupted(recipe, tmp_path, after=2)
    epochs = []
    train_epoch = one_loss.train_epoch
    monkeypatch.setattr(
        one_loss, "train_epoch", lambda *args: epochs.append(args[-1]) or train_epoch(*args)
    )
    run(recipe, out=tmp_path)
    assert epochs == [2]


def test_without_resume_a_checkpoint_is_ignored(recipe, tmp_path):
    whole = run(recipe, out=tmp_path / "whole")
    interrupted(recipe, tmp_path / "cut", after=1)
    afresh = course_runs.run(recipe, out=tmp_path / "cut", resume=False, progress=False)
    assert weights(afresh) == weights(whole) and len(afresh.history) == 3


@pytest.mark.parametrize("what", ["lr", "epochs", "data"])
def test_a_checkpoint_of_another_run_is_refused(recipe, tmp_path, what):
    interrupted(recipe, tmp_path, after=1)
    with pytest.raises(CourseError, match="unfinished run with other settings or data"):
        run(changes(recipe)[what], out=tmp_path)


def test_a_damaged_checkpoint_is_refused(recipe, tmp_path):
    interrupted(recipe, tmp_path, after=1)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CourseError, match="cannot be read as a checkpoint"):
        run(recipe, out=tmp_path)
