"""What chapter 03 trains on and how: standardised pixels, blocks, few labels, layers one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from course_utils import data, recipes, runs
from course_utils.errors import CourseError
from course_utils.models import MLP
from course_utils.recipes import dae


def test_standardised_pixels_are_scikit_learns():
    made = dae.standardised("quick")
    plain = data.mnist(profile="quick")
    scaler = StandardScaler().fit(plain.train.head(1_000).x.flatten(1).numpy() / 255)
    expected = scaler.transform(plain.test.head(250).x.flatten(1).numpy() / 255)
    assert np.allclose(made.test.x.flatten(1).numpy(), expected, atol=1e-3)
    assert made.train.x.flatten(1).std(0, unbiased=False).max() == pytest.approx(1, abs=1e-3)
    assert made.sha256 != plain.sha256


@pytest.fixture
def batches():
    """Return batches of 10 of 1000 images that tell their place."""
    x = torch.arange(1000.0).view(-1, 1, 1, 1)
    return data.Batches(x, torch.zeros(1000, dtype=torch.int64), 10, seed=3)


def test_blocks_are_neighbours_from_random_places(batches):
    blocks = dae.Blocks(batches)
    seen = [x.flatten() for x, _ in blocks]
    assert len(seen) == len(blocks) == 100
    assert all(len(x) == 10 and (x.diff() == 1).all() for x in seen)
    assert len({float(x[0]) for x in seen}) > 80
    assert max(float(x[0]) for x in seen) < 990


def test_blocks_show_two_thirds_of_the_images(batches):
    """1 - 1/e: that is no drawing without replacement."""
    blocks = dae.Blocks(batches)
    shares = [
        torch.cat([x.flatten() for x, _ in blocks]).unique().numel() / 1000 for _ in range(40)
    ]
    assert np.mean(shares) == pytest.approx(1 - np.exp(-1), abs=0.015)


def test_a_pass_of_blocks_is_the_same_again(batches):
    blocks = dae.Blocks(batches)
    first = blocks.starts(0)
    assert first == blocks.starts(0) != blocks.starts(1)


def test_labels_are_taken_away_and_images_are_not():
    made = dae.labelled(100)("quick")
    assert len(made.train) == 400
    assert (made.train.y[:100] >= 0).all() and (made.train.y[100:] == -1).all()
    assert torch.equal(made.train.x, dae.labelled(None)("quick").train.x)
    assert (dae.labelled(None)("quick").train.y >= 0).all()
    assert (made.test.y >= 0).all()


@pytest.mark.parametrize("kind", ["denoising", "rbm"])
def test_every_layer_is_a_machine_trained_on_what_lies_below(kind, monkeypatch):
    torch.manual_seed(0)
    x = data.as_float(data.mnist(profile="quick").train.x[:1000])
    model = MLP((60, 40), "sigmoid")
    trained = []
    original = dae.train.fit

    def noted(machine, loss, batches, **rest):
        trained.append((machine, batches.x, original(machine, loss, batches, **rest)))

    monkeypatch.setattr(dae.train, "fit", noted)
    dae.pretrain(model, "sigmoid", kind, x, seed=0, epochs=20)
    first, second = dae.layers_of(model)
    assert torch.equal(trained[0][1], x.flatten(1))
    assert torch.allclose(trained[1][1], first(x.flatten(1)).sigmoid().detach())
    for layer, (machine, _, history) in zip((first, second), trained, strict=True):
        learnt = machine.weight if kind == "rbm" else machine.encoder[1].weight
        bias = machine.hidden_bias if kind == "rbm" else machine.encoder[1].bias
        assert torch.equal(layer.weight, learnt) and torch.equal(layer.bias, bias)
        assert history[-1]["train_sse"] < 0.95 * history[0]["train_sse"]


@pytest.mark.parametrize(
    ("activation", "expected"), [("relu", [True, False]), ("sigmoid", [True] * 2)]
)
def test_what_a_rectifier_says_is_restored_without_a_bound(activation, expected, monkeypatch):
    bounded = []

    def noted(h, n, activation, is_bounded, *rest):
        bounded.append(is_bounded)
        return torch.zeros(n, h.shape[1]), torch.zeros(n)

    monkeypatch.setattr(dae, "pretrained_layer", noted)
    x = torch.rand(5, 1, 28, 28)
    dae.pretrain(MLP((6, 4), activation), activation, "denoising", x, seed=0, epochs=1)
    assert bounded == expected


def first_layer(widths, seed: int, kind: str = "denoising") -> torch.Tensor:
    """Return the first layer's weights after a short pretraining on drawn images."""
    x = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    model = MLP(widths, "sigmoid")
    dae.pretrain(model, "sigmoid", kind, x, seed, epochs=1)
    return dae.layers_of(model)[0].weight.detach()


@pytest.mark.parametrize("kind", ["denoising", "rbm"])
def test_a_pretrained_layer_depends_on_its_seed_and_not_on_what_comes_above(kind):
    alone = first_layer((20,), 3, kind)
    assert torch.equal(first_layer((20, 10, 5), 3, kind), alone)
    assert not torch.allclose(first_layer((20,), 4, kind), alone, atol=1e-3)


