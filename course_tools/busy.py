"""`course bench --busy`: how much longer a quick run takes on a machine that has other work.

A quick run is trained on the machine as it is, then beside one process per core that computes
without pause, in turns; medians are compared. Half of each core is left then, so twice the time is
the least that can be expected of a run that had all cores to itself.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm.auto import tqdm

from course_utils import recipes, runs, runtime
from course_utils.errors import CourseError

RECIPES = ("ae", "vae", "cvae_both")
ROUNDS = 3
WORK = "while True: pass"
BEGUN = 0.5  # seconds after which the processes are at work
COLUMNS = {  # of the printed table: what it is called there, and how it is formatted
    "recipe": ("recipe", "{}"),
    "alone_seconds": ("s alone", "{:.2f}"),
    "alone_threads": ("threads", "{}"),
    "busy_seconds": ("s beside others", "{:.2f}"),
    "busy_threads": ("threads", "{}"),
    "busy_ratio": ("times", "{:.2f}"),
}


def records(names: list[str], device: str | None = None, rounds: int = ROUNDS) -> list[dict]:
    """Return one flat record per recipe.

    Args:
        names: of recipes; three of the book where empty.
        device: "cpu", "cuda", ...; the best there is where None.
        rounds: runs of each kind.

    Keys: `alone_seconds` and `busy_seconds` are medians of a quick run's time by the clock,
    `busy_ratio` their ratio, `…_threads` those that the runs chose, `busy_processes` how many
    others computed, `idle_cores` how many cores were idle at first: where these are fewer than
    there are, the run was never alone.

    Raises CourseError for an unknown recipe or device, or fewer than one round.
    """
    if rounds < 1:
        raise CourseError(f"{rounds} rounds measure nothing; give 1 or more")
    for name in names:
        recipes.get(name)  # a misspelt name before any time is spent
    runtime.device(device)
    return [measure(name, device, rounds) for name in names or RECIPES]


def measure(name: str, device: str | None, rounds: int) -> dict:
    """Return the record of one recipe."""
    idle = runtime.idle_cores()
    train(name, device)  # reads data, builds kernels
    alone, busy = [], []
    for _ in tqdm(range(rounds), name, unit="round", disable=None, leave=False):
        alone.append(train(name, device))
        with busy_cores() as processes:
            busy.append(train(name, device))
    alone_seconds, busy_seconds = (
        statistics.median(seconds for seconds, _ in some) for some in (alone, busy)
    )
    run = alone[-1][1]
    return {
        "recipe": name,
        "data": run.info["data"],
        "device": run.info["device"],
        "idle_cores": round(idle, 1),
        "busy_processes": processes,
        "alone_seconds": round(alone_seconds, 6),
        "alone_threads": run.info.get("threads"),
        "busy_seconds": round(busy_seconds, 6),
        "busy_threads": busy[-1][1].info.get("threads"),
        "busy_ratio": round(busy_seconds / alone_seconds, 2),
    }


def train(name: str, device: str | None) -> tuple[float, runs.Run]:
    """Train a quick run from nothing; return its seconds, and the run."""
    with tempfile.TemporaryDirectory(prefix="course-busy-") as folder:
        started = time.perf_counter()
        run = runs.run(
            name, profile="quick", device=device, out=Path(folder, "run"), progress=False
        )
        return time.perf_counter() - started, run


@contextlib.contextmanager
def busy_cores() -> Iterator[int]:
    """Let one process per core compute without pause during the block; yield their number."""
    command = [sys.executable, "-c", WORK]
    with contextlib.ExitStack() as stack:
        for _ in runtime.cores():
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
        time.sleep(BEGUN)
        yield len(runtime.cores())
