"""Classical ways to take noise away, by scikit-image and scipy: the yardsticks of learnt ones."""

from __future__ import annotations

from collections.abc import Callable

import torch

from course_utils.errors import CourseError
from course_utils.metrics.inputs import as_tensor
from course_utils.metrics.likeness import psnr


def non_local_means(x, sigma: float, h: float = 0.8) -> torch.Tensor:
    """Return images in which each pixel is a mean over pixels with similar surroundings.

    Args:
        x: noisy images (N, 1, H, W), floats in any range.
        sigma: standard deviation of the noise, 0 or more.
        h: how unlike surroundings may be, in units of sigma (of 0.1 without noise), above 0.

    Returns images (N, 1, H, W) in [0, 1]. Raises CourseError for bad images and numbers. Source:
    Buades et al. 2005, CVPR; patches of 5 x 5 within 11 x 11 pixels.
    """
    if not sigma >= 0 or not h > 0:
        raise CourseError(f"sigma is {sigma}, h is {h}; sigma is 0 or more, h above 0")
    from skimage.restoration import denoise_nl_means

    def one(image):
        return denoise_nl_means(
            image, patch_size=5, patch_distance=5, h=h * (sigma or 0.1), sigma=sigma
        )

    return each(x, one)


def total_variation(x, weight: float = 0.2) -> torch.Tensor:
    """Return the images near x with little total variation: flat parts and sharp edges.

    Args:
        x: noisy images (N, 1, H, W), floats in any range.
        weight: how much the variation counts, above 0.

    Returns images (N, 1, H, W) in [0, 1]. Raises CourseError for bad images and weights. Source:
    Rudin, Osher and Fatemi 1992, Physica D 60; Chambolle's algorithm.
    """
    if not weight > 0:
        raise CourseError(f"weight is {weight}; it must be above 0")
    from skimage.restoration import denoise_tv_chambolle

    return each(x, lambda image: denoise_tv_chambolle(image, weight=weight))


def closing(x, size: int = 3) -> torch.Tensor:
    """Return images whose dark spots smaller than a square are filled: dilated, then eroded.

    For masked pixels, which are dark; grain is made worse by it.

    Args:
        x: images (N, 1, H, W), floats.
        size: side of the square in pixels, 1 or more.

    Returns images (N, 1, H, W) in [0, 1]. Raises CourseError for bad images and sizes. Source:
    Serra 1982, Image Analysis and Mathematical Morphology; scipy's `grey_closing`.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise CourseError(f"size is {size!r}; a square has a whole number of pixels, 1 or more")
    from scipy.ndimage import grey_closing

    return each(x, lambda image: grey_closing(image, size=(size, size)))


def by_components(x, components, k: int) -> torch.Tensor:
    """Return noisy images (N, C, H, W) as their first k principal components keep them, in [0, 1].

    Args:
        x: noisy images (N, C, H, W), floats in any range.
        components: what `metrics.pca` made of clean training images.
        k: components to keep.
    """
    flat = images(x).flatten(1).double() - components.mean
    directions = components.first(k)
    kept = components.mean + (flat @ directions.T) @ directions
    return kept.float().view(tuple(x.shape)).clamp(0, 1)


def best_setting(denoise: Callable, settings, noisy, clean):
    """Return the one among settings with the best PSNR: chosen on images that are not scored.

    Args:
        denoise: (noisy images, setting) -> images.
        settings: to choose from, one or more.
        noisy, clean: images (N, C, H, W); clean ones in [0, 1].

    Raises CourseError where there are no settings, and as `metrics.psnr` does.
    """
    settings = list(settings)
    if not settings:
        raise CourseError("there are no settings to choose from")
    return max(settings, key=lambda setting: psnr(denoise(noisy, setting), clean))


def each(x, denoise: Callable) -> torch.Tensor:
    """Return images (N, 1, H, W), each handed to `denoise` as an array (H, W), in [0, 1]."""
    x = images(x)
    if x.shape[1] != 1:
        raise CourseError(f"x has shape {tuple(x.shape)}; images are (N, 1, H, W) here")
    made = [torch.from_numpy(denoise(image.double().numpy())) for image in x[:, 0]]
    return torch.stack(made)[:, None].float().clamp(0, 1)


def images(x) -> torch.Tensor:
    """Return noisy images (N, C, H, W) on the CPU; raise CourseError for anything else."""
    x = as_tensor(x, "x").cpu()
    if x.ndim != 4 or not x.is_floating_point():
        raise CourseError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; noisy images are floats (N, C, H, W)"
        )
    return x
