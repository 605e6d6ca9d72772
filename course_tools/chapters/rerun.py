"""Measure one claim again, from training to judgement, without touching what is kept."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat

from course_tools.chapters import execute, rules
from course_utils import claims, runtime
from course_utils.runtime import CourseError

SPREADS = 3  # standard deviations over seeds that a new value may be away


@dataclass(frozen=True)
class Comparison:
    """A claim's recorded value and a fresh one: what to print, and whether they agree."""

    text: str
    agrees: bool


def rerun(id: str, tolerance: float) -> Comparison:
    """Train the claim's recipes anew, execute its chapter, and compare with the record.

    Args:
        id: of a recorded claim.
        tolerance: relative to the value or its bound, allowed where the record has no spread.

    The runs of other recipes are taken from those that are kept. Raises CourseError for a claim
    that is unknown, unrecorded or not judged by its chapter; execute.CellFailed when a cell raises.
    """
    claim, record = known(id)
    path = execute.find([claim.chapter], rules.FOLDER)[0]
    print(f"{id}: training {', '.join(claim.recipes) or 'nothing'}, then executing {path.name}")
    with tempfile.TemporaryDirectory() as folder:
        runs, judged = Path(folder, "runs"), Path(folder, "judged")
        link_runs(runtime.runs_dir(), runs, claim.recipes)
        with environment(COURSE_RUNS=str(runs)):
            execute.run_cells(nbformat.read(path, as_version=4), path, record["profile"], judged)
        fresh = claims_in(judged / f"{claim.chapter}.json").get(id)
    if fresh is None:
        raise CourseError(f"{path.name} did not judge {id!r} on these data: real ones are needed")
    return compare(claim, record, fresh, tolerance)


def known(id: str) -> tuple[claims.Claim, dict]:
    """Return a claim and its record; raise CourseError when either is missing."""
    claim, record = claims.load().get(id), claims.records().get(id)
    if claim is None:
        raise CourseError(f"claim {id!r} is unknown; `course claims` lists them all")
    if record is None:
        raise CourseError(f"claim {id!r} has no record yet, so there is nothing to compare with")
    return claim, record


def link_runs(kept: Path, runs: Path, without: tuple[str, ...]) -> None:
    """Make a folder `runs` that holds all kept runs, but those of the recipes in `without`."""
    runs.mkdir(parents=True)
    for run in kept.glob("*/run.json"):
        name = run.parent.name
        if name.rsplit("-", 3)[0] in without:  # RECIPE-PROFILE-sSEED-KEY
            continue
        try:
            os.symlink(run.parent.resolve(), runs / name, target_is_directory=True)
        except OSError:  # Windows, without the right to make links
            shutil.copytree(run.parent, runs / name)


@contextlib.contextmanager
def environment(**variables: str):
    """Set environment variables for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def claims_in(path: Path) -> dict:
    """Return the records in a file; none where nothing was judged."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def compare(claim: claims.Claim, record: dict, fresh: dict, tolerance: float) -> Comparison:
    """Judge a fresh record by the stored one: within three spreads, or within the tolerance."""
    before, now = record["value"], fresh["value"]
    if record.get("spread"):
        allowed, words = SPREADS * record["spread"], f"{SPREADS} spreads"
    else:
        # a value that ought to be 0 is measured by its bound
        scale = max(abs(before), *(abs(float(n)) for n in re.findall(claims.NUMBER, claim.bound)))
        allowed, words = tolerance * scale, f"{tolerance:.1%} of {scale:.4g}"
    agrees = abs(now - before) <= allowed and (claim.met(now) or not claim.met(before))
    lines = (
        f"recorded  {before:.6g}  ({record['device']}, {record['date']})",
        f"now       {now:.6g}  ({fresh['device']}, {fresh['date']})",
        f"differ by {abs(now - before):.3g}, allowed {allowed:.3g} ({words}); "
        f"bound {claims.shown(claim.bound)}: {'met' if claim.met(now) else 'missed'}",
        "reproduced" if agrees else "NOT reproduced",
    )
    return Comparison("\n".join(lines), agrees)
