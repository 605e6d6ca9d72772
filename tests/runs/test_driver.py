"""Recipes: a run is found again, resumed, or trained; and nothing else passes for it."""

import csv
import hashlib
import json
from dataclasses import replace

import pytest
import torch

from course_utils import checkpoint, data, folders, losses, recipes, runtime, train
from course_utils import runs as course_runs
from course_utils.models import Autoencoder
from course_utils.recipes.recipe import make_optimizer, make_schedule
from course_utils.runs.identity import key as key_of
from course_utils.runtime import CourseError
from course_utils.train import one_loss


@pytest.fixture
def recipe(digits):
    """Return a recipe that trains in a moment: `ae` on 600 images."""
    small = replace(digits, train=digits.train.head(600), val=digits.val.head(100),
                    test=digits.test.head(200))  # fmt: skip
    return replace(
        recipes.get("ae"),
        model_args={"widths": (16,), "output": "tanh"},
        quick=recipes.Settings(epochs=3, batch_size=128, lr=3e-3),
        data=lambda profile=None: small,
    )


def run(recipe, **options):
    """Train or load the recipe without a progress bar."""
    return course_runs.run(recipe, progress=False, **options)


def never(*args, **options):
    """Stand in for training where nothing may be trained."""
    pytest.fail("this was trained already")


# ------------------------------------------------------------------------------------- the registry


def test_names_are_unique_and_known():
    assert len(recipes.names()) == len(set(recipes.names())) == len(recipes.RECIPES)
    assert all(recipes.get(name).name == name for name in recipes.names())


def test_an_unknown_recipe_is_refused():
    with pytest.raises(CourseError, match=r"recipe 'aee' is unknown; choose one of: .*ae"):
        recipes.run("aee")


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_can_take_a_step(name):
    """Model, loss and data fit together, the settings name things that exist, a run can be told."""
    recipe = recipes.get(name)
    runtime.seed_everything(0)
    model = recipe.build()
    dataset = recipe.data(profile="quick")
    terms = recipe.loss_fn(model, data.as_float(dataset.train.x[:4]), dataset.train.y[:4])
    assert terms["loss"].isfinite()
    terms["loss"].backward()
    for settings in (recipe.quick, recipe.full):
        optimizer = make_optimizer(model, settings)
        optimizer.step()
        schedule = make_schedule(optimizer, settings, 10)
        assert (schedule is None) == (settings.schedule == "constant")
    assert recipe.quick.epochs <= recipe.full.epochs and recipe.says
    json.dumps(course_runs.describe(recipe, 0, "quick", dataset))


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


def weights(made) -> str:
    """Return the hash of a run's file of weights: pytest would print megabytes of difference."""
    return hashlib.sha256((made.path / "weights.safetensors").read_bytes()).hexdigest()


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


def test_run_seeds(recipe, runs, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "ae", recipe)
    made = recipes.run_seeds("ae", 2, progress=False)
    assert [r.seed for r in made] == [0, 1] and made[0].path != made[1].path
    assert len(recipes.run_seeds("ae", progress=False)) == recipe.seeds_in() == 1


# --------------------------------------------------------------------------- what a run is known by


def changes(recipe):
    """Return recipes that differ from the given one in a thing that changes the result."""
    quick, dataset = recipe.quick, recipe.data()
    return {
        "lr": replace(recipe, quick=replace(quick, lr=1e-3)),
        "epochs": replace(recipe, quick=replace(quick, epochs=4)),
        "precision": replace(recipe, quick=replace(quick, precision="bf16")),
        "schedule": replace(recipe, quick=replace(quick, schedule="onecycle")),
        "width": replace(recipe, model_args={"widths": (17,), "output": "tanh"}),
        "loss": replace(recipe, loss=losses.reconstruction),
        "loss_args": replace(recipe, loss=losses.sparse_reconstruction, loss_args={"weight": 2.0}),
        "its weight": replace(recipe, loss=losses.sparse_reconstruction, loss_args={"weight": 3.0}),
        "data": replace(recipe, data=lambda profile=None: replace(dataset, sha256="0" * 64)),
        "data name": replace(recipe, data=lambda profile=None: replace(dataset, name="other")),
    }


