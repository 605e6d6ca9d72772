"""Sizes, matrices, reach and cost of convolutional layers, against torch's layers and scipy."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from course_utils import convolution
from course_utils.errors import CourseError
from course_utils.models import Autoencoder, ConvAutoencoder, DeepConvAutoencoder

SETTINGS = list(itertools.product((5, 10, 28), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2)))


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), SETTINGS)
def test_sizes_are_those_of_the_layers(size, kernel, stride, padding):
    x = torch.zeros(1, 1, size, size)
    made = nn.Conv2d(1, 1, kernel, stride, padding)(x)
    assert convolution.output_size(size, kernel, stride, padding) == made.shape[-1]
    if (size - 1) * stride + kernel > 2 * padding:
        made = nn.ConvTranspose2d(1, 1, kernel, stride, padding)(x)
        assert convolution.transposed_size(size, kernel, stride, padding) == made.shape[-1]


def test_a_size_that_cannot_be_is_refused():
    with pytest.raises(CourseError, match="a kernel of 7 does not fit into 3 pixels"):
        convolution.output_size(3, 7, padding=1)
    with pytest.raises(CourseError, match="a padding of 3 cuts off all"):
        convolution.transposed_size(2, 2, padding=3)
    with pytest.raises(CourseError, match=r"stride is 0; it must be a whole number, 1 or more"):
        convolution.output_size(28, 3, stride=0)
    with pytest.raises(CourseError, match=r"kernel is 2\.5"):
        convolution.transposed_size(28, 2.5)
    with pytest.raises(CourseError, match=r"padding is True"):
        convolution.coverage(28, 2, 2, True)


def test_the_matrix_of_a_convolution_is_scipys():
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 1, 3)
    x = torch.randn(1, 1, 6, 5)
    by_scipy = correlate2d(x[0, 0].numpy(), layer.weight[0, 0].detach().numpy(), mode="valid")
    by_matrix = convolution.as_matrix(layer, (1, 6, 5)) @ x.flatten()
    assert np.allclose(by_matrix.numpy(), by_scipy.ravel(), atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_matrix_of_a_transposed_convolution_is_the_transpose(stride):
    forward = nn.Conv2d(2, 3, 3, stride, 1, bias=False)
    back = nn.ConvTranspose2d(3, 2, 3, stride, 1, bias=False)
    back.weight = forward.weight
    matrix = convolution.as_matrix(forward, (2, 7, 7))
    size = convolution.output_size(7, 3, stride, 1)
    assert torch.allclose(convolution.as_matrix(back, (3, size, size)), matrix.T, atol=1e-6)


def test_what_is_not_linear_has_no_matrix():
    with pytest.raises(CourseError, match="ReLU is no linear map"):
        convolution.as_matrix(nn.ReLU(), (1, 3, 3))
    with pytest.raises(CourseError, match="MaxPool2d is no linear map"):
        convolution.as_matrix(nn.MaxPool2d(2), (1, 4, 4))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 1), (3, 2, 1), (4, 2, 1), (5, 3, 1)]
)
def test_coverage_is_the_column_sums_of_the_matrix_of_ones(kernel, stride, padding):
    layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding, bias=False)
    nn.init.ones_(layer.weight)
    rows = convolution.as_matrix(layer, (1, 4, 4)).sum(1)
    assert torch.equal(convolution.coverage(4, kernel, stride, padding).flatten(), rows)


def test_kernels_of_two_with_stride_two_never_overlap():
    assert convolution.coverage(15, 2, 2, 1).unique().tolist() == [1]
    assert set(convolution.coverage(15, 3, 2, 1).unique().tolist()) == {1, 2, 4}
    inside = convolution.coverage(14, 4, 2, 1)[1:-1, 1:-1]
    assert inside.unique().tolist() == [4]


# ------------------------------------------------------------------------------- receptive fields


def test_the_receptive_field_of_two_convolutions_by_hand():
    """3 x 3, then 3 x 3 with stride 2: a place sees 5 x 5 pixels, at a distance of 2 each."""
    torch.manual_seed(0)
    part = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 3, stride=2))
    field = convolution.receptive_field(part, torch.rand(2, 1, 12, 12), (1, 2))
    seen = torch.zeros(12, 12)
    seen[2:7, 4:9] = 1
    assert torch.equal((field > 0).float(), seen)


def test_the_receptive_field_of_one_layer_is_the_size_of_its_weights():
    layer = nn.Conv2d(1, 2, 3)
    field = convolution.receptive_field(layer, torch.rand(1, 1, 3, 3), (0, 0))
    expected = layer.weight.detach().square().mean((0, 1)).sqrt()
    assert torch.allclose(field, expected, atol=1e-6)


def test_a_field_is_measured_without_the_other_images_of_the_batch():
    part = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    field = convolution.receptive_field(part, torch.rand(4, 1, 9, 9), (0, 0))
    assert int((field > 0).sum()) == 9
    assert part.training


def test_places_outside_and_codes_are_refused():
    x = torch.rand(1, 1, 5, 5)
    with pytest.raises(CourseError, match=r"place \(3, 0\) lies outside of maps of \(3, 3\)"):
        convolution.receptive_field(nn.Conv2d(1, 1, 3), x, (3, 0))
    with pytest.raises(CourseError, match=r"feature maps are \(B, K, h, w\)"):
        convolution.receptive_field(nn.Flatten(), x, (0, 0))


# -------------------------------------------------------------------------------------- arithmetic


@pytest.mark.parametrize(
    "build", [ConvAutoencoder, DeepConvAutoencoder, lambda: Autoencoder((30, 20), 5)]
)
def test_multiplications_are_half_of_torchs_flops(build):
    model, x = build(), torch.rand(1, 1, 28, 28)
    model.eval()
    with FlopCounterMode(display=False) as counter:
        model(x)
    assert convolution.multiplications(model, x) == counter.get_total_flops() // 2


def test_multiplications_are_of_one_image_and_leave_the_model_alone():
    model = DeepConvAutoencoder((2, 3, 4)).train()
    before = [b.clone() for b in model.buffers()]
    one, many = (convolution.multiplications(model, torch.rand(n, 1, 28, 28)) for n in (1, 5))
    assert one == many
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


@pytest.mark.parametrize("measure", ["multiplications", "receptive_field"])
def test_a_model_that_fails_is_left_as_it_was(measure):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(7, 1)).train()
    model[1].eval()  # frozen, as part of a network in training may be
    more = {"multiplications": (), "receptive_field": ((0, 0),)}[measure]
    with pytest.raises(RuntimeError):
        getattr(convolution, measure)(model, torch.rand(1, 1, 28, 28), *more)
    assert [part.training for part in model] == [True, False, True]
    assert not any(part._forward_hooks for part in model)


# ------------------------------------------------------------------------------------------ moving


@pytest.mark.parametrize(("right", "down"), [(0, 0), (2, 0), (-3, 1), (1, -4), (-1, -1)])
def test_moving_is_rolling_where_nothing_comes_around(right, down):
    x = torch.zeros(2, 1, 12, 12, dtype=torch.uint8)
    x[..., 4:8, 4:8] = torch.randint(1, 255, (2, 1, 4, 4), dtype=torch.uint8)
    assert torch.equal(convolution.moved(x, right, down), x.roll((down, right), (2, 3)))


def test_what_leaves_does_not_come_back():
    x = torch.ones(1, 1, 5, 5)
    made = convolution.moved(x, right=2, down=-1)
    assert made.sum() == 3 * 4
    assert made[0, 0, :, :2].sum() == 0
    assert made[0, 0, -1].sum() == 0
    with pytest.raises(CourseError, match="leaves nothing of 5 x 5"):
        convolution.moved(x, right=5)


def test_sizes_of_the_tutorial_follow_from_the_formulas():
    size = 28
    for kernel, stride, padding in ((3, 3, 1), (2, 2, 0), (3, 2, 1), (2, 1, 0)):
        size = convolution.output_size(size, kernel, stride, padding)
    assert size == 2
    for kernel, stride, padding in ((3, 2, 0), (5, 3, 1), (2, 2, 1)):
        size = convolution.transposed_size(size, kernel, stride, padding)
    assert size == math.isqrt(784)
