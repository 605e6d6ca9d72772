"""Processes that train one run after another, started and watched by `run_seeds`.

A worker reads descriptions of runs, one a line, and prints a line of JSON after each epoch and
after each run. It stops, its finished epochs kept, when its standard input ends: because Ctrl-C
stopped the parent, or the parent is no more, or nothing is left to do. To start one costs seconds,
torch and the data set; so a few do all the runs.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import queue
import signal
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
    """The workers of a parent: which seed each trains, and what they say."""

    def __init__(self) -> None:
        self.active: dict[subprocess.Popen, int] = {}
        self.idle: list[subprocess.Popen] = []
        self.said: queue.Queue[tuple[subprocess.Popen, str | None]] = queue.Queue()
        self.last: dict[subprocess.Popen, list[str]] = {}

    def start(self, one: Plan, resume: bool) -> None:
        """Let an idle worker train a run, or a new one where none is idle."""
        worker = self.idle.pop() if self.idle else self.engage()
        self.active[worker], self.last[worker] = one.seed, []
        with contextlib.suppress(OSError):  # one that died in the meantime is told of by its end
            worker.stdin.write(json.dumps(one.description | {"resume": resume}) + "\n")
            worker.stdin.flush()

    def engage(self) -> subprocess.Popen:
        """Start a worker."""
        worker = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", env=environment(),
            start_new_session=True,  # the terminal's Ctrl-C goes to the parent alone, which tells
        )  # fmt: skip
        threading.Thread(target=self.listen, args=(worker,), daemon=True).start()
        return worker

    def listen(self, worker: subprocess.Popen) -> None:
        """Pass on what a worker prints, line by line, and None at its end."""
        for line in worker.stdout:
            self.said.put((worker, line))
        self.said.put((worker, None))

    def next_row(self) -> tuple[int, dict | None]:
        """Wait for the next epoch of a run; return its seed and row, None for the row at its end.

        Raises the CourseError that a worker reports, or one that shows why it died.
        """
        while True:
            worker, line = self.said.get()
            if line is None:
                self.mourn(worker)
                continue
            if worker not in self.active:  # a last word of an idle one
                continue
            seed, report = self.active[worker], as_report(line)
            if "error" in report:
                kind = Diverged if report["kind"] == "Diverged" else CourseError
                raise kind(f"seed {seed}: {report['error']}")
            if "finished" in report:
                self.idle.append(worker)
                return self.active.pop(worker), None
            if "epoch" in report:
                return seed, report
            self.last[worker] = [*self.last[worker], line][-TOLD:]
            if line.startswith("waiting for "):
                print(line, end="", file=sys.stderr, flush=True)

    def mourn(self, worker: subprocess.Popen) -> None:
        """Forget a worker that ended; raise CourseError when it was in the midst of a run."""
        release(worker)
        status = worker.wait()
        if worker in self.idle:
            self.idle.remove(worker)
        if worker in self.active:
            raise CourseError(
                f"the process of seed {self.active.pop(worker)} ended with status {status}; it "
                "said last:\n" + "".join(self.last[worker])
            )

    def dismiss(self) -> None:
        """Stop all workers, and wait until they have."""
        crew = [*self.active, *self.idle]
        for worker in crew:
            with contextlib.suppress(OSError):
                worker.stdin.close()
        for worker in crew:
            try:
                worker.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            release(worker)
        self.active.clear()
        self.idle.clear()


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


class Orders:
    """The lines of standard input, read as they come; None at its end."""

    def __init__(self) -> None:
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        self.busy = False
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        """Wait for lines. At the end interrupt a training, as Ctrl-C does."""
        # Unbuffered: a buffer would be locked by this thread when the process wants to end.
        with open(0, "rb", buffering=0, closefd=False) as orders:
            for line in orders:
                self.lines.put(line)
        self.lines.put(None)
        if self.busy:
            _thread.interrupt_main()

    def __iter__(self):
        while (line := self.lines.get()) is not None:
            self.busy = True
            yield json.loads(line)
            self.busy = False


def work(order: dict) -> int:
    """Train the run that is described; return the exit status."""
    try:
        run(
            recipe_of(order), order["seed"], order["profile"], "cpu", resume=order["resume"],
            progress=False, threads=1, on_epoch=report,
        )  # fmt: skip
    except Interrupted:
        return 130
    except CourseError as error:
        report({"error": str(error), "kind": type(error).__name__})
        return 2
    report({"finished": order["seed"]})
    return 0


def report(what: dict) -> None:
    """Tell the parent, if it still listens."""
    with contextlib.suppress(OSError):
        print(json.dumps(what), flush=True)


def main() -> int:
    """Train the runs that standard input names; return the exit status."""
    # A shell's background job ignores Ctrl-C, and hands that down: the end of orders would be, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        for order in Orders():
            if status := work(order):
                return status
        return 0
    return 130
