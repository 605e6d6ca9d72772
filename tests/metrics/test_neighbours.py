"""Precision and recall, nearest neighbours, memorisation: against brute force."""

import numpy as np
import pytest
import torch
from sklearn.metrics import pairwise_distances

from course_utils import metrics
from course_utils.metrics import neighbours
from course_utils.runtime import CourseError


def normal(n, d, seed, scale=1.0, shift=0.0):
    return scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


def brute_prdc(real, fake, k):
    """The definitions of the papers, a pair of points at a time; a radius counts no self."""
    distance = pairwise_distances(np.concatenate([real, fake]))
    n = len(real)

    def radius(i, members):
        return sorted(distance[i, j] for j in members if j != i)[k - 1]

    reals, fakes = range(n), range(n, n + len(fake))
    real_radius = {i: radius(i, reals) for i in reals}
    fake_radius = {j: radius(j, fakes) for j in fakes}
    inside = {(i, j): distance[i, j] < real_radius[i] for i in reals for j in fakes}
    precision = np.mean([any(inside[i, j] for i in reals) for j in fakes])
    recall = np.mean([any(distance[i, j] < fake_radius[j] for j in fakes) for i in reals])
    density = sum(inside.values()) / (k * len(fake))
    coverage = np.mean([any(inside[i, j] for j in fakes) for i in reals])
    return precision, recall, density, coverage


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_recall_matches_brute_force(k, monkeypatch):
    monkeypatch.setattr(neighbours, "ROWS", 17)  # so that slices meet in the middle
    real, fake = normal(90, 3, seed=0), normal(70, 3, seed=1, scale=0.7, shift=0.4)
    expected = brute_prdc(real.double().numpy(), fake.double().numpy(), k)
    assert metrics.precision_recall(real, fake, k) == pytest.approx(expected, rel=1e-6)


def test_precision_recall_of_one_distribution_meets_its_expectation():
    """Exact for any distribution: density 1, coverage 1 - 2^-k (Naeem et al. 2020, 3.2)."""
    scores = metrics.precision_recall(normal(2000, 16, 0), normal(2000, 16, 1), k=5)
    assert scores.density == pytest.approx(1, abs=0.06)
    assert scores.coverage == pytest.approx(1 - 2**-5, abs=0.015)
    assert scores.precision == pytest.approx(scores.recall, abs=0.04)


def test_precision_recall_of_high_dimension_is_far_from_one():
    """The sanity figures of the reference code (10,000 x 1,000: P .48, R .47), made smaller."""
    scores = metrics.precision_recall(normal(1500, 400, 0), normal(1500, 400, 1))
    assert 0.38 < scores.precision < 0.62
    assert 0.38 < scores.recall < 0.62
    assert scores.density == pytest.approx(1, abs=0.25)  # a few hubs weigh much
    assert scores.coverage == pytest.approx(0.97, abs=0.02)


def test_precision_recall_tells_collapse_from_nonsense():
    real = normal(500, 4, 0)
    collapsed = metrics.precision_recall(real, normal(500, 4, 1, scale=0.05))
    assert collapsed.precision > 0.99 and collapsed.density > 1
    assert collapsed.recall < 0.02 and collapsed.coverage < 0.2
    nonsense = metrics.precision_recall(real, normal(500, 4, 1, shift=50))
    assert nonsense == (0, 0, 0, 0)


def test_precision_recall_of_ten_thousand_needs_little_memory():
    """The full matrix of 10,000 x 10,000 float64 would be 800 MB; a slice is 40."""
    rows, squared = next(neighbours.distance_rows(torch.zeros(10_000, 1), torch.zeros(10_000, 1)))
    assert squared.shape == (neighbours.ROWS, 10_000)
    assert neighbours.ROWS * 10_000 * 8 <= 40e6
    assert rows == slice(0, neighbours.ROWS)


# -------------------------------------------------------------------------- nearest neighbours


