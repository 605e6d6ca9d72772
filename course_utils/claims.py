"""Claims: statements about results that are measured, recorded and judged, never typed.

The statements are in book/claims/NN.toml, what was measured in book/claims/NN.json. This module
needs the standard library alone, so that the book can be built without torch.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import statistics
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from course_utils import runtime
from course_utils.runtime import CourseError

NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
ONE_SIDED = re.compile(rf"(<|<=|>|>=) ({NUMBER})")
BETWEEN = re.compile(rf"({NUMBER}) \.\. ({NUMBER})")


class ClaimMissed(AssertionError):
    """A measured value does not meet the bound of its claim."""


@dataclass(frozen=True)
class Claim:
    """A statement about a result.

    Attributes:
        id: "chapter-topic.what".
        says: the sentence.
        metric: what is measured, with its unit, on which split.
        bound: "< 161.9", ">= 0.98" or "0.1 .. 0.2".
        judged: "always", or "full" for the full profile on real data only.
        kind: "claim" must hold; "goal" is a target that may be missed, and then says so.
        recipes: the runs that the value comes from.
        chapter: "01", from the name of the file.
    """

    id: str
    says: str
    metric: str
    bound: str
    judged: str
    chapter: str
    recipes: tuple[str, ...] = ()
    kind: str = "claim"

    def met(self, value: float) -> bool:
        """Tell whether `value` meets the bound; NaN and infinity never do."""
        return math.isfinite(value) and within(value, self.bound)


def within(value: float, bound: str) -> bool:
    """Tell whether `value` meets a bound written as "< 3", ">= 0.5" or "1 .. 2"."""
    if between := BETWEEN.fullmatch(bound):
        low, high = map(float, between.groups())
        return low <= value <= high
    sign, limit = ONE_SIDED.fullmatch(bound).groups()
    limit = float(limit)
    return {"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[
        sign
    ]


def folder() -> Path:
    """Return the folder of statements and records: the clone's, else the installed copy."""
    here = Path(__file__).resolve().parent
    clone = here.parent / "book" / "claims"
    return clone if clone.is_dir() else here / "_claims"


def load(where: Path | None = None) -> dict[str, Claim]:
    """Return all claims by id, in the order of the chapters.

    Raises CourseError for a statement that is incomplete, has an unreadable bound, or whose id
    occurs twice.
    """
    claims: dict[str, Claim] = {}
    for path in sorted((where or folder()).glob("*.toml")):
        for claim in _read(path):
            if claim.id in claims:
                raise CourseError(f"{path}: the claim {claim.id!r} is stated twice")
            claims[claim.id] = claim
    return claims


def _read(path: Path) -> list[Claim]:
    """Return the claims of one file."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("claim", [])
        claims = [
            Claim(**(entry | {"chapter": path.stem, "recipes": tuple(entry.get("recipes", ()))}))
            for entry in entries
        ]
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise CourseError(f"{path}: {error}") from None
    for claim in claims:
        readable = ONE_SIDED.fullmatch(claim.bound) or BETWEEN.fullmatch(claim.bound)
        if (
            not readable
            or claim.judged not in ("always", "full")
            or claim.kind not in ("claim", "goal")
        ):
            raise CourseError(
                f"{path}: {claim.id}: bound {claim.bound!r}, judged {claim.judged!r} or kind "
                f"{claim.kind!r} cannot be read; see CONTRIBUTING.md"
            )
    return claims


def records(where: Path | None = None) -> dict[str, dict]:
    """Return what was recorded, by claim id."""
    found: dict[str, dict] = {}
    for path in sorted((where or folder()).glob("*.json")):
        try:
            found |= json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CourseError(f"{path} is no readable record ({error})") from None
    return found


def judge(id: str, value: float, spread: float | None = None, n: int | None = None) -> None:
    """Print what became of a claim: met, missed, or not judged in this profile.

    Args:
        id: of a claim in book/claims.
        value: measured; a scalar tensor will do.
        spread: standard deviation over runs, and
        n: their number, where there was more than one.

    Raises CourseError for an unknown id, ClaimMissed when a claim's bound is not met.
    """
    claim = load().get(id)
    if claim is None:
        raise CourseError(f"claim {id!r} is not stated in {folder()}")
    value = float(value)
    in_full = runtime.profile() == "full" and not runtime.data_in_use().startswith("drawn")
    if claim.judged == "full" and not in_full:
        print(f"– {id}: judged in full")
        return
    met = claim.met(value)
    print(line(claim, value, spread, n))
    if os.environ.get("COURSE_RECORD"):
        record(claim, value, spread, n, Path(os.environ["COURSE_RECORD"]))
    if not met and claim.kind == "claim":
        raise ClaimMissed(f"{id} is {value:.4g}, not {claim.bound}: {claim.says}")


def over_runs(values: Iterable[float]) -> dict:
    """Return the value, spread and n that `judge` takes, from one number per run.

    The value is their mean, the spread their standard deviation (None for a single run).
    """
    values = [float(value) for value in values]
    spread = statistics.stdev(values) if len(values) > 1 else None
    return {"value": statistics.fmean(values), "spread": spread, "n": len(values)}


def line(claim: Claim, value: float, spread: float | None, n: int | None) -> str:
    """Return the line that `judge` prints for a claim that it judged."""
    mark = "✓" if claim.met(value) else "✗"
    runs = f" ± {spread:.2g} ({n} seeds)" if spread is not None else ""
    where = f"({runtime.profile()}, {runtime.data_in_use()})"
    return f"{mark} {claim.id}: {value:.4g}{runs} {shown(claim.bound)} {where}"


def shown(bound: str) -> str:
    """Return a bound as it is read after a value: "1 .. 2" as "in 1 .. 2"."""
    return f"in {bound}" if BETWEEN.fullmatch(bound) else bound


def record(claim: Claim, value: float, spread, n, where: Path) -> None:
    """Put a judged value into the record of its chapter, below `where`."""
    path = where / f"{claim.chapter}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[claim.id] = {
        "value": float(f"{value:.6g}"),
        "spread": None if spread is None else float(f"{float(spread):.3g}"),
        "n": n,
        "profile": runtime.profile(),
        "data": runtime.data_in_use(),
        "device": runtime.device_label(),
        "versions": runtime.versions(),
        "date": datetime.date.today().isoformat(),
    }
    in_order = {id: known[id] for id in load() if id in known}
    runtime.write_atomically(path, json.dumps(in_order, indent=1, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class Verdict:
    """What the committed record says about one claim."""

    claim: Claim
    record: dict | None

    @property
    def state(self) -> str:
        """Return "met", "missed" (a goal), "failed" (a claim) or "unrecorded"."""
        if self.record is None:
            return "unrecorded"
        if self.claim.met(self.record["value"]):
            return "met"
        return "missed" if self.claim.kind == "goal" else "failed"

    @property
    def acceptable(self) -> bool:
        """Tell whether the claims check may pass with this verdict."""
        return self.state in ("met", "missed")


def check(where: Path | None = None) -> list[Verdict]:
    """Judge every record against its claim; a record without a claim is an error too."""
    claims, known = load(where), records(where)
    orphans = set(known) - set(claims)
    if orphans:
        raise CourseError(f"recorded but not stated: {', '.join(sorted(orphans))}")
    return [Verdict(claim, known.get(id)) for id, claim in claims.items()]
