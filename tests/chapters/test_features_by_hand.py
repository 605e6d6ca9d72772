"""What chapter 00 writes out by hand computes what scikit-image and scikit-learn compute."""

import by_hand
import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp

from course_utils.recipes.referee import load_referee


@pytest.fixture(scope="module")
def chapter():
    """Return the functions that stand in the chapter."""
    names = ("hog", "matching_pursuit", "centred", "left_over", "area", "one_digit", "best_patches")
    return by_hand.written("00_features", *names)


@pytest.fixture
def atoms():
    """Return 64 random atoms (64, 256) of length one."""
    made = torch.randn(64, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return made / made.norm(dim=1, keepdim=True)


def test_hog_is_scikit_images(chapter):
    from skimage.feature import hog

    x = torch.rand(6, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x[5] = x[5].round()  # edges that run exactly across or down
    theirs = [
        hog(image.numpy(), pixels_per_cell=(7, 7), cells_per_block=(2, 2), block_norm="L2")
        for image in x
    ]
    ours = chapter["hog"](x)
    assert ours.shape == (6, 324)
    assert torch.allclose(ours, torch.from_numpy(np.stack(theirs)), atol=1e-8)


@pytest.mark.parametrize("k", [1, 3, 12])
def test_matching_pursuit_is_scikit_learns(chapter, atoms, k):
    x = torch.randn(30, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours = chapter["matching_pursuit"](x, atoms, k)
    theirs = orthogonal_mp(atoms.T.numpy(), x.T.numpy(), n_nonzero_coefs=k).reshape(64, 30)
    assert torch.allclose(ours, torch.from_numpy(theirs.T), atol=1e-9)
    assert ((ours != 0).sum(1) == k).all()


def test_matching_pursuit_finds_what_few_atoms_made(chapter, atoms):
    code = torch.zeros(5, 64, dtype=torch.float64)
    for i in range(5):
        code[i, [i, 20 + i, 50 + i]] = torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64)
    assert torch.allclose(chapter["matching_pursuit"](code @ atoms, atoms, 3), code, atol=1e-9)


def test_silence_has_the_code_zero(chapter, atoms):
    """And so has a frame that fewer atoms rebuild than are asked for: nothing divides by zero."""
    quiet = torch.stack([torch.zeros(256, dtype=torch.float64), atoms[7]])
    code = chapter["matching_pursuit"](quiet, atoms, 4)
    assert torch.allclose(code @ atoms, quiet, atol=1e-9)


def test_left_over(chapter, atoms):
    """Of an orthogonal set, k atoms leave what the other coefficients hold."""
    x = torch.randn(10, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    eye = torch.eye(256, dtype=torch.float64)
    largest = x.square().sort(dim=1, descending=True).values
    expected = float(largest[:, 5:].sum() / largest.sum())
    assert chapter["left_over"](x, eye, 5) == pytest.approx(expected)
    assert chapter["left_over"](atoms[:4], atoms, 1) == pytest.approx(0, abs=1e-12)


def test_centred(chapter):
    found = chapter["centred"](torch.rand(5, 256))
    assert found.dtype == torch.float64 and found.mean(1).abs().max() < 1e-12


def test_area(chapter):
    one_of_four = torch.zeros(100)
    one_of_four[:25] = -1.0
    assert chapter["area"](one_of_four) == pytest.approx(0.13, abs=0.011)  # half of a quarter
    assert chapter["area"](torch.ones(100)) == pytest.approx(0.5, abs=0.011)
    spike = torch.full((100,), 0.01)
    spike[3] = 5.0
    assert chapter["area"](spike) == pytest.approx(0.01)


def test_one_digit_counts_by_hand(chapter):
    """Of 200 images each unit has two favourites: a 4 and a 4, then a 7 and a 2."""
    layer, y = torch.zeros(200, 2, 3, 3), torch.zeros(200, dtype=torch.int64)
    y[[10, 20, 30, 40]] = torch.tensor([4, 4, 7, 2])
    layer[10, 0, 2, 1], layer[20, 0, 0, 0], layer[30, 1, 1, 1], layer[40, 1, 0, 2] = 5, 6, 7, 8
    assert chapter["one_digit"](layer, y).tolist() == [1.0, 0.5]


def test_a_patch_alone_excites_its_unit_as_the_whole_image_did(chapter):
    """Put in the middle of a black image; units at the rim, which see padding, are left out."""
    body = load_referee("referee_2").body[:6]
    x = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    layer = body(x)
    checked = 0
    for unit in range(layer.shape[1]):
        peak, place = layer[:, unit].flatten(1).max(1)
        top = peak.topk(5).indices
        canvas = torch.zeros(5, 1, 28, 28)
        canvas[:, :, 8:22, 8:22] = chapter["best_patches"](layer, x, unit, 5)
        alone = body(canvas)[:, unit, 7, 7]
        row, column = place[top] // 14, place[top] % 14
        inside = (row.clamp(2, 11) == row) & (column.clamp(2, 11) == column)
        assert torch.allclose(alone[inside], peak[top][inside], atol=1e-4)
        checked += int(inside.sum())
    assert checked > 20
