"""The `course` commands of instructors; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

OutOption = Annotated[
    Path, typer.Option(help="A new or empty folder, or an older one of these.", metavar="DIR")
]
SiteOption = Annotated[
    str,
    typer.Option(
        help="Address of the published book, for links and the wheel; set by the workflow.",
        metavar="URL",
    ),
]


def mount(app: typer.Typer) -> None:
    """Add the commands to the `course` command."""
    for command in (student, instructor, nbgrader, collect, grade):
        app.command()(command)


def student(out: OutOption, site: SiteOption = "") -> None:
    """Write the notebooks of students, without solutions.

    And the package, as a wheel. They are plain Markdown, with a first cell that sets everything up
    on Colab, in Jupyter or offline. The same clone gives the same bytes. Nothing is written into a
    folder that holds something else.
    """
    from course_tools.editions import student

    said(student.write(out, site), out)


def instructor(out: OutOption) -> None:
    """Write answers, teaching notes and slides for instructors.

    It holds the solutions of graded exercises: do not publish it.
    """
    from course_tools.editions import instructor

    said(instructor.write(out), out)


def nbgrader(out: OutOption) -> None:
    """Write the exercises as source notebooks of nbgrader.

    With BEGIN SOLUTION and END SOLUTION and its metadata, for `nbgrader generate_assignment` and
    `nbgrader autograde`. It holds the solutions of graded exercises: do not publish it.
    """
    from course_tools.editions import nbgrader_source

    said(nbgrader_source.write(out), out)


def said(paths: list[Path], out: Path) -> None:
    """Say what was written."""
    typer.echo(f"{len(paths)} notebooks in {out.absolute()}")


def collect(
    source: Annotated[Path, typer.Argument(metavar="ZIP|FOLDER", help="Of a learning platform.")],
    out: OutOption = Path("collected"),
) -> None:
    """Sort what a learning platform hands back by student.

    Names as Moodle, Canvas and Blackboard write them are understood; collected.csv says what became
    of each file. Of two files of the same name of one student the later one counts.
    """
    from course_tools.editions import collect as collecting

    found = collecting.collect(source, out)
    for name, files in found.items():
        typer.echo(f"{name}: {', '.join(files)}")
    typer.echo(f"{len(found)} students in {out.absolute()}")


def grade(
    folder: Annotated[Path, typer.Argument(help="As course collect leaves it.", metavar="FOLDER")],
    out: OutOption = Path("graded"),
    seconds: Annotated[float, typer.Option(help="That one cell may take.", min=1, max=3600)] = 60,
    memory: Annotated[
        int, typer.Option(help="In MB, beyond what PyTorch takes.", min=64, max=1_000_000)
    ] = 2048,
) -> None:
    """Grade submissions: a table, a report, feedback for each.

    It writes results.csv, report.html and feedback/STUDENT.html.

    This runs other people's code, as you: see the instructors' guide for how to isolate it. Each
    submission runs in a process of its own, in the quick profile, with limits of time, memory and
    output. What the course's own checks say counts, not what a submission prints.
    """
    from course_tools.editions import grade as grading
    from course_tools.editions.sandbox import Limits

    limits = Limits(cell_seconds=seconds, seconds=max(300.0, 10 * seconds), memory_megabytes=memory)
    rows = grading.grade(folder, out, limits, say=typer.echo)
    typer.echo(f"{len({row.student for row in rows})} students in {out.absolute()}/report.html")
