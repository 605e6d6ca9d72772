"""Measure claims again, from training to judgement, without touching what is kept.

Of the chapter only what a claim rests on is executed (see `slices`), and of the kept runs none
that the claim names is used: they are trained anew.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from course_tools.chapters import execute, slices, stored
from course_tools.chapters.cells import code_cells
from course_utils import claims, runtime
from course_utils.errors import CourseError

SPREADS = 3  # standard deviations over seeds that a new value may be away


@dataclass(frozen=True)
class Comparison:
    """A claim's recorded value and a fresh one: what to print, and whether they agree."""

    text: str
    agrees: bool


def rerun(
    id: str,
    tolerance: float,
    whole: bool = False,
    runs: Path | None = None,
    seconds: float | None = None,
) -> Comparison:
    """Train the claim's runs anew, measure it as its chapter does, and compare with the record.

    Args:
        id: of a recorded claim.
        tolerance: relative to the value or its bound, allowed where the record has no spread.
        whole: execute the whole chapter, not only what the claim rests on.
        runs: a folder whose runs may be used as they are; where None, all kept ones but those
            that the claim names.
        seconds: that it may take.

    Raises CourseError for a claim that is unknown, unrecorded or not judged by its chapter;
    execute.CellFailed when a cell raises, execute.OutOfTime when it takes longer.
    """
    claim, record = known(id)
    path, nb = notebook_of(claim)
    part = nb if whole else sliced(nb, id)
    trained = " and ".join(claim.recipes) or "nothing"
    count = "all cells" if whole else f"{len(part.cells)} of {len(code_cells(nb))} cells"
    print(f"{id}: training {trained}, then {count} of {path.name}", flush=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        judged = Path(folder, "judged")
        if runs is None:
            runs = Path(folder, "runs")
            link_runs(runtime.runs_dir(), runs, claim.recipes)
        with environment(COURSE_RUNS=str(runs)):
            execute.run_cells(part, path, record["profile"], judged, seconds)
        fresh = claims_in(judged / f"{claim.chapter}.json").get(id)
    if fresh is None:
        raise CourseError(
            f"{path.name} did not judge {id!r} on these data: it is judged on {claim.about}"
        )
    return compare(claim, record, fresh, tolerance, time.perf_counter() - started)


def sample(n: int, minutes: float, seed: int, tolerance: float) -> Iterator[tuple[str, bool]]:
    """Measure claims drawn at random again, in so many minutes; yield what came of each.

    Args:
        n: how many, at most.
        minutes: in all, shared evenly: what one leaves, the next ones have.
        seed: of the draw, so that it can be repeated.
        tolerance: as in `rerun`.

    Runs that two of the claims share are trained once, and none that was kept is used.

    Yields the words to print, and whether they are no reason to worry.
    """
    stated = claims.load()
    drawn = draw(list(claims.records()), n, seed)
    named = {recipe for id in drawn for recipe in stated[id].recipes}
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        link_runs(runtime.runs_dir(), Path(folder), tuple(named))
        for number, id in enumerate(drawn):
            share = (end - time.monotonic()) / (len(drawn) - number)
            try:
                if share <= 0:
                    raise execute.OutOfTime
                found = rerun(id, tolerance, runs=Path(folder), seconds=share)
                yield found.text, found.agrees
            except execute.OutOfTime:
                minutes_of_it = max(share, 0) / 60
                yield f"{id}: not measured in its share of {minutes_of_it:.1f} minutes", True


def draw(ids: list[str], n: int, seed: int) -> list[str]:
    """Return `n` of the ids, or all where there are fewer, in random order."""
    if n < 1:
        raise CourseError(f"{n} claims are none to measure; give 1 or more")
    return random.Random(seed).sample(sorted(ids), min(n, len(ids)))


def notebook_of(claim: claims.Claim) -> tuple[Path, NotebookNode]:
    """Return the notebook that judges a claim, and its file."""
    for path in stored.chapters(stored.FOLDER):
        nb = nbformat.read(path, as_version=4)
        if claim.id in stored.judged_in(nb):
            return path, nb
    raise CourseError(f"no notebook judges {claim.id!r}")


def sliced(nb: NotebookNode, id: str) -> NotebookNode:
    """Return a notebook of the code alone that the claim `id` rests on."""
    kept = slices.backward(slices.statements(nb), id)
    return new_notebook(cells=[new_code_cell(source) for source in slices.as_cells(kept)])


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
    runs.mkdir(parents=True, exist_ok=True)
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
    return claims.read_records(path) if path.exists() else {}


def compare(
    claim: claims.Claim, record: dict, fresh: dict, tolerance: float, seconds: float = 0.0
) -> Comparison:
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
        ("reproduced" if agrees else "NOT reproduced") + f" in {seconds:.0f} s",
    )
    return Comparison("\n".join(lines), agrees)
