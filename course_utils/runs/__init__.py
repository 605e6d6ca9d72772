"""Runs: recipes carried out, each kept in a folder of its own.

    run = runs.run("ae", seed=3)        # loads, resumes or trains
    run.model, run.history, run.metrics["test_sse"]

A run's folder is named by a hash of everything that the run depends on. So a notebook shows how a
model is trained and never trains again what is already there.
"""

from __future__ import annotations

from course_utils.runs.driver import plan, run
from course_utils.runs.folder import Run, finished, load
from course_utils.runs.identity import describe
from course_utils.runs.numbers import measured
from course_utils.runs.seeds import run_seeds

__all__ = ["Run", "describe", "finished", "load", "measured", "plan", "run", "run_seeds"]
