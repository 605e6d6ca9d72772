"""What authors and instructors run from the clone; imports course_utils, never the reverse."""
