"""Where a cell of chapter 04 looks for binarised images, which live in `derived`."""

from course_utils.data.derived import binarised

__all__ = ["binarised"]
