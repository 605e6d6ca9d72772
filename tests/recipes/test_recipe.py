"""Settings name things that exist, and mean what torch means; recipes vary without names."""

import math
from dataclasses import replace

import pytest
import torch
from commands import tiny_recipe

from course_utils import losses, recipes
from course_utils import runs as course_runs
from course_utils.errors import CourseError
from course_utils.models import VAE
from course_utils.recipes.recipe import OPTIMIZERS, Settings, make_optimizer, make_schedule

PLAIN = Settings(epochs=6, batch_size=10, lr=0.1)
STEPS = 4  # per epoch


# ----------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schedule": "onecycel"}, "schedule 'onecycel' is unknown; choose one of: constant, onec"),
        ({"optimizer": "adamax"}, "optimizer 'adamax' is unknown; choose one of: adam, adamw, sgd"),
        ({"precision": "bf61"}, "precision 'bf61' is unknown; choose one of: float32, bf16, auto"),
        ({"epochs": 0}, "epochs is 0; it must be a whole number, 1 or more"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"batch_size": "64"}, "batch_size is '64'"),
        ({"batch_size": True}, "batch_size is True"),
        ({"lr": 0.0}, "lr is 0.0; a learning rate is a number above 0"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": "fast"}, "lr is 'fast'"),
        ({"lr": True}, "lr is True"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; it is a number, 0 or more"),
        ({"weight_decay": math.nan}, "weight_decay is nan"),
        ({"optimizer_args": {"momentum": 0.9}}, "'momentum', which optimizer 'adam' does not take"),
        ({"schedule_args": {"gamma": 0.9}}, "schedule 'constant' does not take; .*: nothing"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(changes, says):
    with pytest.raises(CourseError, match=says):
        replace(PLAIN, **changes)


ARGUMENTS = {
    "adam": {"betas": [0.5, 0.9]},
    "adamw": {"eps": 1e-3},
    "sgd": {"momentum": 0.9, "nesterov": True},
    "rmsprop": {"alpha": 0.5},
    "adagrad": {"initial_accumulator_value": 0.1},
    "adadelta": {"rho": 0.5},
    "nadam": {"momentum_decay": 0.1},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("with_arguments", [True, False])
def test_an_optimizer_steps_as_torchs_own_unfused_one(name, with_arguments):
    given = ARGUMENTS[name] if with_arguments else {}
    settings = replace(PLAIN, optimizer=name, weight_decay=0.1, optimizer_args=given)
    found = after_steps(lambda model: make_optimizer(model, settings))
    kind = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop",
            "adagrad": "Adagrad", "adadelta": "Adadelta", "nadam": "NAdam"}[name]  # fmt: skip
    kind = getattr(torch.optim, kind)
    right = after_steps(lambda m: kind(m.parameters(), lr=0.1, weight_decay=0.1, **given))
    torch.testing.assert_close(found, right)
    if with_arguments:
        other = after_steps(lambda m: kind(m.parameters(), lr=0.1, weight_decay=0.1))
        assert not torch.equal(found, other)


def after_steps(optimizer_of) -> torch.Tensor:
    """Return the weights of a small layer after three steps."""
    torch.manual_seed(0)
    model, x = torch.nn.Linear(5, 3), torch.randn(8, 5)
    optimizer = optimizer_of(model)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
    return model.weight.detach()


def test_arguments_that_torch_refuses_are_told_with_the_optimizers_name():
    settings = replace(PLAIN, optimizer="sgd", optimizer_args={"momentum": -1.0})
    with pytest.raises(CourseError, match="optimizer 'sgd': Invalid momentum value"):
        make_optimizer(torch.nn.Linear(1, 1), settings)


def rates(optimizer="sgd", optimizer_args=None, **changes) -> list[float]:
    """Return the learning rate at each step of six epochs of four steps."""
    settings = replace(PLAIN, optimizer=optimizer, optimizer_args=optimizer_args or {}, **changes)
    optimizer = make_optimizer(torch.nn.Linear(1, 1), settings)
    schedule = make_schedule(optimizer, settings, STEPS)
    found = []
    for _ in range(settings.epochs * STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_step_and_multistep_count_in_epochs():
    halved = rates(schedule="step", schedule_args={"step_size": 2, "gamma": 0.5})
    assert halved == pytest.approx([0.1 * 0.5 ** (i // 8) for i in range(24)])
    fallen = rates(schedule="multistep", schedule_args={"milestones": [1, 4]})
    assert fallen == pytest.approx([0.1] * 4 + [0.01] * 12 + [0.001] * 8)


def test_cosine_falls_from_the_rate_to_its_end():
    found = rates(schedule="cosine", schedule_args={"eta_min": 0.02})
    right = [0.02 + 0.04 * (1 + math.cos(math.pi * i / 24)) for i in range(24)]
    assert found == pytest.approx(right)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_onecycle_rises_to_the_rate_and_falls_whatever_the_optimizer(optimizer):
    found = rates(optimizer, schedule="onecycle", schedule_args={"pct_start": 0.5})
    assert max(found) == pytest.approx(0.1, rel=0.02) and found[0] < 0.01 > found[-1]


def test_onecycle_moves_a_momentum_that_is_there_and_makes_none():
    for momentum, moves in ((0.0, False), (0.9, True)):
        settings = replace(PLAIN, optimizer="sgd", schedule="onecycle",
                           optimizer_args={"momentum": momentum})  # fmt: skip
        optimizer = make_optimizer(torch.nn.Linear(1, 1), settings)
        make_schedule(optimizer, settings, STEPS)
        assert (optimizer.param_groups[0]["momentum"] != momentum) == moves


@pytest.mark.parametrize(
    ("schedule", "arguments", "says"),
    [
        ("step", {}, "schedule 'step' needs schedule_args 'step_size'"),
        ("multistep", {"gamma": 0.1}, "needs schedule_args 'milestones'"),
        ("multistep", {"milestones": 4}, "schedule 'multistep': "),
        ("onecycle", {"pct_start": 7.0}, "schedule 'onecycle': "),
    ],
)
def test_a_schedule_that_cannot_be_made_is_refused(schedule, arguments, says):
    settings = replace(PLAIN, schedule=schedule, schedule_args=arguments)
    optimizer = make_optimizer(torch.nn.Linear(1, 1), settings)
    with pytest.raises(CourseError, match=says):
        make_schedule(optimizer, settings, STEPS)


# ----------------------------------------------------------------------------------------- variants


def test_a_variant_differs_in_what_is_named_and_in_nothing_else():
    base = recipes.get("vae_mse")
    found = base.variant(lr=0.5, model_args={"code_dim": 3}, loss_args={"variance": 0.1})
    assert found.full == replace(base.full, lr=0.5) and found.quick == replace(base.quick, lr=0.5)
    assert found.model_args == base.model_args | {"code_dim": 3}
    assert found.loss_args == {"likelihood": "gaussian", "variance": 0.1}
    assert found.data is base.data and found.name == base.name
    assert base.full.lr != 0.5 and "code_dim" not in base.model_args  # left as it was


def test_what_names_something_takes_its_old_arguments_away():
    base = recipes.get("ae_sparse_2").variant(
        optimizer="sgd", optimizer_args={"momentum": 0.9}, schedule="cosine"
    )
    assert base.variant(loss=losses.reconstruction).loss_args == {}
    assert base.variant(model=VAE, model_args={"code_dim": 2}).model_args == {"code_dim": 2}
    other = base.variant(optimizer="adagrad", schedule="step", schedule_args={"step_size": 1}).full
    assert (other.optimizer, other.optimizer_args) == ("adagrad", {})
    assert (other.schedule, other.schedule_args) == ("step", {"step_size": 1})
    assert base.variant(optimizer_args={"nesterov": True}).full.optimizer_args == {
        "momentum": 0.9, "nesterov": True,
    }  # fmt: skip


@pytest.mark.parametrize("changes", [{"learning_rate": 1}, {"schedul": "step"}])
def test_a_variant_in_what_no_recipe_has_is_refused(changes):
    with pytest.raises(CourseError, match=f"no {next(iter(changes))!r} to vary.*, lr, "):
        recipes.get("ae").variant(**changes)


def test_a_variant_is_kept_and_found_beside_its_recipe_and_in_no_list(runs, monkeypatch):
    recipe = tiny_recipe()
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    before = recipes.names()
    wide = recipe.variant(model_args={"widths": (20,)}, epochs=2)
    made = [runs_of(r) for r in (recipe, wide)]
    assert made[0].path != made[1].path and recipes.names() == before
    for one in made:
        found = course_runs.load(one.path)  # as `course evaluate FOLDER` does
        assert found.metrics == one.metrics
        assert found.recipe.settings("quick").epochs == len(one.history)
    assert runs_of(recipe.variant()).path == made[0].path


def runs_of(recipe):
    """Return the quick run of a recipe."""
    return course_runs.run(recipe, profile="quick", progress=False)


def test_a_recipe_says_how_it_is_fitted_and_scored(runs):
    """A fit that is no `fit_one_loss`: its history and scores are the run's, and it has a key."""

    def nothing(recipe, settings, model, loaders, **loop):
        assert set(loaders) == {"train", "val", "test"} and settings.precision == "float32"
        return [{"epoch": i + 1, "train_loss": 0.5} for i in range(settings.epochs)]

    def size(recipe, model, batches):
        return {"images": float(sum(len(x) for x, _ in batches))}

    plain = tiny_recipe()
    other = replace(plain, fit=nothing, score=size, loss=None)
    made = runs_of(other)
    assert made.metrics == {"train_images": 500.0, "val_images": 100.0, "test_images": 100.0}
    assert len(made.history) == 3 and made.info["fit"] == "nothing" and made.info["loss"] is None
    assert runs_of(other).history == made.history and runs_of(plain).path != made.path
