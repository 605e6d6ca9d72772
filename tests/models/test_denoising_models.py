"""Networks that take noise away: shapes, first weights, and what passes where."""

import math

import pytest
import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.models import DenoisingMLP, LinearUNet, UNet
from course_utils.train import parameter_count


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.rand(3, 1, 28, 28)


def test_the_default_is_the_network_of_source_004(x):
    model = DenoisingMLP()
    assert parameter_count(model) == 784 * 200 + 200 + 200 * 784 + 784
    first, last = model.encoder[1], model.decoder[0]
    limit = math.sqrt(6 / (784 + 200))
    assert first.weight.abs().max() <= limit
    assert first.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)
    assert (last.weight == 0).all() and (last.bias == 0).all() and (first.bias == 0).all()
    z = model.encode(x)
    assert torch.allclose(z, nn.functional.softplus(x.flatten(1) @ first.weight.T), atol=1e-5)
    assert model.reconstruct(x).abs().max() == 0


def test_several_layers_mirror_each_other(x):
    model = DenoisingMLP((50, 20), "gelu", "sigmoid", "xavier")
    sizes = [(m.in_features, m.out_features) for m in model.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(784, 50), (50, 20), (20, 50), (50, 784)]
    logits, z = model(x)
    assert (z.shape, logits.shape) == ((3, 20), x.shape)
    assert isinstance(model.encoder[-1], nn.GELU)
    assert not isinstance(model.decoder[-2], nn.GELU)
    recon = model.reconstruct(x)
    assert recon.min() >= 0 and recon.max() <= 1


def test_bad_words_and_widths_are_refused():
    with pytest.raises(CourseError, match="activation 'swish'"):
        DenoisingMLP(activation="swish")
    with pytest.raises(CourseError, match="decoder_init 'ones'"):
        DenoisingMLP(decoder_init="ones")
    for widths in ((), (0,), (2.5,)):
        with pytest.raises(CourseError, match="widths are"):
            DenoisingMLP(widths)


def test_the_u_net_keeps_size_and_batch(x):
    model = UNet((4, 6, 8))
    assert model(x).shape == x.shape
    model.eval()
    assert torch.allclose(model.reconstruct(x)[:1], model.reconstruct(x[:1]), atol=1e-5)
    model(x)[0].sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_fine_detail_passes_by_the_bottleneck(x):
    """With the bottom cut off, the output still changes when a single pixel does."""
    model = UNet((4, 6, 8)).eval()
    nn.init.zeros_(model.enlarge_2.weight)
    nn.init.zeros_(model.enlarge_1.weight)
    changed = x.clone()
    changed[..., 14, 14] += 1
    assert (model(x) - model(changed)).abs().max() > 1e-4


def test_sizes_that_cannot_be_halved_twice_are_refused():
    with pytest.raises(CourseError, match="multiples of 4"):
        UNet(image_shape=(1, 30, 28))


def test_without_a_sigmoid_the_last_layer_gives_the_pixels(x):
    """The same weights: what one squashes into [0, 1], the other hands over as it is."""
    torch.manual_seed(0)
    squashed = UNet((4, 6, 8)).eval()
    linear = LinearUNet((4, 6, 8)).eval()
    linear.load_state_dict(squashed.state_dict())
    assert torch.equal(linear.reconstruct(x).sigmoid(), squashed.reconstruct(x))
    assert torch.equal(linear.pixels(linear(x)), linear.reconstruct(x))


def test_without_a_sigmoid_black_pixels_are_moved_like_others():
    """The slope of the squared error is 2 (p - x), where the sigmoid takes p (1 - p) of it."""
    slopes = {}
    for kind in (UNet, LinearUNet):
        model = kind((2, 2, 2)).eval()
        nn.init.zeros_(model.last.weight)
        dark = -4.0 if kind is UNet else torch.tensor(-4.0).sigmoid().item()
        nn.init.constant_(model.last.bias, dark)
        black = torch.zeros(1, 1, 28, 28)
        (model.reconstruct(black) - black).square().mean().backward()
        slopes[kind] = model.last.bias.grad.item()
    p = torch.tensor(-4.0).sigmoid().item()
    assert slopes[LinearUNet] == pytest.approx(2 * p, rel=1e-4)
    assert slopes[UNet] == pytest.approx(2 * p * p * (1 - p), rel=1e-4)
