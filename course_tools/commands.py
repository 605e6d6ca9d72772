"""The `course` commands of a clone: time the loop, build the book, test it, hand it out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from course_tools.editions import commands as editions
from course_utils import folders
from course_utils.commands.options import DeviceOption
from course_utils.errors import CourseError


def mount(app: typer.Typer) -> None:
    """Add the commands, those of instructors among them, to the `course` command."""
    editions.mount(app)
    for command in (bench, book):
        app.command()(command)
    app.command(context_settings={"ignore_unknown_options": True})(test)


def bench(
    recipe: Annotated[
        list[str] | None, typer.Argument(help="Names; ae, with --busy three, if left out.")
    ] = None,
    busy: Annotated[
        bool,
        typer.Option("--busy", help="Time quick runs beside one busy process per core instead."),
    ] = False,
    faces: Annotated[
        bool, typer.Option("--faces", help="Time the decoding of LFW instead.")
    ] = False,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Also write the records to FILE.", metavar="FILE")
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(help="Epochs timed of each loop, 5; of the others, 3.", min=1, max=1000),
    ] = None,
    device: DeviceOption = None,
) -> None:
    """Time the course's training loop against the ordinary one.

    They take turns in one run, from the same weights, over the same batches. The ordinary loop is a
    DataLoader with PIL and ToTensor, an optimizer that is not fused, and .item() at every step.
    "times" is how much faster the course's loop is, "of matmul" which part of this machine's rate
    in a large matrix product it reaches. COURSE_PROFILE=full times epochs of all images.

    FILE is a list of flat records, one per recipe, with the units in their keys:
    …_images_per_second, …_seconds_per_epoch, speedup_ratio, speedup_cpu_ratio (by CPU time, for a
    machine that is shared), …_gflop_per_second, matmul_fraction, …_loss_per_image,
    loss_relative_difference, mnist_load_seconds.

    --busy shows how much longer a quick run takes where the machine has other work: "times" is at
    least 2 for a run that had all cores, since half of each is left, and ought not to exceed 4.

    --faces compares the course's decoding of LFW with a plain Pillow loop, and times its cache.
    """
    from course_tools import bench as benchmark
    from course_tools import busy as beside_others
    from course_tools import decoding

    if busy and faces:
        raise CourseError("--busy and --faces are two measurements; ask for one at a time")

    if as_json:  # looked at before minutes are spent
        folders.make_folder(as_json.absolute().parent)
        if folders.is_dir(as_json):
            raise CourseError(f"{as_json} is a folder; name a file in it: --json FILE")
    tool = beside_others if busy else decoding if faces else benchmark
    rows = tool.records(recipe or [], device=device, rounds=rounds or tool.ROUNDS)
    typer.echo(benchmark.table(rows, tool.COLUMNS))
    if as_json:
        folders.write_atomically(as_json, json.dumps(rows, indent=1) + "\n")


def task(name: str, *arguments: str) -> int:
    """Run a task of the clone's Makefile; return its exit status."""
    from course_tools import tasks

    return tasks.main([name, *arguments])


def book(
    chapters: Annotated[list[str] | None, typer.Argument(help="With --execute: 01, 02 ...")] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Execute the chapters first, all if none is named.")
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", help="With --execute: keep what the claims measured.")
    ] = False,
    profile: Annotated[
        str | None, typer.Option(help="Of the execution; full.", metavar="quick|full")
    ] = None,
) -> None:
    """Build the book; with --execute, run its notebooks first.

    The pages are in _build/html.
    """
    if (chapters or record or profile) and not execute:
        raise CourseError(
            "chapters, --record and --profile go with --execute; the build itself takes none"
        )
    if execute:
        execute_chapters(chapters or [], profile or "full", record)
    raise typer.Exit(task("book"))


def execute_chapters(chapters: list[str], profile: str, record: bool) -> None:
    """Execute notebooks in place; exit status 1 when a cell fails."""
    from course_tools.chapters import execute

    try:
        execute.execute(chapters, profile, record)
    except execute.CellFailed as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from None


def test(
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to pytest.")] = None,
) -> None:
    """Run the quick tests: package, notebooks, book, pages."""
    raise typer.Exit(task("test", *(arguments or [])))
