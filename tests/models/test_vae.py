"""Variational autoencoders: sizes, and what is drawn."""

import pytest
import torch
from small_models import enlarged
from torch import nn

from course_utils import recipes
from course_utils.models import VAE, ConditionalVAE, ConvVAE
from course_utils.train import parameter_count

VARIATIONAL = [lambda: VAE((30, 20), 5), ConvVAE, lambda: VAE(code_dim=2, activation="gelu")]


@pytest.fixture
def x(few):
    """Return 6 images in [0, 1]."""
    return few.x[:6] / 255


# ------------------------------------------------------------------------------------------- sizes


def test_the_default_is_the_network_of_source_004():
    model = VAE()
    by_hand = 784 * 400 + 400 + 2 * (400 * 20 + 20) + 20 * 400 + 400 + 400 * 784 + 784
    assert parameter_count(model) == 652_824 == by_hand


def test_the_convolutional_one_is_the_network_of_source_002():
    model = ConvVAE()
    assert parameter_count(model) == 3_418_665
    shapes = [
        (type(m).__name__, m.in_channels, m.out_channels, m.stride[0], m.kernel_size[0])
        for m in model.modules()
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    assert shapes == [
        ("Conv2d", 1, 32, 1, 3), ("Conv2d", 32, 64, 2, 3), ("Conv2d", 64, 128, 2, 3),
        ("ConvTranspose2d", 128, 64, 2, 3), ("ConvTranspose2d", 64, 32, 2, 3),
        ("ConvTranspose2d", 32, 1, 1, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("build", VARIATIONAL)
def test_shapes(build, x):
    model = build()
    logits, mu, logvar = model(x)
    assert logits.shape == x.shape == model.reconstruct(x).shape
    assert mu.shape == logvar.shape == (6, model.code_dim)
    assert model.sample(4).shape == (4, 1, 28, 28)
    assert model.decode(mu).shape == x.shape


def test_other_image_shapes():
    model = VAE((10,), 3, image_shape=(3, 8, 6))
    assert model(torch.rand(2, 3, 8, 6))[0].shape == model.sample(2).shape == (2, 3, 8, 6)


def test_the_variance_is_a_parameter_only_where_asked():
    assert parameter_count(VAE(learn_variance=True)) == parameter_count(VAE()) + 1
    start = VAE(learn_variance=True).log_variance.exp().item() * 784
    assert start == pytest.approx(52.7, rel=0.01)  # MNIST around its mean image
    assert VAE().log_variance is None


def test_against_the_same_network_written_out(x):
    torch.manual_seed(0)
    model = enlarged(VAE((30,), 5))
    a, b, c, d = (m for m in model.modules() if isinstance(m, nn.Linear))
    h = (x.reshape(6, 784) @ a.weight.T + a.bias).clamp(min=0) @ b.weight.T + b.bias
    mu, logvar = model.encode(x)
    torch.testing.assert_close(torch.cat([mu, logvar], 1), h)
    recon = (mu @ c.weight.T + c.bias).clamp(min=0) @ d.weight.T + d.bias
    torch.testing.assert_close(model.decode(mu), recon.reshape(6, 1, 28, 28))
    torch.testing.assert_close(model.reconstruct(x), 1 / (1 + (-recon.reshape(6, 1, 28, 28)).exp()))


@torch.no_grad()
@pytest.mark.parametrize("build", VARIATIONAL)
def test_codes_and_logits_take_both_signs(build, x):
    """Neither has an activation: half the images would be lost, or pixels squashed twice."""
    torch.manual_seed(0)
    model = enlarged(build())
    outputs = (*model.encode(x), model.decode(10 * torch.randn(6, model.code_dim)))
    assert all(out.min() < 0 < out.max() for out in outputs)


@pytest.mark.parametrize("recipe", ["vae_2d", "cvae_decoder", "cvae_slant", "vae", "cvae_code"])
def test_decoders_for_the_page_are_small(recipe):
    """At most 1 MB in two bytes a weight."""
    weights = recipes.get(recipe).build().decoder.half().state_dict().values()
    assert 0 < sum(w.nbytes for w in weights) <= 1_000_000


# ---------------------------------------------------------------------------------- what is drawn


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("build", VARIATIONAL)
def test_forward_draws_in_every_mode(build, training, x):
    """The evidence lower bound is a mean over codes: eval mode must not replace it by one point."""
    model = build().train(training)
    with torch.no_grad():
        (first, mu, _), (second, again, _) = model(x), model(x)
    assert torch.equal(mu, again) and not torch.equal(first, second)


@pytest.mark.parametrize("build", VARIATIONAL)
def test_reconstruct_draws_nothing(build, x):
    model = build().eval()
    before = torch.get_rng_state()
    with torch.no_grad():
        recon = model.reconstruct(x)
        expected = model.decode(model.encode(x)[0]).sigmoid()
    assert torch.equal(recon, expected) and torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("build", VARIATIONAL)
def test_samples_are_decoded_draws_of_the_prior(build):
    torch.manual_seed(0)
    model, codes = build().eval(), []
    decode, model.decode = model.decode, lambda z: (codes.append(z), decode(z))[1]
    images = model.sample(400, torch.Generator().manual_seed(3))
    assert images.min() >= 0 and images.max() <= 1 and not images.requires_grad
    z = codes[0]  # 800 numbers or more: bounds of four standard errors
    assert abs(z.mean()) < 0.15 and abs(z.std() - 1) < 0.1 and z.abs().max() > 2
    torch.testing.assert_close(images[:9], decode(z[:9]).sigmoid())
    assert torch.equal(model.sample(3, torch.Generator().manual_seed(3)),
                       model.sample(3, torch.Generator().manual_seed(3)))  # fmt: skip
    assert not torch.equal(model.sample(3), model.sample(3))


@pytest.mark.parametrize("build", [*VARIATIONAL, ConditionalVAE])
def test_codes_are_float32_under_bf16(build, x, few):
    y = (few.y[:6],) if build is ConditionalVAE else ()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, mu, logvar = build()(x, *y)
    assert mu.dtype == logvar.dtype == torch.float32 and logits.dtype == torch.bfloat16
