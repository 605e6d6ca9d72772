"""Claims: statements about results that are measured, recorded and judged, never typed.

The statements are in book/claims/CHAPTER.toml, what was measured in book/claims/CHAPTER.json. This
module needs the standard library alone, so that the book can be built without torch.
"""

from __future__ import annotations

import datetime
import functools
import json
import math
import os
import re
import statistics
import tomllib
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from course_utils import console, folders, provenance, runtime
from course_utils.errors import CourseError

NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
ONE_SIDED = re.compile(rf"(<|<=|>|>=) ({NUMBER})")
BETWEEN = re.compile(rf"({NUMBER}) \.\. ({NUMBER})")
# what a claim may be about; the last two are made, not loaded: they are there in every process
DATA = ("mnist", "fashion-mnist", "lfw", "drawn faces", "photographs", "points", "none")
MADE = {"points": "points", "none": "no data"}
WORDS = {  # of the fields with a fixed choice
    "judged": ("always", "full"),
    "kind": ("claim", "goal", "expectation"),
    "stated": ("before", "after", None),
}


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
        chapter: name of the file: "01", "scoring".
        recipes: the runs that the value comes from.
        kind: "claim" must hold; "goal" is a target that may be missed; "expectation" is what was
            expected and may be refuted, which then stays and is said.
        stated: whether the bound was written down "before" or "after" the value had been seen.
        data: what it is about: names of DATA, more than one with ", " between them.
    """

    id: str
    says: str
    metric: str
    bound: str
    judged: str
    chapter: str
    recipes: tuple[str, ...] = ()
    kind: str = "claim"
    stated: str | None = None
    data: str = "mnist"

    def met(self, value: float) -> bool:
        """Tell whether `value` meets the bound; NaN and infinity never do."""
        return math.isfinite(value) and within(value, self.bound)

    @property
    def about(self) -> str:
        """What lines and records call its data: "mnist", "no data"."""
        return ", ".join(MADE.get(name, name) for name in self.data.split(", "))

    def has_its_data(self) -> bool:
        """Tell whether this process loaded the data that the claim names, and no stand-in."""
        used = provenance.data_used()
        named = [name for name in self.data.split(", ") if name not in MADE]
        return all(name in used and used[name].counts for name in named)

    def measured_on(self) -> str:
        """Return on which data a value of this claim is measured in this process."""
        return self.about if self.has_its_data() else provenance.data_in_use()


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


def _read(path: Path) -> tuple[Claim, ...]:
    """Return the claims of one file."""
    try:
        return _parsed(path.read_text(encoding="utf-8"), path.stem)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise CourseError(f"{path}: {error}; see CONTRIBUTING.md") from None


@functools.lru_cache(maxsize=64)  # a notebook judges twenty times, and each asks for all chapters
def _parsed(text: str, chapter: str) -> tuple[Claim, ...]:
    """Return the claims that the text of a file states."""
    return tuple(_claim(entry, chapter) for entry in tomllib.loads(text).get("claim", []))


def _claim(entry: dict, chapter: str) -> Claim:
    """Return the claim that an entry states; raise ValueError naming the field that is wrong."""
    if not isinstance(entry, dict):
        raise ValueError(f"a claim is {entry!r}; each begins with [[claim]]")
    name = entry.get("id", "a claim without id")
    known = {field.name: field.default is MISSING for field in fields(Claim)}
    if unknown := sorted(set(entry) - set(known) | {"chapter"} & set(entry)):
        raise ValueError(f"{name}: the field {unknown[0]!r} is unknown")
    recipes = entry.get("recipes", [])
    if not isinstance(recipes, list) or not all(isinstance(recipe, str) for recipe in recipes):
        raise ValueError(f'{name}: recipes is {recipes!r}; it is a list of names, ["ae"]')
    entry = entry | {"chapter": chapter, "recipes": tuple(recipes)}
    if missing := [field for field, needed in known.items() if needed and field not in entry]:
        raise ValueError(f"{name}: the field {missing[0]!r} is missing")
    for field in ("id", "says", "metric", "bound", "data"):
        if not isinstance(entry.get(field, ""), str):
            raise ValueError(f"{name}: {field} is {entry[field]!r}; it is a text, in quotes")
    claim = Claim(**entry)
    for field, choice in WORDS.items():
        if getattr(claim, field) not in choice:
            raise ValueError(f"{name}: {field} is {getattr(claim, field)!r}, not one of {choice}")
    if not (ONE_SIDED.fullmatch(claim.bound) or BETWEEN.fullmatch(claim.bound)):
        raise ValueError(f"{name}: the bound {claim.bound!r} cannot be read")
    if (between := BETWEEN.fullmatch(claim.bound)) and float(between[1]) > float(between[2]):
        raise ValueError(f"{name}: no value lies in the bound {claim.bound!r}; turn it round")
    if strange := [data for data in claim.data.split(", ") if data not in DATA]:
        raise ValueError(f"{name}: data {strange[0]!r} is not one of {', '.join(DATA)}")
    return claim


def records(where: Path | None = None) -> dict[str, dict]:
    """Return what was recorded, by claim id.

    Raises CourseError for a file that cannot be read, and for a record that is no longer what was
    measured: it has a hash of its own, beside those from before there were any.
    """
    found: dict[str, dict] = {}
    for path in sorted((where or folder()).glob("*.json")):
        found |= read_records(path)
    return found


def read_records(path: Path) -> dict[str, dict]:
    """Return the records of one file, as `records` does."""
    try:
        known = dict(json.loads(folders.read_text(path)))
        seals = {id: record.pop("seal", None) for id, record in known.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise CourseError(f"{path} is no readable record ({error})") from None
    for id, found in seals.items():
        if found is not None and found != seal(id, known[id]):
            raise CourseError(
                f"the record of {id} in {path} is not what was measured: it was changed by hand, "
                "or damaged; restore the file, or record the chapter again"
            )
    return known


def as_json(found: dict[str, dict]) -> str:
    """Return the content of a file of records, each with its hash."""
    sealed = {id: record | {"seal": seal(id, record)} for id, record in found.items()}
    return json.dumps(sealed, indent=1, ensure_ascii=False) + "\n"


def seal(id: str, record: dict) -> str:
    """Return a short hash of a record and of the claim that it belongs to."""
    return folders.seal({"id": id, **record})[:16]


def judge(id: str, value: float, spread: float | None = None, n: int | None = None) -> None:
    """Print what became of a claim: met, missed, or not judged in this profile or on these data.

    Args:
        id: of a claim in book/claims.
        value: measured; a scalar tensor will do.
        spread: standard deviation over runs, and
        n: their number, where there was more than one.

    Raises CourseError for an unknown id, and for a record of a stale run; ClaimMissed when the
    bound is not met by a claim (a goal may be missed, an expectation refuted).
    """
    claim = load().get(id)
    if claim is None:
        raise CourseError(f"claim {id!r} is not stated in {folder()}")
    value = float(value)
    if claim.judged == "full" and runtime.profile() != "full":
        console.say(f"– {id}: judged in full")
        return
    if claim.judged == "full" and not claim.has_its_data():
        console.say(f"– {id}: judged in full, on {claim.data}")
        return
    console.say(line(claim, value, spread, n))
    if os.environ.get("COURSE_RECORD"):
        record(claim, value, spread, n, Path(os.environ["COURSE_RECORD"]))
    if not claim.met(value) and claim.kind == "claim":
        raise ClaimMissed(f"{id} is {value:.4g}, not {claim.bound}: {claim.says}")


def over_runs(values: Iterable[float]) -> dict:
    """Return the value, spread and n that `judge` takes, from one number per run.

    The value is their mean, the spread their standard deviation (None for a single run). Raises
    CourseError where there are none.
    """
    values = [float(value) for value in values]
    if not values:
        raise CourseError("there are no runs to average over")
    spread = statistics.stdev(values) if len(values) > 1 else None
    return {"value": statistics.fmean(values), "spread": spread, "n": len(values)}


def line(claim: Claim, value: float, spread: float | None, n: int | None) -> str:
    """Return the line that `judge` prints for a claim that it judged."""
    mark = "✓" if claim.met(value) else "✗"
    runs = f" ± {spread:.2g} ({n} seeds)" if spread is not None else ""
    stated = f"; stated {claim.stated}" if claim.stated else ""
    where = f"({runtime.profile()}, {claim.measured_on()}{stated})"
    link = " " if claim.met(value) else ", expected "
    return f"{mark} {claim.id}: {value:.4g}{runs}{link}{shown(claim.bound)} {where}"


def shown(bound: str) -> str:
    """Return a bound as it is read after a value: "1 .. 2" as "in 1 .. 2"."""
    return f"in {bound}" if BETWEEN.fullmatch(bound) else bound


def record(claim: Claim, value: float, spread, n, where: Path) -> None:
    """Put a judged value into the record of its chapter, below `where`.

    Device and versions are those of the runs that the claim names. But its cells may lean on more,
    as a yardstick or a referee, and nobody lists these: so no run that the process uses may be
    stale. Raises CourseError where one is: the code of today would give another.
    """
    if stale := [run for run in provenance.runs_used() if run.stale]:
        raise CourseError(
            f"{claim.id} may rest on a stale run of {stale[0].recipe}, seed {stale[0].seed} "
            f"({stale[0].stale}); nothing is recorded beside it: delete it and train again"
        )
    runs = [run for recipe in claim.recipes for run in provenance.runs_used(recipe)]
    path = where / f"{claim.chapter}.json"
    known = read_records(path) if path.exists() else {}
    known[claim.id] = {
        "value": float(f"{value:.6g}"),
        "spread": None if spread is None else float(f"{float(spread):.3g}"),
        "n": n,
        "profile": runtime.profile(),
        "data": claim.measured_on(),
        **computed_on(runs),
        "date": datetime.date.today().isoformat(),
    }
    in_order = {id: known[id] for id in load() if id in known}
    folders.write_atomically(path, as_json(in_order))


def computed_on(runs: list[provenance.RunUse]) -> dict:
    """Return device and versions of the runs behind a value; of this process where there are none.

    Where runs differ, all are named: "cpu (...) and cuda (...)".
    """
    if not runs:
        return {"device": provenance.device_in_use(), "versions": provenance.versions()}
    names = dict.fromkeys(name for run in runs for name in run.versions)
    return {
        "device": all_of(run.device for run in runs),
        "versions": {n: all_of(r.versions[n] for r in runs if n in r.versions) for n in names},
    }


def all_of(words: Iterable[str]) -> str:
    """Return the different ones among `words`, in order, joined by "and"."""
    return " and ".join(dict.fromkeys(words))


@dataclass(frozen=True)
class Verdict:
    """What the committed record says about one claim."""

    claim: Claim
    record: dict | None

    @property
    def state(self) -> str:
        """Return "met", "missed" (a goal), "refuted" (an expectation), "failed" or "unrecorded"."""
        if self.record is None:
            return "unrecorded"
        if self.claim.met(self.record["value"]):
            return "met"
        return {"goal": "missed", "expectation": "refuted", "claim": "failed"}[self.claim.kind]

    @property
    def acceptable(self) -> bool:
        """Tell whether the claims check may pass with this verdict."""
        return self.state in ("met", "missed", "refuted")


def check(where: Path | None = None) -> list[Verdict]:
    """Judge every record against its claim; a record without a claim is an error too."""
    claims, known = load(where), records(where)
    orphans = set(known) - set(claims)
    if orphans:
        raise CourseError(f"recorded but not stated: {', '.join(sorted(orphans))}")
    return [Verdict(claim, known.get(id)) for id, claim in claims.items()]
