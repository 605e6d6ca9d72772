"""The quick runs of chapters 04 and 05."""

import math

import pytest
import torch

from course_utils import claims, losses, recipes
from course_utils.models import VAE


@pytest.mark.parametrize(
    "name", ["vae", "conv_vae", "iwae_binary", "cvae_both", "cvae_mixture", "cvae_conv"]
)
def test_quick_runs_learn(name, runs):
    """A quick run is kept, loads again, and beats what an untrained network scores."""
    made = recipes.run(name, profile="quick", progress=False)
    assert made.metrics["test_loss"] < 0.6 * 784 * math.log(2)  # every pixel undecided
    assert all(math.isfinite(value) for value in made.metrics.values())
    assert made.metrics == recipes.run(name, profile="quick").metrics


def test_an_untrained_network_misses_the_bound_of_the_chapter(digits):
    """So the claim that is judged in every profile can fail."""
    claim = claims.load()["vae.learns"]
    x, y = digits.test.x[:200] / 255, digits.test.y[:200]
    average = (digits.train.x.float().mean(0) / 255).clamp(1e-6, 1 - 1e-6)
    ignorant = losses.bernoulli_nll(average.logit().expand_as(x), x)
    torch.manual_seed(0)
    untrained = losses.negative_elbo(VAE(), x, y)["loss"].detach()
    assert claim.judged == "always" and not claim.met(float(untrained / ignorant))
