"""How alike two images are: peak signal-to-noise ratio and structural similarity."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.errors import CourseError
from course_utils.metrics.inputs import as_images, check_whole


def psnr(recon, x) -> float:
    """Return the peak signal-to-noise ratio in decibels, averaged over images.

    For each image -10 log10 of the mean squared error on [0, 1]: 20 dB is an error of a tenth per
    pixel, and every halving of it adds 6 dB. The mean over images is not that of the mean error.

    Args:
        recon, x: images (N, C, H, W), uint8 or float in [0, 1].

    Raises CourseError for bad images, other shapes, and images that are equal: the ratio is
    infinite.
    """
    recon, x = pair(recon, x)
    error = (recon.double() - x.double()).square().flatten(1).mean(1)
    if not error.all():
        raise CourseError(f"{int((error == 0).sum())} images are equal; their ratio is infinite")
    return float((-10 * error.log10()).mean())


def ssim(recon, x, window: int = 7) -> float:
    """Return the structural similarity, at most 1, averaged over places and images.

    Means, variances and covariances in square windows of equal weight, each channel by itself, as
    scikit-image computes it by default. Source: Wang et al. 2004, IEEE TIP 13.

    Args:
        recon, x: images (N, C, H, W), uint8 or float in [0, 1].
        window: pixels along a side, odd, at most the image's.

    Raises CourseError for bad images, other shapes, and a window that does not fit.
    """
    recon, x = pair(recon, x)
    check_whole(window, "window", min(x.shape[2:]), " (the image)")
    if window % 2 == 0 or window < 3:
        raise CourseError(f"window is {window}; it must be odd, 3 or more")

    def mean(values: torch.Tensor) -> torch.Tensor:
        """Return the mean over each window that fits (N, C, H - window + 1, ...)."""
        return F.avg_pool2d(values, window, stride=1)

    a, b = recon.double(), x.double()
    mean_a, mean_b = mean(a), mean(b)
    unbiased = window**2 / (window**2 - 1)
    var_a = unbiased * (mean(a * a) - mean_a**2)
    var_b = unbiased * (mean(b * b) - mean_b**2)
    together = unbiased * (mean(a * b) - mean_a * mean_b)
    c_1, c_2 = 0.01**2, 0.03**2  # so that black windows divide by something
    alike = (2 * mean_a * mean_b + c_1) * (2 * together + c_2)
    apart = (mean_a**2 + mean_b**2 + c_1) * (var_a + var_b + c_2)
    return float((alike / apart).mean())


def pair(recon, x) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two sets of images on the CPU; raise CourseError unless they have one shape."""
    recon, x = as_images(recon, "recon").cpu(), as_images(x, "x").cpu()
    if recon.shape != x.shape:
        raise CourseError(f"recon is {tuple(recon.shape)}, x is {tuple(x.shape)}; one shape each")
    return recon, x
