"""The `course` command. `course --help` says what there is; each command has a --help of its own.

A mistake of the person at the keyboard ends with a message and exit status 2, Ctrl-C with 130, a
check that fails with 1. torch is imported by the commands that compute, not before.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperGroup

from course_utils import claims as course_claims
from course_utils import console, folders, runtime
from course_utils.options import DeviceOption, ProfileOption, SeedOption
from course_utils.runtime import CourseError


class Course(TyperGroup):
    """Turns a CourseError into a message, whichever command raised it."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except CourseError as error:
            typer.echo(f"course: {error}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("course: stopped by hand", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=Course,
    help="Train, score and check what the course on autoencoders shows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command that the command line names."""
    console.be_lenient()
    app(prog_name="course")


# ------------------------------------------------------------------------------ doctor and data


@app.command()
def doctor() -> None:
    """Say what this machine has, and how to get what it lacks.

    Exit status 1 when the course cannot run here.
    """
    from course_utils import doctor

    problems = 0
    for topic, found, problem in doctor.findings():
        typer.echo(f"{topic:12} {found}")
        if problem:
            problems += 1
            typer.echo(f"{'':12} -> {problem}")
    raise typer.Exit(1 if problems else 0)


@app.command()
def data(
    collection: Annotated[str, typer.Argument(metavar="mnist|fashionmnist|lfw")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the files again and check their SHA-256.")
    ] = False,
    archive: Annotated[
        Path | None, typer.Option(help="Take it from this file instead of the network.")
    ] = None,
    alignment: Annotated[
        str | None, typer.Option(help="Of LFW: deepfunneled, funneled or original.")
    ] = None,
    hub: Annotated[bool, typer.Option("--hub", help="LFW from Activeloop's hub.")] = False,
) -> None:
    """Fetch a data set, or verify the one that is there.

    It goes to COURSE_DATA, else to the cache, and is verified before it is kept; nothing is fetched
    twice, and no other file is touched. COURSE_MIRROR names an address or a folder to ask first.
    """
    from course_utils.data import COLLECTIONS

    found = COLLECTIONS.get(collection.lower().replace("-", ""))
    if found is None:
        names = ", ".join(COLLECTIONS)
        raise CourseError(f"collection {collection!r} is unknown; choose one of: {names}")
    options = {"alignment": alignment} if alignment else {}
    options |= {"from_hub": True} if hub else {}
    if options and found.command != "lfw":
        raise CourseError("--alignment and --hub are for lfw alone; leave them out")
    root = folders.data_dir()
    place = root / found.folder
    if found.missing(root):
        typer.echo(f"Fetching {found.title} into {place} ...")
        found.fetch(root, archive and folders.located(archive), **options)
        typer.echo(f"{found.title} is in {place}, verified")
    elif verify:
        typer.echo(f"{found.title} in {place} is what was published: {found.verify(root)}")
    else:
        typer.echo(f"{found.title} is already in {place}; --verify checks it")


# --------------------------------------------------------------------------- train and evaluate


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="For example ae; a wrong name lists them all.")],
    profile: ProfileOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="On the processor; COURSE_THREADS, else all cores if they are idle, else one.",
            min=1,
            max=1024,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last finished epoch, if there is one.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; named by its settings in COURSE_RUNS if left out."),
    ] = None,
) -> None:
    """Train a named run of the book and print what it reached.

    A finished run is never trained over: it is reported, and kept. An interrupted one is begun
    anew, unless you say --resume: that gives the same weights as if nothing had happened.
    """
    from course_utils import runs
    from course_utils import train as training

    runtime.device(device)  # a wrong name is told before anything else happens
    folder = runs.plan(recipe, seed, profile, out).folder
    done = runs.finished(folder)
    announce(folder, done, resume)
    try:
        run = runs.run(recipe, seed, profile, device, out=out, resume=resume, threads=threads)
    except (training.Interrupted, KeyboardInterrupt) as error:
        again = train_command(recipe, profile, seed, device, threads, out)
        typer.echo(f"course: {str(error) or 'stopped by hand'}\nTo go on:  {again}", err=True)
        raise typer.Exit(130) from None
    if not done:
        precision = run.info["precision"]
        typer.echo(f"trained {run.info['seconds']} s in {precision} on {run.info['device']}")
    typer.echo(f"{recipe}, {run.profile}, seed {run.seed}, on {run.info['data']}:")
    for name, value in run.metrics.items():
        typer.echo(f"  {name:24} {value:.4f}")
    typer.echo(f"in {run.path}")


def announce(folder: Path, done: bool, resume: bool) -> None:
    """Say what becomes of a run that is there already."""
    unfinished = folders.exists(folder / "checkpoint.safetensors")
    if done:
        typer.echo("already trained, and kept; to train it again, delete its folder or name --out")
    elif unfinished and resume:
        typer.echo("resuming the interrupted run")
    elif unfinished:
        typer.echo("starting afresh, over an interrupted run; --resume would have gone on with it")
    elif resume:
        typer.echo("nothing to resume: starting afresh")


