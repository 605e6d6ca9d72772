"""A submission in a process of its own, with limits of time, memory and output.

The process can do whatever its user may do: this keeps accidents and pranks away from the other
submissions, not a determined attacker from the machine. The guide says how to isolate it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from course_tools.editions.harness import sign

KEPT = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TEMP", "TMP", "PYTHONPATH", "VIRTUAL_ENV")
POLL = 0.05  # seconds
GRACE = 5  # seconds, for a cell that its alarm did not end
START_SECONDS = 180  # for imports and data on a busy machine
STARTING_BYTES = 150  # of the events before the first cell: two lines come then


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        cell_seconds: of one cell; a check that trains is one too.
        seconds: of the whole, each time that it is started.
        memory_megabytes: beyond what PyTorch takes when it is imported.
        output_bytes: of what it prints.
        file_megabytes: of one file that it writes.
        restarts: how many cells that stop the process may be left out, one after the other.
    """

    cell_seconds: float = 60
    seconds: float = 300
    memory_megabytes: int = 2048
    output_bytes: int = 2_000_000
    file_megabytes: int = 64
    restarts: int = 4


@dataclass
class Outcome:
    """What became of a job.

    Attributes:
        verdicts: of each check, by the step's number: exercise, passed, state, sentence.
        errors: of cells that raised, by the step's number: name, message, line.
        stopped: steps that ended the process, by number: "hangs", "crashes", "floods the output".
        finished: the last step was reached.
        seconds: that it took.
        printed: the beginning of what was printed.
    """

    verdicts: dict[int, dict] = field(default_factory=dict)
    errors: dict[int, dict] = field(default_factory=dict)
    stopped: dict[int, str] = field(default_factory=dict)
    finished: bool = False
    seconds: float = 0.0
    printed: str = ""


def run(
    job: dict, limits: Limits, cache_folder: Path | None = None, keep: Path | None = None
) -> Outcome:
    """Run a job; start it again without a cell that stopped it, so that the others are judged.

    Args:
        job: `given`, `imports` and `steps`, as the harness takes them.
        limits: of the process.
        cache_folder: with drawn data and runs; the process gets a copy of its own.
        keep: where its cache goes when it is done, for the next ones to begin with.
    """
    outcome, began = Outcome(), time.monotonic()
    for _ in range(limits.restarts + 1):
        events, why, printed = once(job, limits, sorted(outcome.stopped), cache_folder, keep)
        outcome.printed = outcome.printed or printed
        current = None
        for event in events:
            if event["event"] == "begin":
                current = event["index"]
            elif event["event"] == "verdict":
                outcome.verdicts[event["index"]] = event
            elif event["event"] == "error":
                outcome.errors[event["index"]] = event
        if events and events[-1]["event"] == "end":
            outcome.finished = True
            break
        if current is None:  # it did not even come to its first cell
            break
        outcome.stopped[current] = why
    outcome.seconds = time.monotonic() - began
    return outcome


def once(
    job: dict,
    limits: Limits,
    skip: list[int],
    cache_folder: Path | None = None,
    keep: Path | None = None,
) -> tuple[list[dict], str, str]:
    """Run a job once; return its events, why it ended early, and what it printed first."""
    secret = secrets.token_hex(32).encode()
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as place:
        home = Path(place) / "home"
        home.mkdir()
        if cache_folder is not None and cache_folder.is_dir():
            shutil.copytree(cache_folder, home / "cache")
        asked, told = Path(place) / "job.json", Path(place) / "events"
        told.touch()
        words = job | {"skip": skip, "cell_seconds": limits.cell_seconds,
                       "memory_megabytes": limits.memory_megabytes,
                       "file_megabytes": limits.file_megabytes}  # fmt: skip
        asked.write_text(json.dumps(words), encoding="utf-8")
        command = [*without_network(), sys.executable, "-m", "course_tools.editions.harness"]
        process = subprocess.Popen(
            [*command, str(asked), str(told)], cwd=home, env=environment(home),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=os.name == "posix",
        )  # fmt: skip
        with told.open(encoding="utf-8", errors="replace") as events:  # should it be deleted
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(secret)
                process.stdin.close()
            reader = Reader(process.stdout, limits.output_bytes)
            why = watch(process, reader, events.fileno(), limits)
            end(process)
            reader.close()
            lines = events.read().splitlines()
        if keep is not None and (home / "cache").is_dir():
            shutil.copytree(home / "cache", keep, dirs_exist_ok=True)
        return signed(lines, secret), why, reader.text


class Reader:
    """Takes what a process prints, so that it never waits, and keeps the beginning."""

    def __init__(self, stream, most: int):
        self.stream, self.most, self.count, self.kept = stream, most, 0, b""
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        """Read until nothing comes."""
        with contextlib.suppress(ValueError, OSError):
            while block := self.stream.read1(65536):
                self.count += len(block)
                if len(self.kept) < 20_000:
                    self.kept += block[:20_000]

    def close(self) -> None:
        """Read what is left, and close; a process that got away keeps its end, not this one."""
        self.thread.join(timeout=2)
        if not self.thread.is_alive():
            self.stream.close()

    @property
    def text(self) -> str:
        """The beginning of what was printed."""
        return self.kept.decode("utf-8", "replace")[:20_000]

    @property
    def floods(self) -> bool:
        """Tell whether more came than is allowed."""
        return self.count > self.most


def watch(process: subprocess.Popen, reader: Reader, told: int, limits: Limits) -> str:
    """Wait for a process within its limits; return why it ended, should it not have finished."""
    began = last = time.monotonic()
    size = 0
    while process.poll() is None:
        now = time.monotonic()
        if (grown := os.fstat(told).st_size) != size:
            size, last = grown, now
        started = size > STARTING_BYTES  # before, it imports PyTorch and draws data
        patience = limits.cell_seconds + GRACE if started else START_SECONDS
        if reader.floods:
            return "floods the output"
        if now - last > patience or now - began > limits.seconds + START_SECONDS:
            return "hangs"
        time.sleep(POLL)
    return "floods the output" if reader.floods else "crashes"


def end(process: subprocess.Popen) -> None:
    """End a process with all that it started and kept in its group."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)


def signed(lines: list[str], secret: bytes) -> list[dict]:
    """Return the events that carry the right signature and number, in order."""
    found: list[dict] = []
    for line in lines:
        signature, _, text = line.partition(" ")
        if signature != sign(secret, text):
            continue
        event = json.loads(text)
        if event["number"] == len(found):
            found.append(event)
    return found


def environment(home: Path) -> dict[str, str]:
    """Return an environment without the user's settings and secrets."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, kept.get("PYTHONPATH", "").split(os.pathsep))]
    return kept | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "HOME": str(home), "USERPROFILE": str(home), "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": str(home / "matplotlib"), "MPLBACKEND": "Agg", "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "COURSE_PROGRESS": "0",
        "COURSE_PROFILE": "quick", "COURSE_SOURCE": "drawn", "COURSE_DATA": "",
        "COURSE_DEVICE": "cpu", "COURSE_CACHE": str(home / "cache"), "COURSE_MINUTE": "3",
        "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


@cache
def without_network() -> tuple[str, ...]:
    """Return the words that start a process without a network; none where that is not possible."""
    words = ("unshare", "--map-root-user", "--net", "--")
    if shutil.which("unshare") is None:
        return ()
    done = subprocess.run([*words, "true"], capture_output=True)
    return words if done.returncode == 0 else ()
