"""Fréchet and kernel distances: against torchmetrics, SciPy and known Gaussians."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from course_utils import metrics
from course_utils.runtime import CourseError


def two_sets(n=400, d=6, seed=0):
    """Correlated features (n, d) and a shifted, stretched second set (n + 50, d)."""
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=g)
    real = torch.randn(n, d, generator=g) @ mix
    fake = 1.3 * torch.randn(n + 50, d, generator=g) @ mix.T + 0.5
    return real, fake


class Flatten(nn.Module):
    """Images (B, 1, 2, D/2) -> their pixels, as torchmetrics wants a feature network."""

    def __init__(self, num_features):
        super().__init__()
        self.num_features = num_features

    def forward(self, x):
        return x.flatten(1)


def test_frechet_distance_matches_torchmetrics():
    fid = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics is the oracle")
    real, fake = two_sets()
    oracle = fid.FrechetInceptionDistance(feature=Flatten(6), normalize=True).set_dtype(
        torch.float64
    )
    oracle.update(real.double(), real=True)
    oracle.update(fake.double(), real=False)
    assert metrics.frechet_distance(real, fake) == pytest.approx(float(oracle.compute()), rel=1e-9)


def test_frechet_distance_matches_the_matrix_square_root_of_scipy():
    real, fake = (x.double().numpy() for x in two_sets(seed=1))
    s1, s2 = np.cov(real.T), np.cov(fake.T)
    mean_term = ((real.mean(0) - fake.mean(0)) ** 2).sum()
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = mean_term + np.trace(s1 + s2 - 2 * root)
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def whitened(n, d, seed):
    """Samples (n, d) whose mean is exactly 0 and whose covariance is exactly the identity."""
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x - x.mean(0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov())).T


def test_frechet_distance_of_known_gaussians():
    """Diagonal covariances: the squared distance of means plus that of standard deviations."""
    sigma1, sigma2 = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.0, 0.5])
    shift = torch.tensor([0.0, 3.0, 4.0])
    real = whitened(50, 3, seed=0) * sigma1
    fake = whitened(80, 3, seed=1) * sigma2 + shift
    expected = 25 + 1 + 0 + 6.25
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_a_set_with_itself_is_zero_even_where_features_are_constant():
    real, _ = two_sets()
    real = torch.cat([real, torch.ones(len(real), 2)], 1)
    assert metrics.frechet_distance(real, real) == pytest.approx(0, abs=1e-6)
    one = real[:, :1]
    assert metrics.frechet_distance(one, one + 2) == pytest.approx(4, rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*save all extracted features in buffer")
def test_kernel_distance_matches_torchmetrics_subset_by_subset():
    kid = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics is the oracle")
    real, fake = (x.double() for x in two_sets())
    ours = metrics.kernel_distance(real, fake, subset_size=60, subsets=7, seed=3)
    oracle = kid.KernelInceptionDistance(Flatten(6), subsets=7, subset_size=60)
    oracle.update(real, real=True)
    oracle.update(fake, real=False)
    torch.manual_seed(3)  # it draws in the same order, from the global generator
    mean, std = oracle.compute()
    assert ours.mean == pytest.approx(float(mean), rel=1e-9)
    assert ours.std == pytest.approx(float(std), rel=1e-9)


def test_kernel_distance_is_unbiased():
    """Two sets of one distribution: around 0, while the biased estimate is far above it."""
    g = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 600, 8, generator=g)
    mean, std = metrics.kernel_distance(real, fake, subset_size=50, subsets=200)
    assert abs(mean) < 4 * std / 200**0.5 + 0.02
    assert std > 0


def test_kernel_distance_leaves_the_global_generator_alone():
    real, fake = two_sets()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = metrics.kernel_distance(real, fake, subset_size=50, subsets=2, seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert first == metrics.kernel_distance(real, fake, subset_size=50, subsets=2, seed=1)
    assert first != metrics.kernel_distance(real, fake, subset_size=50, subsets=2, seed=2)


# ------------------------------------------------------------------------------------ bad input

GOOD = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))


def spoiled(value):
    bad = GOOD.clone()
    bad[3, 1] = value
    return bad


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (spoiled(float("nan")), "fake_features holds 1 of 120 numbers that are NaN"),
        (spoiled(float("inf")), "NaN or infinite"),
        (GOOD[:0], "fake_features is empty"),
        (GOOD[0], r"shape \(4,\); features are \(N, D\)"),
        (GOOD[:, :3], "4 and 3 numbers per row"),
        (GOOD[:4], "fake_features has 4 samples of 4 numbers"),
        ("images.png", "fake_features cannot be read as a tensor"),
    ],
)
def test_frechet_distance_refuses(fake, message):
    with pytest.raises(CourseError, match=message):
        metrics.frechet_distance(GOOD, fake)


def test_kernel_distance_refuses():
    with pytest.raises(CourseError, match="subset_size is 1000; it can be at most 30"):
        metrics.kernel_distance(GOOD, GOOD)
    with pytest.raises(CourseError, match="subset_size is 1;"):
        metrics.kernel_distance(GOOD, GOOD, subset_size=1)
    with pytest.raises(CourseError, match="subsets is 0"):
        metrics.kernel_distance(GOOD, GOOD, subset_size=10, subsets=0)
