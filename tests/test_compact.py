"""Weights of 16 bits: how many bytes, which numbers, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import compact, recipes
from course_utils.errors import CourseError
from course_utils.models import LinearUNet


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)).eval()


def test_bytes_by_hand(model):
    """Nine weights and a bias for each kernel; scale, shift, mean and variance for each channel."""
    assert compact.fp16_bytes(model) == 2 * (3 * 9 + 3 + 4 * 3)


def test_the_bytes_are_those_of_numpys_arrays():
    net = LinearUNet((4, 6, 8))
    floats = [v.numpy() for v in net.state_dict().values() if v.is_floating_point()]
    assert compact.fp16_bytes(net) == sum(v.astype(np.float16).nbytes for v in floats)


def test_the_denoiser_for_pages_is_small():
    """What a phone has to load: less than a megabyte."""
    assert compact.fp16_bytes(recipes.get("unet_linear_0.3").build()) < 1_000_000


def test_numbers_are_rounded_as_numpy_rounds_them(model):
    with torch.no_grad():
        model[0].weight.mul_(1 / 3)
        model[1].running_var.fill_(1 / 7)
    made = compact.in_fp16(model)
    for name, values in model.state_dict().items():
        rounded = made.state_dict()[name]
        assert rounded.dtype == values.dtype
        if values.is_floating_point():
            expected = values.numpy().astype(np.float16).astype(np.float32)
            assert np.array_equal(rounded.numpy(), expected)


def test_the_model_itself_is_left_alone(model):
    before = {name: values.clone() for name, values in model.state_dict().items()}
    made = compact.in_fp16(model)
    assert not made.training and made is not model
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert not torch.equal(made[0].weight, model[0].weight)


@pytest.mark.parametrize("number", [7e4, -7e4, float("nan")])
def test_what_does_not_fit_is_refused(model, number):
    with torch.no_grad():
        model[1].running_var[1] = number
    with pytest.raises(CourseError, match=r"1\.running_var holds a number .* 65,504"):
        compact.in_fp16(model)
