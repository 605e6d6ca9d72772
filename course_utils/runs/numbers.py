"""Numbers that take minutes to measure, kept beside the run that they were measured on."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from course_utils import folders
from course_utils.errors import CourseError
from course_utils.runs.folder import MEASURED, Run, held


def measured(run: Run, what: str, compute: Callable[[], float]) -> float:
    """Return a number measured on a finished run: the kept one, else computed now and kept.

    The number belongs to the weights: where they are others, it is measured anew. Delete
    measured.json in the run's folder to measure all of them again.

    Args:
        run: finished.
        what: names everything that the number depends on beside the weights, for people too:
            "bound of 5000 codes, 10000 test images, nats".
        compute: called without arguments where the number is not known.

    Raises CourseError when measured.json is damaged, cannot be written, or the number is not
    finite.
    """
    path = run.path / MEASURED
    weights = run.info["weights_sha256"]
    values = kept(path, weights)
    if what not in values:
        value = float(compute())
        if not math.isfinite(value):
            raise CourseError(f"{what} of {run.path.name} came out as {value}; it is not kept")
        with held(run.path):
            values = kept(path, weights) | {what: value}  # other processes may have added theirs
            content = {"weights_sha256": weights, "values": values}
            folders.write_json(path, content)
    return values[what]


def kept(path: Path, weights: str) -> dict[str, float]:
    """Return what was measured on these weights, by name; nothing where they are others.

    Raises CourseError when the file is damaged.
    """
    try:
        known = folders.read_json(path) if folders.exists(path) else {}
        return dict(known["values"]) if known.get("weights_sha256") == weights else {}
    except (ValueError, KeyError, TypeError, AttributeError, folders.Damaged) as error:
        raise CourseError(f"{path} cannot be read ({error}); delete it to measure again") from None
