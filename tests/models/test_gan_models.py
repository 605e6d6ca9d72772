"""Generators and discriminators: shapes, ranges, sizes, and what each norm does."""

import pytest
import torch

from course_utils.models import gan

GENERATORS = [
    lambda: gan.SourceGenerator(),
    lambda: gan.Generator(width=8),
    lambda: gan.Generator(width=8, norm="none"),
    lambda: gan.ResidualGenerator(widths=(16, 16, 12, 8, 8)),
]
DISCRIMINATORS = [
    lambda: gan.SourceDiscriminator(),
    *[lambda norm=norm: gan.Discriminator(8, norm) for norm in ("batch", "spectral", "none")],
    lambda: gan.ResidualDiscriminator(widths=(8, 8, 12, 16, 16)),
]


@pytest.mark.parametrize("build", GENERATORS)
def test_codes_become_images(build):
    torch.manual_seed(0)
    net = build()
    x = net(torch.randn(4, net.code_dim))
    assert x.shape == (4, 3, 64, 64) and x.abs().max() <= 1
    assert 0.002 < float(x.detach().std()) < 0.95  # neither blank nor saturated


@pytest.mark.parametrize("build", DISCRIMINATORS)
def test_images_become_logits(build):
    torch.manual_seed(0)
    logits = build()(torch.randn(4, 3, 64, 64))
    assert logits.shape == (4,) and logits.isfinite().all()


def test_the_sources_networks_have_the_sources_sizes():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    assert count(gan.SourceGenerator()) == 3_806_080
    assert count(gan.SourceDiscriminator()) == 2_764_352


def test_variance_passes_through_networks_without_norm():
    torch.manual_seed(0)
    net = gan.Generator(width=32, norm="none")
    x = torch.randn(64, 128, 1, 1)
    for layer in net.layers[:-2]:
        x = layer(x)
        if isinstance(layer, torch.nn.ConvTranspose2d):
            assert 0.3 < float(x.detach().std()) < 3.5


def test_a_residual_block_begins_as_nothing():
    x = torch.randn(2, 6, 8, 8)
    assert gan.Residual(6)(x).equal(x)


def test_batch_norm_couples_images_and_nothing_else_does():
    torch.manual_seed(0)
    z = torch.randn(6, 128)
    for build, coupled in ((GENERATORS[1], True), (GENERATORS[2], False), (GENERATORS[3], False)):
        net = build().train()
        alone = net(z[:3])
        beside = net(z)[:3]
        assert (not torch.allclose(alone, beside, atol=1e-5)) == coupled
        net.eval()
        assert torch.allclose(net(z[:3]), net(z)[:3], atol=1e-5)


def test_a_pair_for_faces_may_have_another_width_and_end_on_each_side():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    plain, other = gan.FaceGAN(8, "none"), gan.FaceGAN(8, "none", d_width=12, refined=True)
    assert count(plain.discriminator) == count(gan.Discriminator(8, "none"))
    assert count(other.discriminator) == count(gan.Discriminator(12, "none"))
    assert count(plain.generator) == count(gan.Generator(width=8))
    assert count(other.generator) == count(gan.Generator(width=8, refined=True))
    # 32x32 to 64x64 in half the channels, norm, and 3x3 to RGB; in place of 4x4 to RGB
    refined = (8 * 4 * 16) + 2 * 4 + (4 * 3 * 9 + 3) - (8 * 3 * 16 + 3)
    assert count(other.generator) - count(plain.generator) == refined
    z = torch.randn(2, other.generator.code_dim)
    assert other.average(z).shape == (2, 3, 64, 64)
    assert [p.shape for p in other.average.parameters()] == [
        p.shape for p in other.generator.parameters()
    ]
