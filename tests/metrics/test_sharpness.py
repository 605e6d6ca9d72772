"""Sharpness: a spatial frequency, whatever brightness and contrast."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from course_utils import metrics
from course_utils.runtime import CourseError


def textured(n=8, seed=0):
    """Images with edges, from coarse to fine."""
    small = torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(small, size=(24, 24), mode="nearest").round()


def diffuse(x, steps):
    """Heat flow on the pixel grid with closed borders."""
    for _ in range(steps):
        p = F.pad(x, (1, 1, 1, 1), mode="replicate")
        neighbours_sum = p[..., :-2, 1:-1] + p[..., 2:, 1:-1] + p[..., 1:-1, :-2] + p[..., 1:-1, 2:]
        x = x + 0.1 * (neighbours_sum - 4 * x)
    return x.clamp(0, 1)


def test_blurring_lowers_sharpness_step_by_step():
    values = [metrics.sharpness(diffuse(textured(), steps)) for steps in range(12)]
    assert all(later < earlier for earlier, later in itertools.pairwise(values))
    from torchvision.transforms.functional import gaussian_blur

    values = [metrics.sharpness(gaussian_blur(textured(), 15, s)) for s in (0.3, 0.6, 1, 1.5, 2.5)]
    assert values == sorted(values, reverse=True)


def test_sharpness_ignores_brightness_and_contrast():
    x = textured()
    assert metrics.sharpness(0.3 + 0.2 * x) == pytest.approx(metrics.sharpness(x), rel=1e-5)
    assert metrics.sharpness((x * 255).to(torch.uint8)) == pytest.approx(metrics.sharpness(x))


def test_the_mean_level_of_each_channel_is_left_out():
    x = 0.4 * torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    tinted = x + torch.tensor([0.0, 0.3, 0.6])[:, None, None]
    assert metrics.sharpness(tinted) == pytest.approx(metrics.sharpness(x), rel=1e-5)


def test_sharpness_is_the_mean_squared_spatial_frequency():
    """By the cosine transform, in which the squared frequency of index k is 2 - 2 cos(pi k / N)."""
    from scipy.fft import dctn

    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    power = dctn(x.numpy(), axes=(2, 3), norm="ortho") ** 2
    power[..., 0, 0] = 0  # the mean
    squares = 2 - 2 * np.cos(np.pi * np.arange(4) / 4)
    frequency = squares[:, None] + squares[None, :]
    expected = ((power * frequency).sum((1, 2, 3)) / power.sum((1, 2, 3))).mean()
    assert metrics.sharpness(x) == pytest.approx(expected, rel=1e-6)


def test_sharpness_at_its_ends():
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    chessboard = ((rows + columns) % 2).float().view(1, 1, 64, 64)
    assert metrics.sharpness(chessboard) == pytest.approx(8, rel=0.02)  # but for the border
    assert metrics.sharpness(torch.full((2, 1, 8, 8), 0.4)) == 0
    half = torch.cat([chessboard, torch.zeros_like(chessboard)])
    assert metrics.sharpness(half) == pytest.approx(metrics.sharpness(chessboard) / 2)


def test_sharpness_refuses():
    with pytest.raises(CourseError, match="an edge needs two pixels"):
        metrics.sharpness(torch.rand(2, 1, 1, 8))
    with pytest.raises(CourseError, match="float images lie in"):
        metrics.sharpness(3 * torch.ones(1, 1, 4, 4))
    with pytest.raises(CourseError, match="NaN"):
        metrics.sharpness(torch.full((1, 1, 4, 4), float("nan")))
