"""Printing where the terminal or file cannot write every sign, as with Windows' code pages."""

from __future__ import annotations

import codecs
import sys

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


def say(line: str) -> None:
    """Print a line on standard output, with plain signs where it cannot write others."""
    try:
        print(line)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        print(line.encode(encoding, "course-plain").decode(encoding))
