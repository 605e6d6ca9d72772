"""Chapter 07's recipes: batches counted as the source counts them, pixels shuffled alike."""

import itertools

import pytest
import torch

from course_utils import data, recipes
from course_utils.errors import CourseError
from course_utils.models import MLP
from course_utils.recipes.mlp import Stretches, fit_in_stretches, settle, shuffled_pixels


@pytest.fixture
def batches(few):
    """Return the 300 images in shuffled batches of 40: seven whole ones and a rest."""
    return data.batches(few, 40, seed=3, shuffle=True)


def labels(loader, passes: int) -> list[list[int]]:
    """Return the labels of the batches of so many passes, one list per batch."""
    loader.epoch = 0
    return [y.tolist() for _ in range(passes) for _, y in loader]


@pytest.mark.parametrize("length", [1, 5, 8, 11, 20])
def test_stretches_deal_the_batches_in_the_order_of_the_passes(batches, length):
    whole = labels(batches, 6)
    stretches = Stretches(batches, length)
    assert len(stretches) == length and stretches.device == batches.device
    dealt = labels(stretches, 40 // length)
    assert dealt == whole[: len(dealt)]
    assert len(dealt) == 40 // length * length


def test_a_stretch_can_be_dealt_again(batches):
    """A run that is resumed in its third stretch sees what an uninterrupted one saw."""
    stretches = Stretches(batches, 5)
    third = labels(stretches, 3)[10:]
    stretches.epoch = 2
    assert [y.tolist() for _, y in stretches] == third


@pytest.mark.parametrize("length", [0, -1, 2.0, "5"])
def test_a_length_that_is_no_count_is_refused(batches, length):
    with pytest.raises(CourseError, match="length is"):
        Stretches(batches, length)


def test_the_source_trains_for_3000_batches():
    """Six stretches of 500, which are 5.45 passes over 55,000 images."""
    recipe = recipes.get("mlp")
    seen = []

    class Whole:
        device = torch.device("cpu")

        def __len__(self):
            return 550

        def __iter__(self):
            return itertools.repeat((torch.zeros(100, 1, 28, 28), torch.zeros(100).long()), 550)

    class Counted(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 10)

        def forward(self, x):
            seen.append(len(x))
            return self.layer(x[:, 0, 0, :1])

    settings = recipe.settings("full")
    history = fit_in_stretches(
        recipe, settings, Counted(), {"train": Whole(), "val": None}, progress=False
    )
    assert (len(seen), set(seen), len(history)) == (3000, {100}, 6)


def test_the_sums_begin_where_they_are_said_to():
    """0.1 in `mlp`, as in the source's library; 0 in `mlp_accumulator_0`, as in torch."""
    from course_utils.recipes.recipe import make_optimizer

    for name, start in (("mlp", 0.1), ("mlp_accumulator_0", 0.0)):
        recipe = recipes.get(name)
        optimizer = make_optimizer(recipe.build(), recipe.full)
        assert all(torch.all(state["sum"] == start) for state in optimizer.state.values())
        assert len(optimizer.state) == 4 and optimizer.defaults["lr"] == 0.3


def test_pixels_are_shuffled_alike_everywhere(digits):
    moved = shuffled_pixels(profile="quick")
    for split in ("train", "val", "test"):
        old, new = getattr(digits, split).x, getattr(moved, split).x
        old = old[: len(new)].flatten(1)
        assert not old.equal(new.flatten(1))
        assert old.sort(1).values.equal(new.flatten(1).sort(1).values)
    order = torch.randperm(784, generator=torch.Generator().manual_seed(0))
    for split in (moved.train, moved.val, moved.test):  # one permutation for all
        whole = next(
            s for s in (digits.train, digits.val, digits.test) if s.y[:50].equal(split.y[:50])
        )
        assert split.x[:50].flatten(1).equal(whole.x[:50].flatten(1)[:, order])
    assert moved.sha256 != digits.sha256 and moved.test.y.equal(digits.test.y[: len(moved.test)])


def test_shuffled_twice_is_shuffled_the_same_way():
    first, second = shuffled_pixels("quick"), shuffled_pixels("quick")
    assert first.test.x.equal(second.test.x) and first.sha256 == second.sha256


def test_settled_averages_are_those_of_clean_images(few):
    """The oracle: means and variances of the first layer, computed on all images at once."""
    torch.manual_seed(0)
    model = MLP((6, 5), "gelu", batch_norm=True, noise=3.0, dropout=0.5).train()
    model(data.as_float(few.x))  # averages that nobody wants
    settle(model, data.batches(few, 100))
    linear, norm = model.body[2], model.body[3]
    z = linear(data.as_float(few.x).flatten(1)).detach()
    assert torch.allclose(norm.running_mean, z.mean(0), atol=1e-4)
    each = torch.stack([part.var(0) for part in z.split(100)]).mean(0)  # torch averages batches'
    assert torch.allclose(norm.running_var, each, rtol=1e-3)
    assert not any(module.training for module in model.modules()) and norm.momentum == 0.1


def test_nothing_to_settle_without_batch_norm(few):
    model = MLP((6,), noise=0.3)
    before = {name: p.clone() for name, p in model.state_dict().items()}
    settle(model, None)
    assert all(p.equal(before[name]) for name, p in model.state_dict().items())


def test_the_best_recipes_are_settled(few):
    """After `fit` the running means are those of images without noise."""
    recipe = recipes.get("mlp_minute").variant(model_args={"widths": (6,), "noise": 2.0})
    torch.manual_seed(0)
    model = recipe.build()
    loaders = {"train": data.batches(few, 100, shuffle=True), "val": None}
    recipe.fit(recipe, recipe.quick, model, loaders, progress=False)
    z = model.body[2](data.as_float(few.x).flatten(1)).detach()
    assert torch.allclose(model.body[3].running_mean, z.mean(0), atol=1e-4)
