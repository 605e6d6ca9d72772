"""Slant: against covariances of NumPy and shears of SciPy; and the digits labelled by it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from course_utils.data import Split, mnist, mnist_like
from course_utils.data.derived import by_slant, slant
from course_utils.data.derived import few as few_of
from course_utils.runtime import CourseError


def by_covariance(image) -> float:
    """Return the slant of an image (H, W) from NumPy's covariance of its pixels' places."""
    rows, columns = np.indices(image.shape)
    places = np.stack([rows.ravel(), columns.ravel()])
    cov = np.cov(places, aweights=image.ravel())
    return -cov[0, 1] / cov[0, 0]


def blob(shear: float) -> torch.Tensor:
    """Return an upright Gaussian blob (1, 1, 61, 81), its rows moved by `shear` per row up."""
    up = 30 - torch.arange(61.0)[:, None]
    right = torch.arange(81.0) - 40
    return torch.exp(-((right - shear * up) ** 2) / 18 - up**2 / 50)[None, None]


def sheared(x: torch.Tensor, shear: float) -> torch.Tensor:
    """Return images (N, 1, 28, 28) with room at the sides, leant to the right by SciPy."""
    wide = np.pad(x.numpy() / 255, ((0, 0), (0, 0), (0, 0), (20, 20)))
    matrix = np.array([[1, 0], [shear, 1]])  # from where to take each pixel: (row, column)
    leant = [ndimage.affine_transform(i, matrix, (0, -14 * shear), order=1) for i in wide[:, 0]]
    return torch.tensor(np.stack(leant))[:, None]


# ------------------------------------------------------------------------------------------- slant


@pytest.mark.parametrize("shear", [-1.0, -0.3, 0.0, 0.5, 1.0])
def test_a_blob_leans_as_it_was_made(shear):
    assert slant(blob(shear)).item() == pytest.approx(shear, abs=1e-4)


def test_slant_is_a_ratio_of_numpys_covariances(few):
    expected = [by_covariance(image) for image in few.x[:50, 0].numpy()]
    np.testing.assert_allclose(slant(few.x[:50]).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shear", [-0.4, 0.25, 0.7])
def test_a_shear_adds_itself(shear, few):
    """A row moved by a part of a pixel keeps its ink and its centre: so exactly itself."""
    before, after = slant(sheared(few.x[:30], 0.0)), slant(sheared(few.x[:30], shear))
    torch.testing.assert_close(after, before + shear, atol=1e-4, rtol=0)


def test_a_stroke_from_bottom_left_to_top_right_leans_right():
    stroke = torch.eye(9).flip(0)[None, None]  # one pixel right for each pixel up
    assert slant(stroke).item() == pytest.approx(1)
    assert slant(stroke.flip(3)).item() == pytest.approx(-1)


def test_mirrored_turned_moved_and_dimmed(few):
    x = few.x[:40]
    found = slant(x)
    torch.testing.assert_close(slant(x.flip(3)), -found)
    torch.testing.assert_close(slant(x.flip(2, 3)), found)
    torch.testing.assert_close(slant(torch.nn.functional.pad(x, (5, 0, 0, 9))), found)
    torch.testing.assert_close(slant(x / 255 * 0.3), found)


def test_bytes_and_floats_agree_image_by_image(few):
    x = few.x[:40]
    assert torch.equal(slant(x), slant(x.float() / 255))
    torch.testing.assert_close(slant(x), torch.cat([slant(x[i : i + 1]) for i in range(40)]))
    assert slant(x).shape == (40,) and slant(x).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_what_has_no_height_counts_as_upright(dtype):
    x = torch.zeros(4, 1, 28, 28, dtype=dtype)  # the first stays blank
    x[1, 0, 9, 3] = 1  # one pixel
    x[2, 0, 20] = 1  # one row
    x[3, 0, 5:25, 7] = 1  # one column, which is upright indeed
    assert slant(x).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.rand(5, 28, 28), r"shape \(5, 28, 28\).*x\[:, None\]"),
        (torch.rand(5, 784), r"shape \(5, 784\); slant is measured on images \(N, 1, H, W\)"),
        (torch.rand(5, 3, 8, 8), r"choose one of several by x\[:, :1\]"),
        (torch.ones(2, 1, 8, 8, dtype=torch.int64), r"torch.int64; images are uint8.*x\.byte\(\)"),
        (torch.ones(2, 1, 8, 8) > 0, "torch.bool"),
        (torch.rand(2, 1, 8, 8) - 2, r"128 of 128 pixels that are negative.*\(x \+ 1\) / 2"),
        (torch.full((1, 1, 2, 2), torch.nan), "4 of 4 pixels that are negative, NaN"),
        (torch.full((1, 1, 2, 2), torch.inf), "4 of 4 pixels that are negative, NaN"),
    ],
)
def test_bad_images_are_refused(x, message):
    with pytest.raises(CourseError, match=message):
        slant(x)


# ------------------------------------------------------------------------------ labelled by slant


@pytest.fixture(scope="module")
def leaning():
    """Return the digits of the quick profile, labelled by slant."""
    return by_slant(profile="quick")


def test_the_quarters_of_the_training_images_are_equal(leaning):
    sizes = torch.bincount(leaning.train.y)
    assert len(sizes) == 4 and (sizes - len(leaning.train) / 4).abs().max() <= 2  # for ties


def test_a_larger_label_leans_more_in_every_split(leaning):
    for split in (leaning.train, leaning.val, leaning.test):
        found = slant(split.x)
        groups = [found[split.y == label] for label in range(4)]
        for less, more in itertools.pairwise(groups):
            assert less.max() <= more.min()


def test_only_labels_and_their_names_are_others(leaning, digits):
    for name in ("train", "val", "test"):
        split = getattr(leaning, name)
        assert torch.equal(split.x, getattr(digits, name).x)
        assert split.y.shape == (len(split),) and split.y.dtype == torch.int64
    assert (leaning.name, leaning.source) == (digits.name, digits.source)
    assert len(set(leaning.classes)) == 4


def test_a_run_on_it_is_told_from_a_run_on_the_digits(leaning, digits):
    assert leaning.sha256 != digits.sha256 and len(leaning.sha256) == 64
    assert leaning.sha256 == by_slant(profile="quick").sha256


def test_the_limits_are_numpys_quantiles_of_the_training_images(leaning, digits):
    limits = np.quantile(slant(digits.train.x).double().numpy(), [0.25, 0.5, 0.75])
    for name in ("val", "test"):
        found = slant(getattr(digits, name).x).numpy()
        expected = (found[:, None] > limits).sum(1)
        assert (getattr(leaning, name).y.numpy() == expected).mean() > 0.999  # but for rounding


def test_val_and_test_play_no_part_in_the_limits(digits, monkeypatch):
    """Where all of them lean far, they are all most slanted, and the training labels stay."""
    far = Split(blob(1.5).expand(40, 1, 61, 81), torch.zeros(40, dtype=torch.int64))
    before = by_slant(profile="quick")
    other = replace(digits, val=far, test=far)
    monkeypatch.setattr(mnist_like, "mnist", lambda source=None, profile=None: other)
    after = by_slant()
    assert torch.equal(after.train.y, before.train.y)
    assert set(after.val.y.tolist()) == set(after.test.y.tolist()) == {3}


# -------------------------------------------------------------------------------------------- few


def test_few_is_the_quick_data_cut_short(digits):
    short = few_of(1000)(profile="quick")
    for split, n in (("train", 1000), ("val", 250), ("test", 250)):
        assert torch.equal(getattr(short, split).x, getattr(digits, split).x[:n])
        assert torch.equal(getattr(short, split).y, getattr(digits, split).y[:n])
    assert (short.name, short.classes) == (digits.name, digits.classes)


def test_few_of_another_number_is_another_data_set(digits):
    """Or a run on a thousand images would be taken for one on two thousand."""
    hashes = {few_of(n)(profile="quick").sha256 for n in (1000, 2000)}
    assert len(hashes | {digits.sha256}) == 3


def test_few_is_everything_in_full(digits, monkeypatch):
    monkeypatch.setattr(mnist_like, "mnist", lambda profile=None: digits)
    assert few_of(1000)(profile="full") is digits


def test_quick_runs_see_few_images_labelled_by_slant():
    short = few_of(400, by_slant)(profile="quick")
    whole = by_slant(profile="quick")
    assert len(short.train) == 400 and torch.equal(short.train.y, whole.train.y[:400])
    assert short.sha256 != few_of(400)(profile="quick").sha256
    assert len(mnist(profile="quick").classes) == 10 and len(short.classes) == 4
