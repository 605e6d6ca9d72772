"""What the book claims, and what was measured: claims."""

from __future__ import annotations

import fnmatch
import json
from typing import Annotated

import typer

from course_utils import claims as course_claims
from course_utils import commands
from course_utils.console import counted
from course_utils.errors import CourseError


def claims(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of claims, with * for whatever; all if left out.", metavar="ID"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit status 1 when a claim fails or has no record.")
    ] = False,
    rerun: Annotated[
        str | None,
        typer.Option(help="Train and measure again what this claim rests on.", metavar="ID"),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="With --rerun: execute the whole chapter.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(help="The same for N claims drawn at random.", metavar="N")
    ] = None,
    minutes: Annotated[float, typer.Option(help="With --sample: that it may take.", min=0)] = 30,
    seed: Annotated[int, typer.Option(help="With --sample: of the draw.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead.")] = False,
    tolerance: Annotated[
        float,
        typer.Option(
            help="Of a rerun: relative difference allowed where no spread is known.", min=0
        ),
    ] = 0.02,
) -> None:
    """List what the book claims and what was measured; check it.

    --json prints a list of flat records: id, chapter, says, metric (with its unit), bound, kind
    (claim, goal, expectation), stated (before or after the value had been seen, or null), judged,
    state (met, missed, refuted, failed, unrecorded), and of the record value and spread (in the
    metric's unit), n_seeds, profile, data, device, date.

    --rerun ID trains what this claim rests on anew, executes those lines of its chapter that lead
    to it, and compares: exit status 1 where the value is another. --sample N does so for N claims.
    """
    if rerun or sample is not None:
        if rerun and sample is not None:
            raise CourseError("--rerun names a claim and --sample draws some; give one of them")
        if names:
            raise CourseError(f"{names[0]!r} is one too many: --rerun ID measures one claim again")
        raise typer.Exit(rerun_claims(rerun, whole, sample, minutes, seed, tolerance))
    if whole:
        raise CourseError("--whole goes with --rerun ID")
    verdicts = chosen(course_claims.check(), names or ["*"])
    if as_json:
        rows = [claim_record(verdict) for verdict in verdicts]
        typer.echo(json.dumps(rows, indent=1))  # in ASCII: whole in every encoding
    else:
        for verdict in verdicts:
            typer.echo(claim_line(verdict))
    bad = [v.claim.id for v in verdicts if not v.acceptable]
    if not as_json:
        typer.echo(f"{counted(len(verdicts), 'claim')}, {len(verdicts) - len(bad)} in order")
    if check and bad:
        typer.echo(f"course: not in order: {', '.join(bad)}", err=True)
        raise typer.Exit(1)


def chosen(verdicts: list[course_claims.Verdict], names: list[str]) -> list[course_claims.Verdict]:
    """Return the verdicts on claims whose ids fit a name, with * and ? for whatever.

    Raises CourseError for a name that fits none.
    """
    ids = [verdict.claim.id for verdict in verdicts]
    fitting = {name: fnmatch.filter(ids, name) for name in names}
    for name, found in fitting.items():
        if not found:
            raise CourseError(f"claim {name!r} is unknown; `course claims` lists them all")
    wanted = {id for found in fitting.values() for id in found}
    return [verdict for verdict in verdicts if verdict.claim.id in wanted]


MARKS = {"met": "✓", "missed": "○", "refuted": "○", "failed": "✗", "unrecorded": "–"}


def claim_line(verdict: course_claims.Verdict) -> str:
    """Return a claim and its record as a line for people."""
    claim, record = verdict.claim, verdict.record
    value = "no record" if record is None else f"{record['value']:.4g}"
    bound = course_claims.shown(claim.bound)
    kind = {"goal": " (a goal)", "expectation": " (an expectation)"}.get(claim.kind, "")
    return f"{MARKS[verdict.state]} {claim.id:28} {value:>10}  {bound:16} {claim.says}{kind}"


def claim_record(verdict: course_claims.Verdict) -> dict:
    """Return a claim and its record as one flat record; None for what was not recorded."""
    claim, record = verdict.claim, verdict.record or {}
    said = ("id", "chapter", "says", "metric", "bound", "kind", "stated", "judged")
    kept = ("value", "spread", "profile", "data", "device", "date")
    row = {name: getattr(claim, name) for name in said} | {"state": verdict.state}
    return row | {"n_seeds": record.get("n")} | {name: record.get(name) for name in kept}


def rerun_claims(id, whole, sample, minutes, seed, tolerance) -> int:
    """Measure one claim or some again; return the exit status: 1 where a value is another."""
    if not commands.in_clone():
        raise CourseError("a rerun executes cells of a chapter, which needs a clone")
    from course_tools.chapters import execute
    from course_tools.chapters import rerun as again

    agree = True
    try:
        if id:
            found = again.rerun(id, tolerance, whole)
            results = iter([(found.text, found.agrees)])
        else:
            results = again.sample(sample, minutes, seed, tolerance)
        for text, agrees in results:
            typer.echo(text)
            agree = agree and agrees
    except execute.CellFailed as error:
        typer.echo(error, err=True)
        return 1
    return 0 if agree else 1
