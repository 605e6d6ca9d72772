"""Points in the plane: their densities integrate to one and fit what is drawn."""

import math

import pytest
import torch

from course_utils import provenance
from course_utils.data import plane

KINDS = [(plane.ring_points, plane.ring_density), (plane.spots_points, plane.spots_density)]


@pytest.mark.parametrize("density", [plane.ring_density, plane.spots_density])
def test_a_density_integrates_to_one(density):
    x, area = plane.grid(301)
    assert float(density(x).sum() * area) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(("draw", "density"), KINDS)
def test_what_is_drawn_has_the_density(draw, density):
    points, _ = draw(200_000, torch.Generator().manual_seed(0))
    side, reach = 20, 3.0
    counts = torch.histogramdd(points.flip(1), [side, side], range=[-reach, reach] * 2).hist
    cells, area = plane.grid(side * 10, reach)
    share = (density(cells) * area).view(side, 10, side, 10).sum((1, 3))
    assert (counts / len(points) - share).abs().max() < 0.003


def test_spots_are_counted():
    assert plane.spots_hit(plane.centres()) == plane.SPOTS
    assert plane.spots_hit(plane.centres()[:3]) == 3
    assert plane.spots_hit(torch.zeros(50, 2)) == 0
    rare = torch.cat([plane.centres()[:1].expand(999, 2), plane.centres()[1:2]])
    assert plane.spots_hit(rare) == 1


def test_the_data_set_is_fixed_and_named():
    a, b = plane.spots(profile="quick"), plane.spots(profile="quick")
    assert a.train.x.equal(b.train.x) and a.train.x.shape == (8192, 2)
    assert provenance.data_in_use() == "points"
    assert plane.ring(profile="quick").sha256 != a.sha256
    radius = plane.ring(profile="quick").train.x.norm(dim=1)
    assert float(radius.mean()) == pytest.approx(2, abs=0.02)
    assert math.isclose(float(radius.std()), plane.RING_WIDTH, rel_tol=0.05)


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_the_score_is_the_slope_of_the_noisy_density(sigma):
    """By automatic differentiation of the density, wider by the noise."""
    width = math.hypot(plane.SPOT_WIDTH, sigma)
    x = (2 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))).double()
    x.requires_grad_()
    squares = (x[:, None] - plane.centres().double()).square().sum(2)
    density = (-squares / (2 * width**2)).exp().sum(1)
    known = density > 1e-200
    slope = torch.autograd.grad(density[known].log().sum(), x)[0]
    torch.testing.assert_close(
        plane.spots_score(x.detach(), sigma)[known], slope[known], rtol=1e-4, atol=1e-3
    )
    assert known.sum() > 20
