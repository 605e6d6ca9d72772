"""Every score of a set of generated images at once: a row of the tables of chapters 04 and 05."""

from __future__ import annotations

from collections.abc import Callable

from course_utils.metrics.distances import frechet_distance, kernel_distance
from course_utils.metrics.features import features_of
from course_utils.metrics.prdc import precision_recall


def sample_scores(features_fn: Callable, real, fake, k: int = 5) -> dict[str, float]:
    """Return the scores of generated images against real ones, on the features of one network.

    Read them beside a floor, other real images as `fake`, and a control that must do badly.

    Args:
        features_fn: images -> (B, D), as in `features_of`: a referee's `features`.
        real, fake: images (N, C, H, W) and (M, C, H, W), uint8 or float in [0, 1]. All scores but
            the kernel distance depend on N and M: keep them equal from row to row.
        k: neighbours, as in `precision_recall`.

    Returns "FD" (Fréchet distance), "KD" (kernel distance), "precision", "recall",
    "density" and "coverage". Raises CourseError as the metrics do.
    """
    a, b = (features_of(features_fn, x) for x in (real, fake))
    subset = min(1000, len(a), len(b))
    return {
        "FD": frechet_distance(a, b),
        "KD": kernel_distance(a, b, subset_size=subset, subsets=20).mean,
        **precision_recall(a, b, k)._asdict(),
    }
