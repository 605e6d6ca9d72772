"""Processes that train one run each, started and watched by `run_seeds`.

A worker gets the description of its run as its argument and prints a line of JSON after each epoch.
It stops, its finished epochs kept, when its standard input ends: because Ctrl-C stopped the parent,
or the parent is no more.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from tqdm.auto import tqdm

import course_utils
from course_utils.errors import CourseError
from course_utils.runs.driver import Plan, run
from course_utils.runs.folder import recipe_of
from course_utils.train import Diverged, Interrupted
from course_utils.train.loop import hidden

PATIENCE = 60.0  # seconds that a worker has to stop by itself
COMMAND = (  # not -m, which would have this module twice: the package imports it
    *(sys.executable, "-c"),
    "import sys; from course_utils.runs.workers import main; sys.exit(main())",
)
TOLD = 20  # last lines of a worker that died, for the message

# ------------------------------------------------------------------------------------- the parent


def train_side_by_side(
    plans: list[Plan], at_once: int, resume: bool = True, progress: bool | None = None
) -> None:
    """Train runs, each in a process with one thread, at most `at_once` of them at a time.

    Raises Interrupted on Ctrl-C, and the CourseError of a run that fails: the others are stopped
    then, and keep their finished epochs.
    """
    waiting = list(plans)
    crew = Crew()
    epochs = {one.seed: one.recipe.settings(one.profile).epochs for one in plans}
    bar = tqdm(total=sum(epochs.values()), unit="epoch", disable=hidden(progress),
               desc=f"{len(plans)} seeds, {at_once} at once")  # fmt: skip
    reached = dict.fromkeys(epochs, 0)
    try:
        while waiting or crew.active:
            while waiting and len(crew.active) < at_once:
                crew.start(waiting.pop(0), resume)
            seed, row = crew.next_row()
            reached[seed] = epochs[seed] if row is None else row["epoch"]
            bar.update(sum(reached.values()) - bar.n)
    except KeyboardInterrupt:
        done = sum(reached[seed] == epochs[seed] for seed in epochs)
        raise Interrupted(
            f"stopped by hand; {done} of {len(plans)} runs are finished, and what the others "
            "finished of their epochs is kept; call it again to go on"
        ) from None
    finally:
        crew.dismiss()
        bar.close()


class Crew:
    """The workers of a parent, by seed, and what they say."""

    def __init__(self) -> None:
        self.active: dict[int, subprocess.Popen] = {}
        self.said: queue.Queue[tuple[int, str | None]] = queue.Queue()
        self.last: dict[int, list[str]] = {}

    def start(self, one: Plan, resume: bool) -> None:
        """Start the worker of a run."""
        order = json.dumps(one.description | {"resume": resume})
        worker = subprocess.Popen(
            [*COMMAND, order],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", env=environment(),
            start_new_session=True,  # the terminal's Ctrl-C goes to the parent alone, which tells
        )  # fmt: skip
        self.active[one.seed], self.last[one.seed] = worker, []
        threading.Thread(target=self.listen, args=(one.seed, worker), daemon=True).start()

    def listen(self, seed: int, worker: subprocess.Popen) -> None:
        """Pass on what a worker prints, line by line, and None at its end."""
        for line in worker.stdout:
            self.said.put((seed, line))
        self.said.put((seed, None))

    def next_row(self) -> tuple[int, dict | None]:
        """Wait for a worker's next epoch; return its seed and row, None for the row at its end.

        Raises the CourseError that a worker reports, or one that shows why it died.
        """
        while True:
            seed, line = self.said.get()
            if line is None:
                worker = self.active.pop(seed)
                release(worker)
                if worker.wait() != 0:
                    raise CourseError(
                        f"the process of seed {seed} ended with status {worker.returncode}; it "
                        "said last:\n" + "".join(self.last[seed])
                    )
                return seed, None
            report = as_report(line)
            if "error" in report:
                kind = Diverged if report["kind"] == "Diverged" else CourseError
                raise kind(f"seed {seed}: {report['error']}")
            if "epoch" in report:
                return seed, report
            self.last[seed] = [*self.last[seed], line][-TOLD:]
            if line.startswith("waiting for "):
                print(line, end="", file=sys.stderr, flush=True)

    def dismiss(self) -> None:
        """Stop all workers, and wait until they have."""
        for worker in self.active.values():
            with contextlib.suppress(OSError):
                worker.stdin.close()
        for worker in self.active.values():
            try:
                worker.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            release(worker)
        self.active.clear()


def release(worker: subprocess.Popen) -> None:
    """Close the pipes of a worker that has ended."""
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):
            pipe.close()


def as_report(line: str) -> dict:
    """Return the JSON that a worker printed; nothing for another line."""
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    return {}


def environment() -> dict[str, str]:
    """Return the environment of a worker: this one's, and where the course is."""
    place = str(Path(course_utils.__file__).resolve().parents[1])
    paths = [place, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "COURSE_PROGRESS": "0"}


# ------------------------------------------------------------------------------------- the worker


def stop_with_the_parent() -> None:
    """Interrupt this process, as Ctrl-C does, when its standard input ends."""
    while os.read(0, 1):
        pass
    _thread.interrupt_main()


def work(order: dict) -> int:
    """Train the run that is described; return the exit status."""
    threading.Thread(target=stop_with_the_parent, daemon=True).start()
    try:
        run(
            recipe_of(order), order["seed"], order["profile"], "cpu", resume=order["resume"],
            progress=False, threads=1, on_epoch=report,
        )  # fmt: skip
    except (Interrupted, KeyboardInterrupt):
        return 130
    except CourseError as error:
        report({"error": str(error), "kind": type(error).__name__})
        return 2
    return 0


def report(what: dict) -> None:
    """Tell the parent, if it still listens."""
    with contextlib.suppress(OSError):
        print(json.dumps(what), flush=True)


def main() -> int:
    """Do what the command line orders; return the exit status."""
    return work(json.loads(sys.argv[1]))
