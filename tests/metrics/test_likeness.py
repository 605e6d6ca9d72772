"""PSNR and SSIM against scikit-image and torchmetrics."""

import numpy as np
import pytest
import torch

from course_utils import metrics
from course_utils.errors import CourseError


@pytest.fixture
def images():
    """Return smooth images and noisy copies."""
    torch.manual_seed(0)
    x = torch.nn.functional.interpolate(torch.rand(5, 1, 7, 7), size=28, mode="bilinear")
    return (x + 0.1 * torch.randn(5, 1, 28, 28)).clamp(0, 1), x


def test_psnr_is_torchmetrics_image_by_image(images):
    oracle = pytest.importorskip("torchmetrics.functional.image").peak_signal_noise_ratio
    recon, x = images
    each = [oracle(a, b, data_range=1.0) for a, b in zip(recon, x, strict=True)]
    assert metrics.psnr(recon, x) == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)
    together = float(oracle(recon, x, data_range=1.0))
    assert metrics.psnr(recon, x) != pytest.approx(together, abs=1e-4)


def test_psnr_by_hand():
    x = torch.zeros(2, 1, 8, 8)
    assert metrics.psnr(x + 0.1, x) == pytest.approx(20)
    assert metrics.psnr(x + 0.05, x) == pytest.approx(20 + 20 * np.log10(2))
    grey = torch.full((1, 1, 8, 8), 51, dtype=torch.uint8)
    assert metrics.psnr(grey, x[:1]) == pytest.approx(-20 * np.log10(0.2))


@pytest.mark.parametrize("window", [7, 11])
def test_ssim_is_scikit_images(images, window):
    similarity = pytest.importorskip("skimage.metrics").structural_similarity
    recon, x = images
    each = [
        similarity(a[0].double().numpy(), b[0].double().numpy(), data_range=1.0, win_size=window)
        for a, b in zip(recon, x, strict=True)
    ]
    assert metrics.ssim(recon, x, window) == pytest.approx(np.mean(each), rel=1e-6)


def test_ssim_by_loops(images):
    """One window at a time, with numpy's variances."""
    a, b = (t[0, 0].double().numpy() for t in images)
    values = []
    for i in range(22):
        for j in range(22):
            p, q = a[i : i + 7, j : j + 7].ravel(), b[i : i + 7, j : j + 7].ravel()
            covariance = np.cov(p, q)
            top = (2 * p.mean() * q.mean() + 1e-4) * (2 * covariance[0, 1] + 9e-4)
            below = (p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (np.trace(covariance) + 9e-4)
            values.append(top / below)
    assert metrics.ssim(images[0][:1], images[1][:1]) == pytest.approx(np.mean(values), rel=1e-6)


def test_equal_images_are_alike(images):
    assert metrics.ssim(images[1], images[1]) == pytest.approx(1)
    with pytest.raises(CourseError, match="5 images are equal; their ratio is infinite"):
        metrics.psnr(images[1], images[1])


def test_bad_input_is_refused(images):
    recon, x = images
    with pytest.raises(CourseError, match="one shape each"):
        metrics.psnr(recon[:2], x)
    with pytest.raises(CourseError, match=r"logits want a sigmoid"):
        metrics.psnr(recon * 3, x)
    with pytest.raises(CourseError, match="it must be odd"):
        metrics.ssim(recon, x, 4)
    with pytest.raises(CourseError, match=r"window is 29; it can be at most 28"):
        metrics.ssim(recon, x, 29)
