"""All scores of a set of samples at once: each is the single metric's, on the same features."""

import pytest
import torch

from course_utils import metrics
from course_utils.runtime import CourseError


def images(n, seed):
    """Return n smooth grey images (n, 1, 4, 4): one of two patterns, brighter or darker."""
    g = torch.Generator().manual_seed(seed)
    pattern = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(99))
    kind = torch.randint(2, (n,), generator=g)
    light = 0.4 + 0.6 * torch.rand(n, 1, 1, 1, generator=g)
    return (pattern[kind] * light + 0.05 * torch.rand(n, 1, 4, 4, generator=g)).clamp(0, 1)


def noisy(x, seed=7):
    """Return the images under as much noise as picture."""
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    return (x + noise) / 2


def pooled(x):
    """Return the means (B, 4) of the rows of images: features enough for a test."""
    return x.mean((1, 3))


REAL, OTHER = images(150, 0), images(140, 1)


def test_each_score_is_that_of_the_single_metric():
    scores = metrics.sample_scores(pooled, REAL, OTHER, k=3)
    a, b = (metrics.features_of(pooled, x) for x in (REAL, OTHER))
    kernel = metrics.kernel_distance(a, b, subset_size=140, subsets=20)
    alone = metrics.precision_recall(a, b, k=3)
    assert list(scores) == ["FD", "KD", "precision", "recall", "density", "coverage"]
    assert scores["FD"] == metrics.frechet(pooled, REAL, OTHER)
    assert scores["KD"] == pytest.approx(kernel.mean, rel=1e-12)
    for name in ("precision", "recall", "density", "coverage"):
        assert scores[name] == getattr(alone, name)
    assert all(isinstance(value, float) for value in scores.values())


def test_large_sets_are_compared_a_thousand_at_a_time():
    """As the kernel distance is quoted; smaller sets are compared whole."""
    real, fake = images(1010, 2), noisy(images(1005, 3))
    a, b = (metrics.features_of(pooled, x) for x in (real, fake))
    expected = metrics.kernel_distance(a, b, subset_size=1000, subsets=20).mean
    assert metrics.sample_scores(pooled, real, fake)["KD"] == pytest.approx(expected)


def test_the_number_of_neighbours_is_five_unless_given():
    plain, given = (metrics.sample_scores(pooled, REAL, OTHER, **k) for k in ({}, {"k": 5}))
    assert plain == given != metrics.sample_scores(pooled, REAL, OTHER, k=1)


def test_the_floor_beats_noise_in_every_score():
    floor = metrics.sample_scores(pooled, REAL, OTHER)
    control = metrics.sample_scores(pooled, REAL, noisy(OTHER))
    for name in ("FD", "KD"):
        assert floor[name] < 0.1 * control[name], name
    for name in ("precision", "density", "coverage"):
        assert floor[name] > control[name] + 0.2, name
    assert floor["recall"] > control["recall"]  # by less: what is scattered has large balls


def test_one_image_again_and_again_is_faithful_and_not_varied():
    """So what is real and what is generated are not exchanged."""
    same = REAL[:1] + 0.002 * torch.rand(140, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    scores = metrics.sample_scores(pooled, REAL, same.clamp(0, 1))
    assert scores["precision"] > 0.9 and scores["density"] > 1
    assert scores["recall"] < 0.1 and scores["coverage"] < 0.2


def test_bytes_and_floats_score_alike():
    x, y = (REAL * 255).round().byte(), (OTHER * 255).round().byte()
    assert metrics.sample_scores(pooled, x, y) == metrics.sample_scores(pooled, x / 255, y / 255)


class Moody(torch.nn.Module):
    """Features that depend on the mode of the network."""

    def __init__(self):
        super().__init__()
        self.drop = torch.nn.Dropout(0.5)

    def features(self, x):
        return self.drop(pooled(x))


def test_features_are_taken_in_eval_mode():
    model = Moody().train()
    expected = metrics.sample_scores(pooled, REAL, OTHER)
    assert metrics.sample_scores(model.features, REAL, OTHER) == expected and model.training


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (REAL, OTHER * 2 - 1, {}, r"float images lie in \[0, 1\]"),
        (REAL, OTHER[:, 0], {}, r"images are \(N, C, H, W\)"),
        (REAL * torch.nan, OTHER, {}, "NaN or infinite"),
        (REAL[:4], OTHER, {}, "real_features has 4 samples of 4 numbers"),
        (REAL, OTHER[:0], {}, "images is empty"),
        (REAL, OTHER, {"k": 0}, "k is 0"),
        (REAL, OTHER, {"k": 140}, "k is 140; it can be at most 139"),
    ],
)
def test_bad_input_is_refused(real, fake, options, message):
    with pytest.raises(CourseError, match=message):
        metrics.sample_scores(pooled, real, fake, **options)
