"""How sharp images are, in one number that does not depend on their contrast."""

from __future__ import annotations

from course_utils.errors import CourseError
from course_utils.metrics.inputs import as_images


def sharpness(images) -> float:
    """Return the gradient energy of images over their contrast, averaged over images.

    For each image: the sum of squared differences between neighbouring pixels (right and below),
    over the sum of squared deviations from the mean (of each channel). This is the mean squared
    spatial frequency of the image: from 0, flat, to 8, a chessboard of single pixels. Brightness
    and contrast cancel. Smoothing by diffusion lowers it always, since it damps each frequency the
    more the higher it is. Noise is high frequency too, so read it beside a measure of fidelity. An
    image of a single grey has no edges and counts 0.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1], at least two pixels high and wide.

    Raises CourseError for bad images.
    """
    x = as_images(images, "images").cpu().double()
    if min(x.shape[2:]) < 2:
        raise CourseError(f"images are {x.shape[2]} x {x.shape[3]}; an edge needs two pixels")
    across, down = x.diff(dim=3).square(), x.diff(dim=2).square()
    edges = across.sum((1, 2, 3)) + down.sum((1, 2, 3))  # (N,)
    contrast = (x - x.mean((2, 3), keepdim=True)).square().sum((1, 2, 3))
    flat = contrast < 1e-12
    return float((edges / contrast.masked_fill(flat, 1)).masked_fill(flat, 0).mean())
