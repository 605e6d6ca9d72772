"""Convolutional autoencoders: the tutorial's shapes, one change at a time, and what they refuse."""

import pytest
import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.models import (
    Autoencoder,
    ConvAutoencoder,
    DeepConvAutoencoder,
    ResizeConvAutoencoder,
    SignedConvAutoencoder,
)
from course_utils.models.conv_autoencoder import Residual
from course_utils.train import parameter_count

KINDS = {
    "tutorial": ConvAutoencoder,
    "overlap": lambda: ConvAutoencoder(overlap=True),
    "wide": lambda: ConvAutoencoder((32, 16), overlap=True),
    "linear": lambda: ConvAutoencoder((32, 16), linear_code=True),
    "norm": lambda: ConvAutoencoder((32, 16), linear_code=True, norm=True, output="sigmoid"),
    "resized": ResizeConvAutoencoder,
    "deep": lambda: DeepConvAutoencoder((4, 6, 8)),
    "deep, plain": lambda: DeepConvAutoencoder((4, 6, 8), norm=False, activation="gelu"),
    "resize": lambda: DeepConvAutoencoder(
        (4, 6, 8), upsampling="resize", blocks=(0, 1), hidden_dim=40
    ),
}


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.rand(3, 1, 28, 28)


def test_the_tutorials_network_layer_by_layer(x):
    """Its own lines, in its own order, give the shapes that its comments name."""
    model = ConvAutoencoder()
    shapes, h = [], x
    for layer in [*model.encoder, *model.decoder]:
        h = layer(h)
        if not isinstance(layer, nn.ReLU):
            shapes.append(tuple(h.shape[1:]))
    assert shapes == [
        (16, 10, 10), (16, 5, 5), (8, 3, 3), (8, 2, 2), (32,),
        (8, 2, 2), (16, 5, 5), (8, 15, 15), (1, 28, 28),
    ]  # fmt: skip
    by_hand = (16 * 9 + 16) + (8 * 16 * 9 + 8) + (8 * 16 * 9 + 16) + (16 * 8 * 25 + 8) + (8 * 4 + 1)
    assert parameter_count(model) == by_hand == 5_729


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_ranges(kind, x):
    model = KINDS[kind]().eval()
    logits, z = model(x)
    assert z.shape == (3, 32)
    assert logits.shape == x.shape
    recon = model.reconstruct(x)
    assert recon.min() >= 0 and recon.max() <= 1
    assert torch.allclose(recon, model.pixels(model.decode(model.encode(x))))


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_a_gradient(kind, x):
    model = KINDS[kind]()
    model(x)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_last_layer_overlaps_where_it_is_told_to():
    last = ConvAutoencoder().decoder[-1]
    assert (last.kernel_size, last.stride, last.padding) == ((2, 2), (2, 2), (1, 1))
    last = ConvAutoencoder(overlap=True).decoder[-1]
    assert (last.kernel_size, last.stride, last.padding) == ((4, 4), (2, 2), (2, 2))


def test_the_last_layer_repeats_pixels_and_convolves_them(x):
    """Against numpy's repeat, and a sum over all shifts of the kernel."""
    model = ResizeConvAutoencoder()
    h = model.decoder[:-1](model.encode(x))  # (3, 8, 15, 15)
    large = torch.from_numpy(h.detach().numpy().repeat(2, axis=2).repeat(2, axis=3))
    _, convolution = model.decoder[-1]
    by_hand = convolution.bias.detach().view(1, 1, 1, 1)
    for i in range(3):
        for j in range(3):
            weights = convolution.weight.detach()[:, :, i, j].view(1, 8, 1, 1)
            by_hand = by_hand + (large[..., i : i + 28, j : j + 28] * weights).sum(1, keepdim=True)
    assert torch.allclose(model(x)[0], by_hand, atol=1e-5)
    assert parameter_count(model) == 5_729 - 33 + 73


def test_a_linear_code_sees_all_channels_and_places(x):
    model = ConvAutoencoder((32, 16), linear_code=True)
    assert model.encoder[-1].in_features == 16 * 4
    assert (model.encode(x) < 0).any()  # the tutorial's codes come from a ReLU and cannot be
    assert (ConvAutoencoder().encode(x) >= 0).all()


def test_normalisation_stands_after_every_convolution_but_the_last():
    model = ConvAutoencoder(norm=True)
    kinds = [type(m).__name__ for m in [*model.encoder, *model.decoder]]
    assert kinds.count("BatchNorm2d") == 4
    assert kinds[-1] == "ConvTranspose2d"
    deep = DeepConvAutoencoder((4, 6, 8), blocks=(1, 1))
    assert sum(isinstance(m, nn.BatchNorm2d) for m in deep.modules()) == 3 + 2 + 4 * 2


def test_residual_blocks_add_to_what_they_are_given():
    block = Residual(4, norm=True, activation="relu").eval()
    h = torch.rand(2, 4, 7, 7)
    assert torch.allclose(block(h), torch.relu(h + block.change(h)))
    for p in block.change.parameters():
        nn.init.zeros_(p)
    assert torch.equal(block(h), h)


def test_the_repaired_network_is_smaller_than_the_mlp():
    from course_utils import recipes

    mlp = parameter_count(Autoencoder((1024, 512), 32, "gelu"))
    for name in ("conv_deep", "conv_small"):
        assert parameter_count(recipes.get(name).build()) < mlp


def test_words_and_shapes_that_do_not_fit_are_refused(x):
    with pytest.raises(CourseError, match="upsampling 'nearest' is unknown"):
        DeepConvAutoencoder(upsampling="nearest")
    with pytest.raises((CourseError, ValueError), match="activation 'swish'"):
        DeepConvAutoencoder(activation="swish")
    with pytest.raises((CourseError, ValueError), match=r"this model takes \(B, 1, 28, 28\)"):
        ConvAutoencoder()(x[..., :27])
    with pytest.raises((CourseError, ValueError), match=r"this model takes \(B, 32\)"):
        ConvAutoencoder().decode(torch.zeros(2, 8, 2, 2))


def test_a_code_without_its_relu_has_signs():
    torch.manual_seed(0)
    signed, tutorials = SignedConvAutoencoder(), ConvAutoencoder()
    signed.load_state_dict(tutorials.state_dict())  # the same layers, numbered alike
    x = torch.rand(20, 1, 28, 28)
    before = tutorials.encoder[:4](x)  # the second convolution's maps
    wanted = torch.nn.functional.max_pool2d(before, 2, 1).flatten(1)
    assert torch.equal(signed.encode(x), wanted) and (wanted < 0).any()
    assert torch.equal(wanted.relu(), tutorials.encode(x))
