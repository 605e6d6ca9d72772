"""The teaching package of the course: what a notebook imports.

Nothing heavy happens here: `import course_utils` is free, and each module imports what it needs.
"""

__version__ = "0.1.0"