def train_command(recipe, profile, seed, device, threads, out) -> str:
    """Return the command that resumes a training, with the options that were given."""
    words = ["course", "train", recipe]
    options = {
        "--profile": profile, "--seed": seed or None, "--device": device, "--threads": threads,
        "--out": out,
    }  # fmt: skip
    for option, value in options.items():
        words += [option, str(value)] if value is not None else []
    return shlex.join([*words, "--resume"])


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="Folder of a finished run, or a recipe's name.")],
    split: Annotated[
        Literal["train", "val", "test"], typer.Option(help="Images to score.")
    ] = "test",
    profile: ProfileOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = None,
) -> None:
    """Score a finished run again, beside what was recorded.

    --profile and --seed choose among the runs of a recipe. Exit status 1 when the run was recorded
    on these very images and a term differs by more than one part in a thousand.
    """
    from course_utils import scoring

    folder = folders.located(run)
    if not folders.exists(folder) and run_is_a_name(run):
        from course_utils import runs

        folder = runs.plan(run, seed, profile).folder
    result = scoring.score_again(folder, split, runtime.device(device))
    typer.echo(f"{result.title}\n{'':20} {'now':>12} {'recorded':>12}")
    for name, now, recorded in result.rows:
        typer.echo(f"{name:20} {now:12.4f} {recorded:12.4f}")
    typer.echo(result.verdict)
    raise typer.Exit(0 if result.agrees else 1)


def run_is_a_name(run: str) -> bool:
    """Tell whether an argument names a recipe, or at least no folder."""
    from course_utils import recipes

    return run in recipes.names() or Path(run).name == run


@app.command()
def runs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders or recipes, with * for whatever; all if left out. Before them: fetch, "
            "to fetch runs of the book, or pack, to pack them for a release.",
            metavar="[fetch|pack] [NAMES]",
        ),
    ] = None,
    place: Annotated[
        str, typer.Option("--from", help="With fetch: address or folder of a release.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="With pack: a folder for the files.")] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Those made with other code.")] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Those interrupted, with their checkpoint.")
    ] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="Those that do not load.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete what was chosen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --delete: do not ask.")] = False,
) -> None:
    """List the runs that are kept, and delete some.

    A stale run was made with other code of its model, loss or training than today's: it is loaded
    all the same, but no claim is recorded from it. --delete wants names, --stale, --unfinished or
    --damaged, and removes files of the course only.

    `course runs fetch ae` fetches the runs of a recipe as the book shows them, checked by their
    hashes, so that nobody has to train for hours.
    """
    from course_utils.runs import catalogue

    if names and names[0] in ("fetch", "pack"):
        ship(names[0], names[1:], place, out)
        return
    if place or out:
        raise CourseError("--from goes with `course runs fetch`, --out with `course runs pack`")
    wanted = {"stale": stale, "unfinished": unfinished, "damaged": damaged}
    states = {state for state, on in wanted.items() if on}
    if delete and not names and not states:
        raise CourseError("--delete wants to know which runs: name them, or say --stale, ...")
    place = folders.runs_dir()
    found = catalogue.chosen(catalogue.kept_runs(place), names or [], states)
    for line in catalogue.table(found):
        typer.echo(line)
    total = catalogue.readable_size(sum(run.size for run in found))
    typer.echo(f"{len(found)} runs, {total}, in {place}")
    if delete and found and (yes or typer.confirm("Delete them?")):
        delete_runs(found)


def ship(verb: str, names: list[str], place: str, out: Path | None) -> None:
    """Fetch runs of the book, or pack runs for a release."""
    from course_utils.runs import shipping

    if verb == "fetch":
        came = shipping.fetch(names, place, typer.echo)
        typer.echo(f"{len(came)} runs fetched into {folders.runs_dir()}")
    elif out is None:
        raise CourseError("into which folder? course runs pack --out DIR")
    else:
        files = shipping.pack(out, names, typer.echo)
        typer.echo(f"{len(files) - 1} runs and their index in {folders.located(out)}")


def delete_runs(found: list) -> None:
    """Delete runs, and say what stays."""
    from course_utils.runs import catalogue

    for run in found:
        left = catalogue.delete(run)
        if left:
            typer.echo(f"{run.path} stays, since it holds what is not the course's: {left[0]}")
    typer.echo(f"deleted {len(found)} runs")


# ---------------------------------------------------------------------------------------- claims


@app.command()
def claims(
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
        typer.Option(help="Of a rerun: relative difference allowed where no spread is known."),
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
        raise typer.Exit(rerun_claims(rerun, whole, sample, minutes, seed, tolerance))
    verdicts = course_claims.check()
    if as_json:
        rows = [claim_record(verdict) for verdict in verdicts]
        typer.echo(json.dumps(rows, indent=1))  # in ASCII: whole in every encoding
    else:
        for verdict in verdicts:
            typer.echo(claim_line(verdict))
    bad = [v.claim.id for v in verdicts if not v.acceptable]
    if not as_json:
        typer.echo(f"{len(verdicts)} claims, {len(verdicts) - len(bad)} in order")
    if check and bad:
        typer.echo(f"course: not in order: {', '.join(bad)}", err=True)
        raise typer.Exit(1)


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
    if not in_clone():
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


# ---------------------------------------------------------------------------------- in the clone


def in_clone() -> bool:
    """Tell whether the authors' tools are there: in a clone, not in an installed package."""
    return importlib.util.find_spec("course_tools") is not None


def mount_those_of_the_clone() -> None:
    """Add the commands that a clone has: bench, book, test, and those of instructors."""
    from course_tools import commands

    commands.mount(app)


if in_clone():
    mount_those_of_the_clone()

if __name__ == "__main__":
    sys.exit(main())
