"""The deep autoencoder of chapter 00: the stack below it, and what its recipes share."""

from dataclasses import replace

import pytest
import torch

from course_utils import data, recipes, runs
from course_utils.models import CodeRBM, DeepAutoencoder
from course_utils.recipes import deep


@pytest.fixture
def x():
    """Return 600 drawn digits."""
    return data.as_float(data.mnist(profile="quick").train.x[:600])


def stacked(x, monkeypatch=None, seed: int = 0, **args) -> tuple[DeepAutoencoder, list]:
    """Return a small network with an unfolded stack, and (machine, what it learnt from) of each."""
    machines, original = [], deep.train_machine

    def noted(build, loss, h, *rest):
        machines.append((original(build, loss, h, *rest), h))
        return machines[-1][0]

    if monkeypatch:
        monkeypatch.setattr(deep, "train_machine", noted)
    torch.manual_seed(7)
    model = DeepAutoencoder((40, 20), 6)
    deep.unfold_stack(model, x, seed, **({"epochs": 2} | args))
    return model, machines


def test_the_unfolded_stack_passes_an_image_up_the_machines_and_down_again(x, monkeypatch):
    model, machines = stacked(x, monkeypatch)
    h = x.flatten(1)
    with torch.no_grad():
        for rbm, learnt_from in machines:
            assert torch.allclose(learnt_from, h)
            h = rbm.encode(h)
        assert torch.allclose(model.encode(x), h, atol=1e-5)
        for rbm, _ in reversed(machines):
            h = rbm.pixels(rbm.decode(h))
        assert torch.allclose(model.reconstruct(x).flatten(1), h, atol=1e-5)
    assert [type(rbm) is CodeRBM for rbm, _ in machines] == [False, False, True]


def test_a_stack_that_has_learnt_rebuilds_better_than_the_mean_image(x, monkeypatch):
    monkeypatch.setattr(deep, "PRETRAINING", replace(deep.PRETRAINING, batch_size=50, lr=1e-2))
    torch.manual_seed(0)
    model = DeepAutoencoder((60,), 6)
    deep.unfold_stack(model, x, seed=0, epochs=40)
    with torch.no_grad():
        left = (model.reconstruct(x) - x).square().sum()
    assert left < 0.7 * (x - x.mean(0)).square().sum()


def test_a_stack_depends_on_its_seed_alone_and_moves_no_random_numbers(x):
    (first, _), after = stacked(x), torch.rand(3)
    (again, _), (other, _) = stacked(x), stacked(x, seed=1)
    for (up, _), (up_again, _), (up_other, _) in zip(
        first.pairs(), again.pairs(), other.pairs(), strict=True
    ):
        assert torch.equal(up.weight, up_again.weight)
        assert not torch.allclose(up.weight, up_other.weight, atol=1e-3)
    torch.manual_seed(7)
    DeepAutoencoder((40, 20), 6)
    assert torch.equal(torch.rand(3), after)


def small(name: str, **changes):
    """Return the recipe `name` with a network of a few units."""
    return recipes.get(name).variant(model_args={"widths": (16,), "code_dim": 3}, **changes)


def test_a_resumed_run_trains_no_second_stack(monkeypatch):
    stacks, original = [], deep.unfold_stack
    monkeypatch.setattr(
        deep, "unfold_stack", lambda *args: stacks.append(args[-1]) or original(*args)
    )
    recipe = small("deep_rbm", epochs=2)

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(runs.driver.train.Interrupted):
        runs.run(recipe, 0, "quick", "cpu", progress=False, on_epoch=stop)
    runs.run(recipe, 0, "quick", "cpu", progress=False)
    assert stacks == [deep.PRETRAINING.epochs]


def test_pairs_of_recipes_differ_in_where_they_start_alone():
    for scratch, stack in (("deep_then", "deep_then_rbm"), ("deep_sigmoid", "deep_rbm")):
        one, two = recipes.get(scratch), recipes.get(stack)
        assert two.fit is deep.after_rbms and one.fit is not two.fit
        assert (one.full, one.quick, one.model, one.loss) == (
            (two.full, two.quick, two.model, two.loss)
        )
    gelu, sigmoid = recipes.get("deep_gelu").full, recipes.get("deep_sigmoid").full
    assert replace(gelu, lr=sigmoid.lr, precision=sigmoid.precision) == sigmoid
    assert recipes.get("deep_gelu_long").full == replace(gelu, epochs=30)


def test_all_have_the_widths_of_2006():
    for recipe in deep.RECIPES:
        model = recipe.build()
        sizes = [p.shape[0] for p in model.encoder.parameters() if p.ndim == 2]
        assert sizes == [1000, 500, 250, 30], recipe.name
