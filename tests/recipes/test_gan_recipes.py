"""The recipe that trains on: from which weights, seen through what, with which options."""

from types import SimpleNamespace

import pytest
import torch

from course_utils import recipes, runs, train
from course_utils.models.gan import FaceGAN
from course_utils.recipes import gan


@pytest.fixture
def told(monkeypatch):
    """Carry out `gan_faces_on` without training; return what its parts were told."""
    recipe = recipes.get("gan_faces_on")
    torch.manual_seed(1)
    begun = FaceGAN(**recipe.model_args)
    heard = {"begun": begun}

    def run(name, seed, profile, **_):
        heard["asked"] = name, seed, profile
        return SimpleNamespace(model=begun)

    def fit_gan(generator, discriminator, average, *loaders, **options):
        heard["options"] = options
        return []

    monkeypatch.setattr(runs, "run", run)
    monkeypatch.setattr(train, "fit_gan", fit_gan)
    heard["model"] = recipe.build()
    info = {"seed": 3, "profile": "quick"}
    loaders = {"train": [], "val": []}
    gan.fit_on(recipe, recipe.settings("full"), heard["model"], loaders, run=info)
    return heard


def test_it_begins_with_the_weights_of_the_other_run(told):
    assert told["asked"] == ("gan_faces", 3, "quick")
    state = told["begun"].state_dict()
    assert all(state[k].equal(v) for k, v in told["model"].state_dict().items())


def test_it_hands_on_its_penalty_its_decay_and_a_nudge(told):
    options = told["options"]
    assert (options["r1"], options["decay"], options["epochs"]) == (0.05, 0.45, 14)
    assert not {"start", "nudge", "game", "d_lr"} & set(options)
    assert options["d_optimizer"].param_groups[0]["lr"] == 2 * 2e-4
    x = torch.ones(64, 3, 64, 64)
    bared = (options["augment"](x) == 0).all(1).sum((1, 2))  # rows and columns that came in
    assert 0 < bared.max() <= 2 * 2 * 64 - 4
