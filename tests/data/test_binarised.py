"""Binarised images: fixed, fair, and each with its own noise."""

import torch

from course_utils.data import Split
from course_utils.data.derived import binarised


def test_binarised_is_fixed_and_fair(digits):
    first = binarised(digits.test)
    assert torch.equal(first.x, binarised(digits.test).x)
    assert torch.equal(first.y, digits.test.y)
    assert first.x.dtype == torch.uint8 and first.x.unique().tolist() == [0, 255]
    assert torch.equal(binarised(digits.test.head(77)).x, first.x[:77])
    assert not torch.equal(binarised(digits.test, seed=1).x, first.x)
    grey = digits.test.x.double() / 255
    assert (first.x.double() / 255 - grey).mean().abs() < 1e-3
    sure = (digits.test.x == 0) | (digits.test.x == 255)
    assert torch.equal(first.x[sure], digits.test.x[sure])


def test_each_image_is_binarised_with_its_own_noise():
    """Of one grey image many times over, each pixel is white as often as it is bright."""
    grey = torch.tensor([[0, 51], [128, 255]], dtype=torch.uint8)
    split = Split(grey.expand(4000, 1, 2, 2), torch.zeros(4000, dtype=torch.int64))
    white = binarised(split).x.double().mean(0)[0] / 255
    torch.testing.assert_close(white, grey / 255.0, atol=0.035, rtol=0, check_dtype=False)
