"""What was trained and is kept: runs, listed, deleted, fetched and packed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course_utils import folders
from course_utils.console import counted
from course_utils.errors import CourseError


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

    verb = names[0] if names and names[0] in ("fetch", "pack") else ""
    if (place and verb != "fetch") or (out and verb != "pack"):
        raise CourseError("--from goes with `course runs fetch`, --out with `course runs pack`")
    wanted = {"stale": stale, "unfinished": unfinished, "damaged": damaged}
    states = {state for state, on in wanted.items() if on}
    if verb and (states or delete):
        raise CourseError(f"`course runs {verb}` takes names alone, no states and no --delete")
    if verb:
        ship(verb, names[1:], place, out)
        return
    if delete and not names and not states:
        raise CourseError("--delete wants to know which runs: name them, or say --stale, ...")
    place = folders.runs_dir()
    found = catalogue.chosen(catalogue.kept_runs(place), names or [], states)
    for line in catalogue.table(found):
        typer.echo(line)
    total = catalogue.readable_size(sum(run.size for run in found))
    typer.echo(f"{counted(len(found), 'run')}, {total}, in {place}")
    if delete and found and (yes or typer.confirm("Delete them?")):
        delete_runs(found)


def ship(verb: str, names: list[str], place: str, out: Path | None) -> None:
    """Fetch runs of the book, or pack runs for a release."""
    from course_utils.runs import shipping

    if verb == "fetch":
        came = shipping.fetch(names, place, typer.echo)
        typer.echo(f"{counted(len(came), 'run')} fetched into {folders.runs_dir()}")
    elif out is None:
        raise CourseError("into which folder? course runs pack --out DIR")
    else:
        files = shipping.pack(out, names, typer.echo)
        typer.echo(f"{counted(len(files) - 1, 'run')} and their index in {folders.located(out)}")


def delete_runs(found: list) -> None:
    """Delete runs, and say what stays."""
    from course_utils.runs import catalogue

    for run in found:
        left = catalogue.delete(run)
        if left:
            typer.echo(f"{run.path} stays, since it holds what is not the course's: {left[0]}")
    typer.echo(f"deleted {counted(len(found), 'run')}")
