"""Do pictures come in blocks? One number: steps at the blocks' edges beside steps inside."""

from __future__ import annotations

from course_utils.metrics.inputs import as_images, check_whole
from course_utils.runtime import CourseError


def blockiness(images, period: int = 2, first: int = 1) -> float:
    """Return the mean step between neighbouring pixels across block edges, over that inside.

    1 where edges are like any other place, more where pictures are made of blocks. Both directions
    count alike, and the steps of all images are put together.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1].
        period: pixels along a side of a block, at least 2.
        first: columns (and rows) before the first edge, from 1 to `period`.

    Raises CourseError for bad images, images without two edges' worth of pixels, and flat images.
    """
    check_whole(period, "period")
    check_whole(first, "first", period, " (the period)")
    x = as_images(images, "images").cpu().double()
    if period < 2 or min(x.shape[2:]) < first + period:
        raise CourseError(f"blocks of {period} pixels cannot be told in {tuple(x.shape[2:])}")
    at_edges, inside = [], []
    for dim in (2, 3):
        steps = x.diff(dim=dim).abs().transpose(dim, 0).flatten(1).mean(1)  # by place
        edge = (steps.new_tensor(range(len(steps))) + 1 - first) % period == 0
        at_edges.append(steps[edge].mean())
        inside.append(steps[~edge].mean())
    if sum(inside) == 0:
        raise CourseError("images are flat inside the blocks; there is nothing to compare with")
    return float(sum(at_edges) / sum(inside))
