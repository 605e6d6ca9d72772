"""Classical denoisers: scikit-image's own results, images one by one, and projections by hand."""

import numpy as np
import pytest
import torch

from course_utils import denoisers, metrics
from course_utils.errors import CourseError

restoration = pytest.importorskip("skimage.restoration")


@pytest.fixture
def pair():
    """Return four clean pictures of squares, and noisy ones."""
    torch.manual_seed(0)
    clean = torch.zeros(4, 1, 28, 28)
    for i, image in enumerate(clean):
        image[:, 5 + i : 15 + i, 8:20] = 1
    return clean, clean + 0.3 * torch.randn_like(clean)


@pytest.mark.parametrize(
    "denoise",
    [lambda x: denoisers.non_local_means(x, 0.3), lambda x: denoisers.total_variation(x, 0.3)],
)
def test_noise_goes_and_squares_stay(pair, denoise):
    clean, noisy = pair
    made = denoise(noisy)
    assert made.shape == clean.shape
    assert made.min() >= 0 and made.max() <= 1
    assert metrics.psnr(made, clean) > metrics.psnr(noisy.clamp(0, 1), clean) + 4
    alone = torch.cat([denoise(one[None]) for one in noisy])
    assert torch.equal(made, alone)


def test_they_are_scikit_images(pair):
    image = pair[1][0, 0].double().numpy()
    by_nl = restoration.denoise_nl_means(
        image, patch_size=5, patch_distance=5, h=0.5 * 0.3, sigma=0.3
    )
    made = denoisers.non_local_means(pair[1][:1], 0.3, h=0.5)[0, 0]
    assert np.allclose(made, by_nl.clip(0, 1), atol=1e-6)
    by_tv = restoration.denoise_tv_chambolle(image, weight=0.1)
    made = denoisers.total_variation(pair[1][:1], 0.1)[0, 0]
    assert np.allclose(made, by_tv.clip(0, 1), atol=1e-6)


def test_closing_fills_dark_spots_that_are_smaller_than_its_square():
    """By hand: the largest of each square, then the least of each square of these."""
    x = torch.zeros(1, 1, 12, 12)
    x[:, :, 2:10, 2:10] = 0.8
    x[0, 0, 5, 5] = 0  # a hole of one pixel
    made = denoisers.closing(x, 3)
    whole = x.clone()
    whole[0, 0, 5, 5] = 0.8
    assert torch.equal(made, whole)
    pooled = torch.nn.functional.max_pool2d(x, 3, stride=1, padding=1)
    assert torch.equal(made, -torch.nn.functional.max_pool2d(-pooled, 3, stride=1, padding=1))
    assert torch.equal(denoisers.closing(x, 1), x)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, None])
def test_closing_refuses_a_square_without_a_size(pair, size):
    with pytest.raises(CourseError, match="whole number of pixels"):
        denoisers.closing(pair[0], size)


def test_masked_images_have_no_sigma(pair):
    assert denoisers.non_local_means(pair[0][:1], 0.0).isfinite().all()


def test_components_are_a_projection(pair):
    torch.manual_seed(1)
    train = torch.rand(50, 1, 6, 6)
    components = metrics.pca(train, 10)
    noisy = torch.rand(3, 1, 6, 6) * 2 - 0.5
    basis = components.directions[:4].numpy()
    mean = components.mean.numpy()
    expected = mean + (noisy.flatten(1).double().numpy() - mean) @ basis.T @ basis
    made = denoisers.by_components(noisy, components, 4)
    assert np.allclose(made.flatten(1), expected.clip(0, 1), atol=1e-5)


def test_bad_input_is_refused(pair):
    noisy = pair[1]
    with pytest.raises(CourseError, match=r"sigma is -1, h is 0\.8"):
        denoisers.non_local_means(noisy, -1)
    with pytest.raises(CourseError, match=r"sigma is 0\.3, h is 0"):
        denoisers.non_local_means(noisy, 0.3, 0)
    with pytest.raises(CourseError, match="weight is 0"):
        denoisers.total_variation(noisy, 0)
    with pytest.raises(CourseError, match=r"noisy images are floats"):
        denoisers.total_variation((noisy * 255).to(torch.uint8))
    with pytest.raises(CourseError, match=r"images are \(N, 1, H, W\) here"):
        denoisers.total_variation(noisy.expand(4, 3, 28, 28))
    with pytest.raises(CourseError, match="NaN"):
        denoisers.total_variation(noisy / 0)


def test_the_best_setting_is_that_with_the_least_noise_left(pair):
    clean, noisy = pair

    def mixed(x, share):
        return share * clean + (1 - share) * x.clamp(0, 1)

    assert denoisers.best_setting(mixed, (0.1, 0.9, 0.5), noisy, clean) == 0.9
    with pytest.raises(CourseError, match="no settings"):
        denoisers.best_setting(mixed, (), noisy, clean)
