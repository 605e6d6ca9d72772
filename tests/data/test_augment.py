"""Augmentations: what each may change, that gradients pass, and that chance is the generator's."""

import pytest
import torch
import torch.nn.functional as F

from course_utils.data import augment


@pytest.fixture
def x():
    return torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", augment.CHANGES)
def test_gradients_pass_and_the_seed_decides(x, name):
    def changed(seed):
        return augment.diff_augment([name], torch.Generator().manual_seed(seed))(x)

    x.requires_grad_()
    assert changed(1).equal(changed(1)) and not changed(1).equal(changed(2))
    assert changed(1).shape == x.shape
    (slope,) = torch.autograd.grad(changed(1).square().sum(), x)
    assert slope.abs().sum() > 0


def test_a_flip_mirrors_about_half(x):
    flipped = augment.flip(x, torch.Generator().manual_seed(0))
    kept = [a.equal(b) for a, b in zip(flipped, x, strict=True)]
    assert all(k or a.equal(b.flip(2)) for k, a, b in zip(kept, flipped, x, strict=True))
    assert 20 <= sum(kept) <= 44


def test_a_shift_moves_by_whole_pixels_and_bares_grey(x):
    moved = augment.shift(x + 3, torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(x + 3, (2,) * 4)
    places = set()
    for image, page in zip(moved, padded, strict=True):
        at = [(i, j) for i in range(5) for j in range(5)
              if image.equal(page[:, i : i + 16, j : j + 16])]  # fmt: skip
        assert len(at) == 1
        places |= set(at)
    assert len(places) > 15
    assert {i for i, _ in places} == {j for _, j in places} == set(range(5))  # as far either way


def test_a_nudge_is_a_flip_and_a_shift_by_so_many_pixels(x):
    nudge = augment.nudged(1)
    moved = nudge(x + 3, torch.Generator().manual_seed(0))
    assert nudge(x + 3, torch.Generator().manual_seed(0)).equal(moved)
    places = []
    for image, one in zip(moved, x + 3, strict=True):
        at = [(m, i, j) for m, page in enumerate((one, one.flip(2))) for i in range(3)
              for j in range(3)
              if image.equal(F.pad(page, (1,) * 4)[:, i : i + 16, j : j + 16])]  # fmt: skip
        assert len(at) == 1
        places += at
    assert len(set(places)) > 12  # of 18
    x.requires_grad_()
    (slope,) = torch.autograd.grad(nudge(x).sum(), x)
    assert set(slope.unique().tolist()) == {0.0, 1.0}  # each pixel is shown once or not at all


def test_colour_changes_each_image_as_a_whole(x):
    changed = augment.colour(x, torch.Generator().manual_seed(0))
    grey, new = x.mean(1), changed.mean(1)
    for a, b in zip(grey, new, strict=True):  # brightness and contrast: a straight line
        slope = (b - b.mean()).norm() / (a - a.mean()).norm()
        assert 0.5 <= slope <= 1.5
        assert torch.allclose(b - b.mean(), slope * (a - a.mean()), atol=1e-4)
        assert abs(float(b.mean() - a.mean())) <= 0.5


def test_contrast_is_about_the_mean_of_the_whole_image(x):
    """It stretches a tint as it stretches the rest; about each channel's own mean it would not."""
    tint = torch.tensor([0.6, 0.0, -0.6])[:, None, None]

    def changed(x):
        return augment.colour(x, torch.Generator().manual_seed(0))

    difference = changed(x + tint) - changed(x)  # grey of both is the same
    times = difference.abs().amax((1, 2, 3)) / 0.6  # saturation, at most 2, times contrast
    assert 2 < times.amax() <= 3
    assert torch.allclose(difference, times[:, None, None, None] * tint, atol=1e-5)


def test_a_hole_is_a_grey_square_of_half_the_side(x):
    cut = augment.cutout(x + 3, torch.Generator().manual_seed(0))
    for image in cut:
        hole = (image == 0).all(0)
        rows, columns = hole.any(1).sum(), hole.any(0).sum()
        assert 4 <= rows <= 9 and 4 <= columns <= 9 and hole.sum() == rows * columns
