"""Printing where the terminal or file cannot write every sign, as with Windows' code pages."""

from __future__ import annotations

import codecs
import functools
import sys
from collections.abc import Callable

from course_utils.errors import CourseError

# what stands for the signs that the course prints; "?" for any other
PLAIN = {"✓": "+", "✗": "x", "○": "o", "–": "-", "—": "-", "×": "x", "→": "->", "≥": ">=",
         "≤": "<=", "±": "+-", "σ": "sigma", "β": "beta", "…": "..."}  # fmt: skip


def plain(error: UnicodeError) -> tuple[str, int]:
    """Replace the signs that an encoding lacks; a handler of errors, as `codecs` wants it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in lacking), error.end


codecs.register_error("course-plain", plain)


def be_lenient() -> None:
    """Let standard output and error print in their own encoding, with plain signs for others.

    Called where a command starts: whatever it prints later, it does not die of a tick.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a notebook or a test took its place
            stream.reconfigure(errors="course-plain")


def command(main: Callable[..., int | None]) -> Callable[..., int]:
    """Declare above a `main` that it is a command: it returns an exit status, and never a traceback
    for a mistake of the person at the keyboard.

    A CourseError is printed on standard error and ends with 2; None counts as 0. What is printed is
    printed leniently.
    """

    @functools.wraps(main)
    def lenient(*words) -> int:
        be_lenient()
        try:
            return main(*words) or 0
        except CourseError as error:
            print(error, file=sys.stderr)
            return 2

    return lenient


def counted(n: int, thing: str) -> str:
    """Return a number of things: "1 run", "2 runs"."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def say(line: str) -> None:
    """Print a line on standard output, with plain signs where it cannot write others."""
    try:
        print(line)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        print(line.encode(encoding, "course-plain").decode(encoding))
