"""What chapter 03 writes out by hand computes what the package computes."""

import by_hand
import pytest
import torch

from course_utils import losses, recipes
from course_utils.data import plane

pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def written():
    """Return what the chapter writes out, by name."""
    return by_hand.written(
        "03_denoising_autoencoder", "spoil", "Denoiser", "Pointer", "denoising_loss", "total",
        "best_linear",
    )  # fmt: skip


@pytest.fixture
def x():
    """Return twenty images."""
    return torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def pair(written):
    """Return the notebook's network and the package's, with the same weights."""
    ours, theirs = written["Denoiser"](), recipes.get("dense_0.3").build()
    with torch.no_grad():
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(its)
    return ours, theirs


@pytest.mark.parametrize("noise", [{"sigma": 0.3}, {"masked": 0.5}, {"sigma": 0.2, "masked": 0.1}])
def test_the_noise_is_the_packages(written, x, noise):
    torch.manual_seed(1)
    ours = written["spoil"](x, **noise)
    torch.manual_seed(1)
    assert torch.equal(ours, losses.corrupted(x, **noise))
    assert not torch.equal(ours, x)


def test_the_network_is_the_packages(pair, x):
    ours, theirs = pair
    assert torch.allclose(ours(x), theirs.reconstruct(x), atol=1e-6)
    assert torch.allclose(ours.encode(x), theirs.encode(x), atol=1e-6)


def test_it_starts_as_the_packages_does(written):
    torch.manual_seed(0)
    ours = written["Denoiser"]()
    for layer in (ours.hidden, ours.back):
        assert not layer.bias.any()
        limit = (6 / (784 + 512)) ** 0.5
        assert 0.99 * limit < layer.weight.abs().max() <= limit


@pytest.mark.parametrize("noise", [{"sigma": 0.3}, {"sigma": 0.0, "masked": 0.5}])
def test_the_loss_is_the_packages(written, pair, x, noise):
    ours, theirs = pair
    torch.manual_seed(2)
    loss = written["denoising_loss"](ours, x, **noise)["loss"]
    torch.manual_seed(2)
    expected = losses.denoising(theirs, x, **noise)["loss"]
    torch.testing.assert_close(loss, expected)


def test_the_total_is_the_sources(written):
    """Half the squared error, summed over as many images as there are test images."""
    z = torch.zeros(50, 784)
    assert written["total"](z + 2, z) == pytest.approx(0.5 * 4 * 784 * 10_000)


def test_what_points_is_a_denoiser(written):
    """Without noise it returns what it is given; with endless noise, what its layers say."""
    torch.manual_seed(0)
    pointer = written["Pointer"]()
    x = plane.spots("quick").test.x[:100]
    almost_none = torch.full((100, 1), 1e-4)
    assert (pointer(x, almost_none) - x).abs().max() < 1e-2


@pytest.mark.parametrize("noise", [{"sigma": 0.3}, {"masked": 0.5}, {"sigma": 0.2, "masked": 0.25}])
def test_the_best_linear_map_is_least_squares_on_many_noisy_images(written, noise):
    """The oracle knows no covariance: it sees 400,000 noisy images and the clean ones."""
    generator = torch.Generator().manual_seed(0)
    parts = torch.rand(400_000, 3, generator=generator).double()
    mixing = torch.rand(3, 6, generator=generator).double()
    clean = parts @ mixing / 3
    written["mean"], written["covariance"] = clean.mean(0), torch.cov(clean.T)
    written["power"] = clean.square().mean(0)
    torch.manual_seed(1)
    noisy = written["spoil"](clean, **noise)
    ours = written["best_linear"](**noise)(noisy).double()
    ones = torch.ones(len(noisy), 1).double()
    fitted = torch.linalg.lstsq(torch.cat([noisy, ones], 1), clean).solution
    theirs = torch.cat([noisy, ones], 1) @ fitted
    assert (ours - theirs).abs().max() < 0.01
    assert (ours - clean).square().mean() < 0.6 * (noisy - clean).square().mean()
