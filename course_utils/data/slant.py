"""Where cells of chapter 05 look for the slant, which lives in `derived`."""

from course_utils.data.derived import QUARTERS, slant, slant_limits

__all__ = ["QUARTERS", "slant", "slant_limits"]
