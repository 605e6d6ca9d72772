"""The commands of `course`, in files by their subject; `cli` mounts them.

torch is imported by the commands that compute, not before.
"""

from __future__ import annotations

import importlib.util


def in_clone() -> bool:
    """Tell whether the authors' tools are there: in a clone, not in an installed package."""
    return importlib.util.find_spec("course_tools") is not None
