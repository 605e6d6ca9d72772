"""The one exception that the course raises on purpose."""

from __future__ import annotations


class CourseError(Exception):
    """A mistake that the person at the keyboard can mend; the message says how."""
