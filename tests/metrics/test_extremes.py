"""Features of any size and any rank: an answer is right, or refused in words; never NaN or zero."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from small_models import lively, small_conditional

from course_utils import metrics
from course_utils.errors import CourseError
from course_utils.models import Classifier

SCALES = (1e-30, 1e-12, 1e12, 1e30)


def two_sets(n=60, d=4):
    """Return two sets of features, the second one moved and stretched."""
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, n, d, generator=generator).double()
    return real, 1.3 * fake + 0.4


@pytest.mark.parametrize("scale", SCALES)
def test_frechet_distance_grows_with_the_square_of_the_features(scale):
    real, fake = two_sets()
    usual = metrics.frechet_distance(real, fake)
    found = metrics.frechet_distance(scale * real, scale * fake)
    assert found / scale**2 == pytest.approx(usual, rel=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_precision_and_recall_do_not_depend_on_the_unit(scale):
    real, fake = two_sets()
    found = metrics.precision_recall(scale * real, scale * fake)
    assert found == pytest.approx(metrics.precision_recall(real, fake))


@pytest.mark.parametrize(("scale", "power"), [(1e-30, 1), (1e-12, 1), (1e12, 3), (1e30, 3)])
def test_kernel_distance_at_its_ends_is_that_of_one_power(scale, power):
    """(u + 1)^3 - 1 is 3u for small features and u^3 for large ones."""
    real, fake = (t.numpy() for t in two_sets())
    n, d = real.shape
    factor = 3 if power == 1 else 1

    def kernel(a, b):
        return factor * (a @ b.T / d) ** power

    within = sum(k.sum() - np.trace(k) for k in (kernel(real, real), kernel(fake, fake)))
    expected = within / (n * (n - 1)) - 2 * kernel(real, fake).mean()
    found = metrics.kernel_distance(scale * real, scale * fake, subset_size=n, subsets=1)
    assert found.mean / scale ** (2 * power) == pytest.approx(expected, rel=1e-6)


def brute(real, fake, k):
    """Return precision and recall from SciPy's distances, which are measured by differences."""

    def radii(x):
        return np.sort(cdist(x, x), axis=1)[:, k]  # the nearest one is the point itself

    across = cdist(real, fake)
    return (across < radii(real)[:, None]).any(0).mean(), (across < radii(fake)).any(1).mean()


@pytest.mark.parametrize("offset", [0.0, 2.0**26])
def test_features_far_from_zero_are_told_apart(offset):
    """|a|^2 + |b|^2 - 2 a.b would be all rounding; the numbers are chosen to add up exactly."""
    real, fake = ((t * 1024).round() / 1024 for t in two_sets())
    found = metrics.precision_recall(real + offset, fake + offset, k=3)
    assert (found.precision, found.recall) == pytest.approx(brute(real, fake, 3))
    near = metrics.nearest_neighbours(real + offset, fake + offset)
    assert torch.equal(near.indices, metrics.nearest_neighbours(real, fake).indices)


def test_two_tight_clusters_far_apart():
    real, fake = two_sets()
    far = torch.where(torch.arange(60) % 2 == 0, 0.0, 1e6)[:, None]
    real, fake = 2**-12 * (real * 64).round() + far, 2**-12 * (fake * 64).round() + far
    found = metrics.precision_recall(real, fake, k=3)
    assert (found.precision, found.recall) == pytest.approx(brute(real, fake, 3))


def test_a_set_that_repeats_one_point():
    """Collapse: every radius is exactly 0, and no ball holds anything."""
    real, _ = two_sets()
    collapsed = real[:1].expand(60, -1) + 1e3
    found = metrics.precision_recall(real + 1e3, collapsed, k=5)
    assert found.recall == 0 and found.precision in (0.0, 1.0)
    assert math.isfinite(metrics.frechet_distance(real, collapsed))


@pytest.mark.parametrize("spoil", ["constant column", "repeated column", "sum of columns"])
def test_frechet_distance_of_singular_covariances(spoil):
    """As that of the columns that vary, in an orthonormal basis of them."""
    real, fake = two_sets(d=3)
    a, b = (x.clone() for x in (real, fake))
    if spoil == "constant column":
        a[:, 2] = b[:, 2] = 7.0
        basis = torch.eye(3, dtype=torch.float64)[:, :2]
    elif spoil == "repeated column":
        a[:, 2], b[:, 2] = a[:, 1], b[:, 1]
        basis = torch.tensor([[1, 0, 0], [0, 0.5**0.5, 0.5**0.5]], dtype=torch.float64).T
    else:
        a[:, 2], b[:, 2] = a[:, 0] + a[:, 1], b[:, 0] + b[:, 1]
        plane = torch.tensor([[1, 0, 1], [0, 1, 1]], dtype=torch.float64).T
        basis = torch.linalg.qr(plane).Q
    expected = metrics.frechet_distance(a @ basis, b @ basis)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-5, abs=1e-7)


METRICS = {
    "frechet_distance": metrics.frechet_distance,
    "kernel_distance": lambda a, b: metrics.kernel_distance(a, b, subset_size=20),
    "precision_recall": metrics.precision_recall,
    "nearest_neighbours": metrics.nearest_neighbours,
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_features_whose_powers_are_no_numbers_are_refused(metric, scale):
    real, fake = two_sets()
    with pytest.raises(CourseError, match="multiply all features by one factor"):
        METRICS[metric](scale * real, fake)


@pytest.mark.parametrize("metric", ["frechet_distance", "kernel_distance", "precision_recall"])
def test_one_sample_is_no_distribution(metric):
    real, fake = two_sets()
    with pytest.raises(CourseError):
        METRICS[metric](real, fake[:1])


def test_images_that_a_referee_cannot_take_are_refused_in_words():
    referee = Classifier().eval()
    with pytest.raises(CourseError, match=r"\(4, 1, 8, 8\); this model takes \(B, 1, 28, 28\)"):
        metrics.features_of(referee.features, torch.rand(4, 1, 8, 8))
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 5))
    with pytest.raises(CourseError, match=r"the network cannot take images of shape \(4, 3, 8, 8"):
        metrics.features_of(network, torch.rand(4, 3, 8, 8))
    with pytest.raises(CourseError, match="the network cannot take images"):
        metrics.read(network, torch.rand(4, 3, 8, 8))


def test_a_network_that_ran_out_of_memory_is_not_blamed_on_the_images():
    def full(x):
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        metrics.features_of(full, torch.rand(4, 1, 8, 8))


def test_conditional_models_are_told_labels_when_their_likelihood_is_bounded():
    """Labels that matter, in the order of the images, also beyond the first batch of a hundred."""
    model = lively(small_conditional())
    x = torch.rand(130, 1, 4, 4, generator=torch.Generator().manual_seed(1)).round()
    y = torch.arange(130) % 4
    bound = metrics.log_likelihood(model, x, 3, y=y)
    weights = metrics.log_weights(model, x, 3, y=y)
    torch.testing.assert_close(bound, weights.logsumexp(1) - math.log(3))
    other = metrics.log_likelihood(model, x, 3, y=torch.where(torch.arange(130) == 120, 1 - y, y))
    assert (other != bound).nonzero().flatten().tolist() == [120]
    with pytest.raises(CourseError, match="has to be told labels"):
        metrics.log_likelihood(model, x, 3)