def test_pretraining_moves_no_random_numbers():
    """Else networks with and without it would differ in their last layer and batches too."""
    x = torch.rand(64, 1, 28, 28)
    model = MLP((20, 10), "relu")
    torch.manual_seed(0)
    dae.pretrain(model, "relu", "denoising", x, seed=0, epochs=1)
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), after)


def test_a_stack_trains_on_labelled_images_alone(monkeypatch):
    seen = []
    original = dae.train.fit

    def noted(model, loss, batches, **rest):
        seen.append((type(model).__name__, len(batches.y), int(batches.y.min())))
        return original(model, loss, batches, **rest)

    monkeypatch.setattr(dae.train, "fit", noted)
    recipe = recipes.get("stack_denoising_relu_3_100")
    run = runs.run(recipe, 0, "quick", "cpu", progress=False)
    assert [name for name, _, _ in seen] == ["DenoisingMLP"] * 3 + ["MLP"]
    assert [n for _, n, _ in seen] == [400] * 3 + [100]
    assert seen[-1][2] >= 0
    assert 0 <= run.metrics["test_accuracy"] <= 1


def test_a_stack_that_made_more_passes_than_its_settings_say_is_read_again(monkeypatch):
    monkeypatch.setattr(dae, "FINE_STEPS", 10)
    recipe = recipes.get("stack_scratch_relu_1_100").variant(epochs=2)
    run = runs.run(recipe, 0, "quick", "cpu", progress=False)
    assert len(run.history) == 5  # of two batches each
    again = runs.run(recipe, 0, "quick", "cpu", progress=False)
    assert again.path == run.path and again.history == run.history
    path = run.path / "history.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(CourseError, match="is not the file that run"):
        runs.run(recipe, 0, "quick", "cpu", progress=False)


def test_accuracy_leaves_out_images_without_a_label(few):
    y = few.y.clone()
    y[::2] = -1
    batches = data.batches(replace(few, y=y), 4)

    class Knows(torch.nn.Module):
        """Is right about every label that there is."""

        def forward(self, x):
            place = [
                int((few.x.float().div(255) - one).abs().flatten(1).sum(1).argmin()) for one in x
            ]
            return torch.nn.functional.one_hot(few.y[place], 10).float()

    assert dae.accuracy(None, Knows(), batches) == {"accuracy": 1.0}


def test_every_stack_has_its_partner_without_pretraining():
    names = {recipe.name for recipe in dae.STACKS}
    assert len(names) == 48
    for name in names:
        _, start, rest = name.split("_", 2)
        assert start in dae.FITS and f"stack_scratch_{rest}" in names


@pytest.mark.parametrize(
    ("rule", "variances"),
    [
        ("xavier", (2 / (784 + 256), 2 / (256 + 256))),
        ("xavier4", (4**2 * 2 / (784 + 256), 4**2 * 2 / (256 + 256))),
        ("kaiming", (2 / 784, 2 / 256)),
    ],
)
def test_first_weights_have_the_variance_of_their_rule(rule, variances):
    model = MLP((256, 256), "sigmoid")
    dae.draw_first_weights(model, rule, seed=0)
    for layer, variance in zip(dae.layers_of(model), variances, strict=True):
        assert float(layer.weight.detach().var()) == pytest.approx(variance, rel=0.03)
        assert not layer.bias.any()


def test_first_weights_are_all_that_differs(monkeypatch):
    """The last layer, the order of the batches and the numbers drawn afterwards are the same."""
    seen = {}

    def noted(recipe, settings, model, loaders, kind, progress=None):
        seen[recipe.name] = (model, loaders["train"].seed, torch.rand(3))
        return []

    monkeypatch.setattr(dae, "fine_tune", noted)
    x = torch.rand(8, 1, 28, 28)
    loaders = {"train": data.Batches(x, torch.zeros(8, dtype=torch.int64), 4, seed=5)}
    for start in ("scratch", "xavier4"):
        recipe = recipes.get(f"stack_{start}_sigmoid_3_100")
        torch.manual_seed(5)
        recipe.fit(recipe, recipe.full, recipe.build(), loaders)
    (plain, *rest), (other, *same) = seen.values()
    assert plain.head.weight.equal(other.head.weight) and plain.head.bias.equal(other.head.bias)
    assert rest[0] == same[0] and rest[1].equal(same[1])
    ours, theirs = dae.layers_of(plain), dae.layers_of(other)
    assert not any(a.weight.equal(b.weight) for a, b in zip(ours, theirs, strict=True))


def test_first_weights_depend_on_their_seed():
    first, again, other = (MLP((20, 10), "sigmoid") for _ in range(3))
    for model, seed in ((first, 3), (again, 3), (other, 4)):
        dae.draw_first_weights(model, "xavier", seed)
    assert first.body[1].weight.equal(again.body[1].weight)
    assert not first.body[1].weight.equal(other.body[1].weight)


def test_names_say_which_noise():
    for kind in ("unet", "dense"):
        noises = {name: recipes.get(f"{kind}_{name}").loss_args for name in dae.NOISES}
        assert noises["0.3"] == {"sigma": 0.3} and noises["0.5"] == {"sigma": 0.5}
        assert noises["m25"] == {"masked": 0.25} and noises["m50"] == {"masked": 0.5}
    assert recipes.get("dense_none").loss_args == {}
    assert recipes.get("dae_no_noise").loss_args == {"sigma": 0.0}
    assert recipes.get("dae_source").loss_args == {"sigma": 0.01, "shared": True}