def test_nearest_neighbours_match_brute_force(monkeypatch):
    monkeypatch.setattr(neighbours, "ROWS", 13)
    queries, bank = normal(40, 5, 0), normal(60, 5, 1)
    found = metrics.nearest_neighbours(queries, bank, k=4)
    matrix = pairwise_distances(queries.double().numpy(), bank.double().numpy())
    assert np.array_equal(found.indices, matrix.argsort(1)[:, :4])
    assert np.allclose(found.distances, np.sort(matrix, 1)[:, :4], rtol=1e-9)


def test_nearest_neighbours_of_images_count_pixels_in_zero_to_one():
    bank = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    bank[1] = 255
    bank[2, 0, 0, 0] = 51
    found = metrics.nearest_neighbours(torch.ones(1, 1, 2, 2), bank, k=3)
    assert found.indices.tolist() == [[1, 2, 0]]
    assert found.distances[0].tolist() == pytest.approx([0, (3 + 0.64) ** 0.5, 2], abs=1e-6)


def test_flattened_bytes_are_pixels_too():
    pixels = torch.tensor([[0, 255], [51, 0]], dtype=torch.uint8)
    found = metrics.nearest_neighbours(pixels[:1], pixels[1:])
    assert float(found.distances) == pytest.approx((0.2**2 + 1) ** 0.5)


def test_a_copy_lies_at_exactly_zero():
    bank = 1e3 + normal(50, 8, 0)
    found = metrics.nearest_neighbours(bank[[7, 30]], bank, k=2)
    assert found.indices[:, 0].tolist() == [7, 30]
    assert found.distances[:, 0].tolist() == [0, 0]
    assert (found.distances[:, 1] > 0).all()


# ------------------------------------------------------------------------------- memorisation


def drawn_images(n, seed):
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def test_memorisation_tells_copies_from_new_images():
    train, test = drawn_images(200, 0), drawn_images(80, 1)
    fresh = metrics.memorisation(drawn_images(90, 2), train, test)
    assert fresh.ratio == pytest.approx(1, abs=0.05)
    copies = train[50:90] + 0.001 * drawn_images(40, 3)
    copied = metrics.memorisation(copies.clamp(0, 1), train, test)
    assert copied.ratio < 0.01
    assert copied.indices.tolist() == list(range(50, 90))
    assert copied.fake_distances.shape == (40,)
    assert copied.test_distances.shape == (80,)
    expected = copied.fake_distances.mean() / copied.test_distances.mean()
    assert copied.ratio == pytest.approx(float(expected))


def test_memorisation_measures_the_held_out_images_against_train():
    train, test, fake = (drawn_images(n, n).flatten(1) for n in (50, 20, 30))
    scores = metrics.memorisation(fake, train, test)
    nearest_test = pairwise_distances(test.double(), train.double()).min(1)
    nearest_fake = pairwise_distances(fake.double(), train.double()).min(1)
    assert np.allclose(scores.test_distances, nearest_test)
    assert scores.ratio == pytest.approx(nearest_fake.mean() / nearest_test.mean())


# ---------------------------------------------------------------------------------- bad input


def test_neighbour_metrics_refuse():
    x = normal(8, 3, 0)
    with pytest.raises(CourseError, match="k is 8; it can be at most 7"):
        metrics.precision_recall(x, x, k=8)
    with pytest.raises(CourseError, match=r"k is 2\.5"):
        metrics.precision_recall(x, x, k=2.5)
    with pytest.raises(CourseError, match="3 and 2 numbers per row"):
        metrics.precision_recall(x, x[:, :2])
    with pytest.raises(CourseError, match="k is 9; it can be at most 8"):
        metrics.nearest_neighbours(x, x, k=9)
    with pytest.raises(CourseError, match="16 and 3 numbers per row"):
        metrics.nearest_neighbours(drawn_images(2, 0), x)
    with pytest.raises(CourseError, match="queries holds 24 of 24 numbers that are NaN"):
        metrics.nearest_neighbours(x * float("nan"), x)
    with pytest.raises(CourseError, match="nothing is held out"):
        metrics.memorisation(x + 1, x, x[:4])
    with pytest.raises(CourseError, match="train is empty"):
        metrics.memorisation(x, x[:0], x)
