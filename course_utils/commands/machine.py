"""What the machine has, and what it lacks: doctor, data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from course_utils import folders
from course_utils.errors import CourseError


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
    if hub and (alignment or archive):
        raise CourseError("the hub has the original photographs; leave --alignment, --archive out")
    found.refuse_unknown(**options)
    root = folders.data_dir()
    place = root / found.folder
    if found.missing(root):
        typer.echo(f"Fetching {found.title} into {place} ...")
        found.fetch(root, archive and folders.located(archive), **options)
        typer.echo(f"{found.title} is in {place}, verified")
        return
    found.refuse_other(root, **options)
    if verify:
        typer.echo(f"{found.title} in {place} {found.verify(root)}")
    else:
        typer.echo(f"{found.title} is already in {place}; --verify checks it")
