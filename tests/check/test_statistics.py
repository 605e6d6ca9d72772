"""The error rates of the checks that look at random numbers are those that they state."""

import math

import pytest
import torch

from course_utils import check
from course_utils.check import statistics as stats


def share_of(test, draw, times=1_000):
    """Return how often a test fires on fresh draws."""
    torch.manual_seed(0)
    return sum(test(draw()) for _ in range(times)) / times


@pytest.mark.parametrize("test", [
    lambda x: stats.mean_is_off(x, 0.0, 1.0),
    lambda x: stats.std_is_off(x, 1.0),
    lambda x: stats.is_not_normal(x),
    lambda x: stats.are_correlated(x[:-1], x[1:]),
])  # fmt: skip
def test_right_samples_pass(test):
    assert share_of(test, lambda: torch.randn(5_000)) == 0


@pytest.mark.parametrize(("test", "draw"), [
    (lambda x: stats.std_is_off(x, 1.0), lambda: 1.05 * torch.randn(200_000)),
    (lambda x: stats.mean_is_off(x, 0.0, 1.0), lambda: torch.randn(200_000) + 0.05),
    (lambda x: stats.is_not_normal(x), lambda: torch.rand(5_000)),
    (lambda x: stats.share_is_off(int(x.sum()), len(x), 0.25), lambda: torch.rand(200_000) < 0.26),
])  # fmt: skip
def test_faults_of_a_twentieth_are_seen(test, draw):
    assert share_of(test, draw, 20) == 1


def test_the_threshold_is_that_of_one_in_a_million():
    normal = torch.distributions.Normal(0.0, 1.0)
    outside = 2 * (1 - normal.cdf(torch.tensor(stats.SIGMAS, dtype=torch.float64)).item())
    assert 0.8e-6 < outside < 1.2e-6


@pytest.mark.parametrize("name", ["reparameterise", "add_gaussian_noise", "mask_pixels", "dropout"])
def test_right_answers_pass_whatever_they_draw(name):
    """With other random numbers than the check's own seeds give."""
    found = check.CHECKS[name]
    for seed in range(10):

        def lucky(*inputs, seed=seed):
            torch.manual_seed(int(torch.randint(1 << 30, ())) + seed)
            return found.reference(*inputs)

        lucky.__signature__ = __import__("inspect").signature(found.reference)
        assert found.judge(lucky).passed, (name, seed)


@pytest.mark.parametrize(("name", "near"), [
    ("reparameterise", lambda m, v: m + 1.05 * torch.exp(v / 2) * torch.randn_like(m)),
    ("add_gaussian_noise", lambda x, s: x + 1.05 * s * torch.randn_like(x)),
    ("mask_pixels", lambda x, s: x * (torch.rand_like(x) >= 0.95 * s)),
])  # fmt: skip
def test_near_misses_are_refused(name, near):
    assert check.CHECKS[name].judge(near).passed is False


def test_a_share_of_half_an_event_is_no_fault():
    assert not stats.share_is_off(0, 10, 0.0) and not stats.share_is_off(10, 10, 1.0)
    assert stats.share_is_off(9, 10, 1.0)
    assert math.isclose(stats.SIGMAS, 4.9)
