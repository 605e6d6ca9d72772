"""What is trained, and how good it is: recipes, train, evaluate."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from course_utils import folders, runtime
from course_utils.commands.options import DeviceOption, ProfileOption, SeedOption
from course_utils.errors import CourseError


def recipes(
    names: Annotated[
        list[str] | None, typer.Argument(help="With * for whatever; all if left out.")
    ] = None,
) -> None:
    """List what can be trained by name.

    In the order of the chapters, with the number of epochs in the full profile. A description that
    begins with ... goes on from the one above it.
    """
    from course_utils import recipes

    for name in recipes.chosen(names or ["*"]):
        found = recipes.get(name)
        typer.echo(f"{name:32} {found.full.epochs:3}  {found.says}")


def train(
    recipe: Annotated[str, typer.Argument(help="For example ae; `course recipes` lists them.")],
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
        typer.echo(
            f"course: {str(error) or 'stopped by hand'}\nTo go on:  {again} --resume", err=True
        )
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


def train_command(recipe, profile, seed, device=None, threads=None, out=None) -> str:
    """Return the command that trains a run, with the options that were given."""
    words = ["course", "train", recipe]
    options = {
        "--profile": profile, "--seed": seed or None, "--device": device, "--threads": threads,
        "--out": out,
    }  # fmt: skip
    for option, value in options.items():
        words += [option, str(value)] if value is not None else []
    return shlex.join(words)


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

    chosen = runtime.device(device)  # a wrong name is told before anything else happens
    folder = folders.located(run)
    if not folders.exists(folder) and Path(run).name == run:  # a name and no path: a recipe's
        from course_utils import runs

        folder = runs.plan(run, seed, profile).folder
        if not folders.exists(folder):
            made = train_command(run, profile, seed)
            raise CourseError(f"no such run of the recipe {run!r} is kept; make one: {made}")
    result = scoring.score_again(folder, split, chosen)
    typer.echo(f"{result.title}\n{'':20} {'now':>12} {'recorded':>12}")
    for name, now, recorded in result.rows:
        typer.echo(f"{name:20} {now:12.4f} {recorded:12.4f}")
    typer.echo(result.verdict)
    raise typer.Exit(0 if result.agrees else 1)
