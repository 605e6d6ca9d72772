"""Principal components: against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from course_utils import metrics
from course_utils.runtime import CourseError


def correlated_images(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(4, 20, generator=torch.Generator().manual_seed(7))
    x = torch.randn(n, 4, generator=g) @ mix + 0.3 * torch.randn(n, 20, generator=g)
    return x.sigmoid().view(n, 1, 4, 5)


@pytest.mark.parametrize("k", [1, 3, 20])
def test_pca_matches_scikit_learn(k):
    train, test = correlated_images(100), correlated_images(40, 1)
    components = metrics.pca(train)  # one fit for every k
    oracle = PCA(k, svd_solver="full").fit(train.flatten(1).double().numpy())
    flat = test.flatten(1).double().numpy()
    recon = oracle.inverse_transform(oracle.transform(flat))
    assert np.allclose(components.reconstruct(test, k).flatten(1), recon, atol=1e-6)
    expected = ((flat - recon) ** 2).sum(1).mean()
    assert components.squared_error(test, k) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert np.allclose(components.encode(test, k).abs(), abs(oracle.transform(flat)), atol=1e-9)
    assert np.allclose(components.variances[:k], oracle.explained_variance_)


def test_pca_of_bytes_counts_pixels_in_zero_to_one():
    x = (correlated_images(50) * 255).round().to(torch.uint8)
    from_bytes, from_floats = metrics.pca(x, 3), metrics.pca(x.float() / 255, 3)
    assert from_bytes.squared_error(x) == pytest.approx(from_floats.squared_error(x.float() / 255))
    assert from_bytes.reconstruct(x).shape == x.shape
    error = (from_bytes.reconstruct(x) - x.float() / 255).square().sum((1, 2, 3)).mean()
    assert from_bytes.squared_error(x) == pytest.approx(float(error), rel=1e-5)


def test_pca_error_falls_to_nothing():
    x = correlated_images(60)
    components = metrics.pca(x)
    errors = [components.squared_error(x, k) for k in range(1, 21)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(0, abs=1e-10)
    assert torch.equal(metrics.pca(x).directions, components.directions)


def test_pca_refuses():
    x = correlated_images(10)
    with pytest.raises(CourseError, match="k is 10; it can be at most 9"):
        metrics.pca(x, 10)
    with pytest.raises(CourseError, match="at least two"):
        metrics.pca(x[:1])
    with pytest.raises(CourseError, match="k is 4; it can be at most 3"):
        metrics.pca(x, 3).reconstruct(x, 4)
    with pytest.raises(CourseError, match="20 and 16 numbers per row"):
        metrics.pca(x, 3).encode(x[..., :4])
    with pytest.raises(CourseError, match="float images lie in"):
        metrics.pca(x * 255)
