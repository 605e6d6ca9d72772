"""What the chapter on scoring writes out by hand computes what the package computes."""

import by_hand
import pytest
import torch

from course_utils import metrics
from course_utils.data import plane
from course_utils.metrics.distances import unbiased_mmd

pytestmark = pytest.mark.notebook


def written(*names: str) -> dict:
    """Return what the chapter writes out, by name."""
    return by_hand.written("scoring_generators", *names)


@pytest.fixture
def clouds():
    """Return two clouds of 300 points in five dimensions that differ in all respects."""
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(300, 5, generator=generator)
    mix = torch.eye(5) + 0.4 * torch.ones(5, 5).triu(1)
    return real, 0.8 * torch.randn(300, 5, generator=generator) @ mix + 0.3


def test_frechet_distance(clouds):
    ours = written("frechet_distance")["frechet_distance"]
    assert ours(*clouds).item() == pytest.approx(metrics.frechet_distance(*clouds), rel=1e-9)
    assert abs(ours(clouds[0], clouds[0]).item()) < 1e-9


def test_the_frechet_distance_takes_ten_lines():
    found = by_hand.definitions("scoring_generators")["frechet_distance"]
    assert by_hand.length(found) <= 10


def test_kernel_distance(clouds):
    ours = written("kernel", "kernel_distance")["kernel_distance"]
    a, b = (x.double() for x in clouds)
    assert ours(a, b).item() == pytest.approx(unbiased_mmd(a, b).item(), rel=1e-9)
    kind = metrics.kernel_distance(a, b, subset_size=300, subsets=1)
    assert ours(a, b).item() == pytest.approx(kind.mean, rel=1e-9)


def test_four_scores(clouds):
    ours = written("radii", "inside", "four_scores")["four_scores"]
    theirs = metrics.precision_recall(*(x.double() for x in clouds))._asdict()
    found = ours(*(x.double() for x in clouds))
    assert set(found) == set(theirs)
    for name, value in theirs.items():
        assert found[name].item() == pytest.approx(value, rel=1e-5), name
    assert len(set(theirs.values())) == 4  # so no two of them can be confused


def test_memorisation(clouds):
    ours = written("memorisation")["memorisation"]
    fake, rest = clouds[1], clouds[0]
    theirs = metrics.memorisation(fake, rest[:200], rest[200:]).ratio
    assert ours(fake, rest[:200], rest[200:]).item() == pytest.approx(theirs, rel=1e-5)
    assert ours(rest[:50], rest[:200], rest[200:]).item() == pytest.approx(0, abs=1e-3)


def test_the_divergence_that_lied():
    """Half of the points are struck off uncounted; counted all, the divergence is a divergence."""
    names = written("shares", "kl_divergence", "squares")
    points, _ = plane.spots_points(1_000, torch.Generator().manual_seed(0))
    others, _ = plane.spots_points(1_000, torch.Generator().manual_seed(1))
    lied, told = names["shares"](points.tolist()), names["squares"](points)
    assert lied.sum().item() == pytest.approx(0.5, abs=1e-4)
    assert told.sum().item() == pytest.approx(1, abs=1e-4)
    assert names["kl_divergence"](told, told).item() == pytest.approx(0, abs=1e-6)
    assert names["kl_divergence"](lied, names["squares"](others)) < 0
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
    by_hand = 0.5 * torch.tensor([2.0, 2 / 3]).log().sum()
    assert names["kl_divergence"](p, q, least=0).item() == pytest.approx(by_hand.item())
