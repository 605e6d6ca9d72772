"""Architectures: shapes, sizes, and what their outputs mean."""

import itertools

import pytest
import torch
from torch import nn

from course_utils.models import Autoencoder
from course_utils.runtime import CourseError
from course_utils.train import parameter_count

SOURCE_000 = [784, 128, 64, 12, 3, 12, 64, 128, 784]


def linear_sizes(model) -> list[int]:
    """Return the widths through which an image passes, read off the weights."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return [layers[0].in_features, *(m.out_features for m in layers)]


def by_hand(sizes: list[int]) -> int:
    """Return the number of weights and biases of a chain of linear layers."""
    return sum((n_in + 1) * n_out for n_in, n_out in itertools.pairwise(sizes))


def test_the_default_is_the_network_of_the_sources():
    model = Autoencoder()
    assert linear_sizes(model) == SOURCE_000
    assert parameter_count(model) == 219_891 == by_hand(SOURCE_000)


@pytest.mark.parametrize("widths", [(), (30,), (64, 32)])
@pytest.mark.parametrize("code_dim", [1, 2, 32])
def test_the_decoder_mirrors_the_encoder(widths, code_dim):
    model = Autoencoder(widths=widths, code_dim=code_dim)
    sizes = [784, *widths, code_dim, *widths[::-1], 784]
    assert linear_sizes(model) == sizes
    assert parameter_count(model) == by_hand(sizes)


@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 8, 6)])
def test_shapes(image_shape):
    model = Autoencoder(code_dim=5, image_shape=image_shape)
    x = torch.rand(4, *image_shape)
    logits, z = model(x)
    assert logits.shape == x.shape and z.shape == (4, 5)
    assert model.encode(x).shape == (4, 5)
    assert model.decode(z).shape == x.shape
    assert model.reconstruct(x).shape == x.shape


@pytest.mark.parametrize("output", ["sigmoid", "tanh"])
def test_logits_out_and_pixels_in_range(output):
    model = Autoencoder(output=output)
    logits = torch.tensor([-1e4, -3.0, 0.0, 0.5, 1e4])
    pixels = model.pixels(logits)
    squashed = 1 / (1 + torch.exp(-logits.double()))
    if output == "tanh":
        squashed = (torch.sinh(logits.double()) / torch.cosh(logits.double())).nan_to_num(1.0)
        squashed[0] = -1.0
        squashed = (squashed + 1) / 2
    torch.testing.assert_close(pixels.double(), squashed, rtol=0, atol=1e-6)
    assert pixels.min() == 0 and pixels.max() == 1


def test_forward_returns_logits_not_pixels():
    torch.manual_seed(0)
    model = Autoencoder()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(5)
        logits, z = model(torch.rand(50, 1, 28, 28))
    assert logits.min() < 0 and logits.max() > 1
    assert torch.equal(logits, model.decode(z))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_against_the_same_network_written_out(activation):
    """Code and logits have no activation: a code may be negative, a logit anything."""
    torch.manual_seed(0)
    model, x = Autoencoder(activation=activation), torch.rand(3, 1, 28, 28)
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    h = x.reshape(3, 784)
    for i, layer in enumerate(layers):
        h = h @ layer.weight.T + layer.bias
        if i == 3:
            torch.testing.assert_close(model.encode(x), h)
        elif i < 7:
            h = h.clamp(min=0) if activation == "relu" else h.tanh()
    torch.testing.assert_close(model(x)[0], h.reshape(3, 1, 28, 28))


def test_without_activation_the_network_is_linear():
    torch.manual_seed(0)
    model = Autoencoder(activation="none").double()
    a, b = torch.rand(2, 4, 1, 28, 28, dtype=torch.float64)
    half = model((a + b) / 2)[0]
    torch.testing.assert_close(half, (model(a)[0] + model(b)[0]) / 2)


def test_reconstruct_is_encode_decode_pixels():
    torch.manual_seed(0)
    model, x = Autoencoder(output="tanh"), torch.rand(3, 1, 28, 28)
    assert torch.equal(model.reconstruct(x), model.pixels(model.decode(model.encode(x))))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"activation": "relux"}, "relux.*choose one of: relu, tanh"),
        ({"output": "softmax"}, "softmax.*choose one of: sigmoid, tanh"),
    ],
)
def test_unknown_names_are_refused(bad, message):
    with pytest.raises(CourseError, match=message):
        Autoencoder(**bad)


def test_a_misspelt_argument_is_refused():
    with pytest.raises(TypeError):
        Autoencoder(code_size=3)
