"""The `course` command. `course --help` says what there is; each command has a --help of its own.

A mistake of the person at the keyboard ends with a message and exit status 2, Ctrl-C with 130, a
check that fails with 1.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer.core import TyperGroup

import course_utils
from course_utils import commands, console
from course_utils.commands.evidence import claims
from course_utils.commands.kept_runs import runs
from course_utils.commands.machine import data, doctor
from course_utils.commands.training import evaluate, recipes, train
from course_utils.errors import CourseError


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
    help="Train, score and check what the course on autoencoders shows.\n\n"
    "Begin with `course doctor`; `course COMMAND --help` says more.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def print_version(wanted: bool) -> None:
    """Print the version, and end there."""
    if wanted:
        typer.echo(course_utils.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command; its help is that of `app`."""


for command in (doctor, data, recipes, train, evaluate, runs, claims):
    app.command()(command)


def mount_those_of_the_clone() -> None:
    """Add the commands that a clone has: bench, book, test, and those of instructors."""
    from course_tools import commands

    commands.mount(app)


if commands.in_clone():
    mount_those_of_the_clone()


def main() -> None:
    """Run the command that the command line names."""
    console.be_lenient()
    app(prog_name="course")


if __name__ == "__main__":
    sys.exit(main())