def key(recipe, seed=0) -> str:
    """Return the hash of a run of the recipe."""
    return key_of(course_runs.describe(recipe, seed, "quick", recipe.data()))


def test_whatever_changes_the_result_changes_the_key(recipe):
    keys = [key(recipe), key(recipe, seed=1), *map(key, changes(recipe).values())]
    assert len(set(keys)) == len(keys)


def test_what_changes_no_result_does_not(recipe):
    same = replace(recipe, says="another sentence", full=replace(recipe.full, epochs=1),
                   seeds=9)  # fmt: skip
    assert key(same) == key(recipe)


@pytest.mark.parametrize("what", ["lr", "width", "data", "loss"])
def test_a_folder_with_another_run_is_refused(recipe, tmp_path, what):
    run(recipe, out=tmp_path)
    with pytest.raises(CourseError, match="other settings or data; choose another folder"):
        run(changes(recipe)[what], out=tmp_path)


# -------------------------------------------------------------------------------------- bad folders


@pytest.fixture
def finished(recipe, runs):
    """Return a finished run's folder."""
    return run(recipe).path


def test_load(finished, recipe):
    assert recipes.load(finished, recipe).metrics["test_sse"] > 0


def test_load_finds_the_recipe_by_name(recipe, runs, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "ae", recipe)
    made = recipes.run("ae", progress=False)
    loaded = recipes.load(made.path)
    assert loaded.recipe is recipe and loaded.metrics == made.metrics


def test_a_folder_without_a_run(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(CourseError, match=r"holds no run \(no run.json\)"):
            recipes.load(folder)
    (tmp_path / "checkpoint.safetensors").touch()
    with pytest.raises(CourseError, match="an unfinished run; finish it with --resume"):
        recipes.load(tmp_path)


def test_a_run_of_another_architecture(finished, recipe):
    other = changes(recipe)["width"]
    with pytest.raises(CourseError, match=r"weights\.safetensors holds the weights of another"):
        recipes.load(finished, other)


@pytest.mark.parametrize("name", ["run.json", "weights.safetensors", "history.csv"])
@pytest.mark.parametrize("keep", [None, 0, 0.5])
def test_a_truncated_run(finished, recipe, name, keep):
    """A file that is gone, empty, or cut in half; whichever it is, the message names it."""
    path = finished / name
    content = path.read_bytes()
    path.unlink()
    if keep is not None:
        path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(CourseError, match=name.replace(".", r"\.")):
        recipes.load(finished, recipe)


def change_info(folder, **changed):
    """Change entries of run.json."""
    info = folders.read_json(folder / "run.json")
    folders.write_json(folder / "run.json", info | changed)


def test_a_run_from_a_newer_course(finished, recipe):
    change_info(finished, format=checkpoint.FORMAT + 1)
    with pytest.raises(CourseError, match="newer version of the course"):
        recipes.load(finished, recipe)


def test_a_run_of_an_unknown_recipe(finished):
    change_info(finished, recipe="from the future")
    with pytest.raises(CourseError, match="'from the future' is unknown"):
        recipes.load(finished)


def test_weights_that_run_json_does_not_describe(finished, recipe):
    """A flipped bit, or another run's file of the same shape, is noticed."""
    path = finished / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CourseError, match=r"what was written|run\.json describes"):
        recipes.load(finished, recipe)


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


def interrupted(recipe, out, after):
    """Stop a run of the recipe by Ctrl-C in the middle of the epoch behind `after` whole ones."""
    steps = []

    def loss(model, x, y):
        if model.training:
            steps.append(1)
            if len(steps) == 5 * after + 3:
                raise KeyboardInterrupt
        return recipe.loss(model, x, y)

    loss.__name__ = recipe.loss.__name__
    with pytest.raises(train.Interrupted, match="--resume" if after else "nothing is kept"):
        run(replace(recipe, loss=loss), out=out)


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
