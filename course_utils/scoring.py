"""Scoring a finished run again, for `course evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from course_utils.runs import load
from course_utils.runs.driver import in_order

TOLERANCE = 1e-3  # another machine sums in another order; a wrong file is much further off


@dataclass(frozen=True)
class Score:
    """Loss terms of a run, computed now, beside those of run.json.

    Attributes:
        title: what was scored on what.
        rows: (term, now, recorded), per image.
        verdict: a sentence.
        agrees: False when the data are the recorded ones and a term differs.
    """

    title: str
    rows: list[tuple[str, float, float]]
    verdict: str
    agrees: bool


def score_again(folder: Path, split: str, device: torch.device) -> Score:
    """Load the run in `folder` and compute its loss terms on a split of the data at hand.

    Args:
        folder: of a finished run.
        split: "train", "val" or "test".
        device: where to compute.

    Raises CourseError when there is no such run, or its files are damaged.
    """
    run = load(folder)
    dataset = run.recipe.data(profile=run.profile)
    batches = in_order(getattr(dataset, split), device)
    now = run.recipe.score(run.recipe, run.model.to(device), batches)
    then = {name.removeprefix(f"{split}_"): value for name, value in run.metrics.items()
            if name.startswith(f"{split}_")}  # fmt: skip
    nothing = float("nan")  # agrees with no number
    rows = [(name, now.get(name, nothing), then.get(name, nothing)) for name in {**now, **then}]
    title = f"{run.recipe.name}, {run.profile}, seed {run.seed}: {split} of {dataset}"
    if dataset.sha256 != run.info.get("data_sha256"):
        verdict = f"other images: the run was scored on {run.info.get('data')}"
        return Score(title, rows, verdict, agrees=True)
    agrees = all(abs(a - b) <= TOLERANCE * max(abs(b), 1e-6) for _, a, b in rows)
    verdict = "as recorded" if agrees else "NOT as recorded: the weights or the code have changed"
    return Score(title, rows, verdict, agrees)
