"""The score behind the check of arrows, against the course's own formula."""

import torch

from course_utils.check.pointing import slope_of_log_density
from course_utils.data import plane


def test_it_is_the_score_of_the_eight_spots():
    """Eight points with noise as wide as a spot are the spots."""
    x, _ = plane.grid(9, 3.0)
    x, middles = x.double(), plane.centres().double()
    got = slope_of_log_density(x, middles, plane.SPOT_WIDTH)
    torch.testing.assert_close(got, plane.spots_score(x), atol=1e-3, rtol=1e-4)


def test_it_is_the_slope_by_small_steps():
    points = torch.tensor([[0.0, 0.0], [1.0, 2.0], [-1.0, 0.5]]).double()
    x, sigma, step = torch.tensor([[0.3, 0.7]]).double(), 0.9, 1e-5

    def log_density(x):
        squares = (x[:, None] - points).square().sum(2)
        return (-squares / (2 * sigma**2)).exp().mean(1).log()

    slopes = []
    for along in step * torch.eye(2).double():
        slopes.append((log_density(x + along) - log_density(x - along)) / (2 * step))
    got = slope_of_log_density(x, points, sigma)
    torch.testing.assert_close(got, torch.stack(slopes, 1), atol=1e-6, rtol=1e-6)
