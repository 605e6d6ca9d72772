"""Conditional faces: how the kept generator is taught to listen."""

from dataclasses import replace

import pytest
import torch

from course_utils import recipes, runtime
from course_utils.data import Batches
from course_utils.models.told_gan import ToldFaceGAN, carrying
from course_utils.recipes import told_faces
from course_utils.recipes.face_gan import load_face_generator

RATES = torch.tensor([0.5, 0.25, 0.25, 0.0])


@pytest.fixture
def batches():
    """Return 8 images that carry their labels, as bytes, in batches of 4."""
    y = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    x = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x = (carrying(x, y, 4) + 1) * 127.5
    return Batches(x.round().to(torch.uint8), y, 4)


@pytest.fixture
def pair():
    """Return the two networks with a narrow discriminator."""
    torch.manual_seed(0)
    return ToldFaceGAN(d_width=4)


def test_it_begins_as_the_kept_generator_with_the_rates_of_the_labels(pair):
    told_faces.begin(pair, RATES)
    z = torch.randn(4, 128)
    kept = load_face_generator()(z)
    for net in (pair.generator, pair.average):
        assert net.eval().draw(z, torch.arange(4)).equal(kept) and net.rates.equal(RATES)


def test_the_judge_learns_alone_first(pair, batches):
    recipe = recipes.get("cface_gan")
    settings = replace(recipe.quick, precision="float32")
    told_faces.begin(pair, RATES)
    before = {k: v.clone() for k, v in pair.state_dict().items()}
    told_faces.teach_judge(recipe, settings, pair, batches)
    changed = {k.partition(".")[0] for k, v in pair.state_dict().items() if not v.equal(before[k])}
    assert changed == {"discriminator"}


def test_a_resumed_run_does_not_begin_anew(pair, batches, monkeypatch):
    calls = []
    for name in ("begin", "teach_judge"):
        monkeypatch.setattr(told_faces, name, lambda *args, name=name: calls.append((name, args)))
    monkeypatch.setattr(told_faces, "fit_pair", lambda *args, **loop: calls.append(("fit", loop)))
    recipe = recipes.get("cface_gan")
    loaders = {"train": batches}
    told_faces.fit_from_kept(recipe, recipe.quick, pair, loaders, resume=False)
    assert [name for name, _ in calls] == ["begin", "teach_judge", "fit"]
    assert calls[0][1][1].equal(RATES)
    calls.clear()
    told_faces.fit_from_kept(recipe, recipe.quick, pair, loaders, resume=True)
    assert [name for name, _ in calls] == ["fit"] and calls[0][1] == {"resume": True}


def test_one_epoch_changes_both_networks_and_scores_are_the_same_twice(pair, batches):
    recipe = recipes.get("cface_gan")
    runtime.seed_everything(0)
    loaders = {"train": batches, "val": None}
    (row,) = told_faces.fit_from_kept(
        recipe, replace(recipe.quick, precision="float32"), pair, loaders, progress=False
    )
    assert row["train_g_grad_norm"] > 0
    assert any(bias.weight.abs().max() > 0 for bias in pair.generator.biases)
    assert pair.discriminator.of_class.weight.abs().max() > 0
    scores = [recipe.score(recipe, pair, batches) for _ in range(2)]
    assert scores[0] == scores[1]
