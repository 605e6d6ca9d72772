"""Training that is killed at any moment and resumed ends with the same bytes.

The many kills train a small recipe in forked processes, so that torch is loaded once. The real
command is killed too, a few times.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from tqdm.auto import tqdm

from course_utils import checkpoint, data, recipes, runs

EPOCHS = 12
KEPT = ["history.csv", "run.json", "weights.safetensors"]
pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),  # one thread computes
]


def small(schedule="constant"):
    """Return a recipe of many short epochs: `ae` on 300 images."""
    digits = data.mnist("drawn", profile="quick")
    parts = dataclasses.replace(
        digits,
        train=digits.train.head(300),
        val=digits.val.head(50),
        test=digits.test.head(50),
    )
    settings = recipes.Settings(epochs=EPOCHS, batch_size=64, lr=3e-3, schedule=schedule)
    return dataclasses.replace(recipes.get("ae"), quick=settings, data=lambda profile=None: parts)


def train_small(out, schedule):
    """Train the small recipe in `out`, or go on with it, in a process of its own.

    tqdm's lock is shared with every fork. One that is killed while it holds the lock would stop
    all that come after it, so each takes a lock of its own.
    """
    tqdm.set_lock(threading.RLock())
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        runs.run(small(schedule), seed=1, out=out, progress=False, device="cpu")


def start(out, schedule):
    """Start `train_small` in a fork of this process."""
    process = multiprocessing.get_context("fork").Process(target=train_small, args=(out, schedule))
    process.start()
    return process


def epochs_kept(folder) -> int:
    """Return how many epochs the checkpoint holds; 0 without one."""
    path = folder / "checkpoint.safetensors"
    return len(checkpoint.load(path)[1]["history"]) if path.exists() else 0


def stamp(path) -> int:
    """Return when a file was written, 0 when it does not exist."""
    return path.stat().st_mtime_ns if path.exists() else 0


def wait_for(condition, process, seconds=300):
    """Wait until the condition holds or the process has ended."""
    deadline = time.monotonic() + seconds
    while not condition() and process.is_alive():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.001)


def kill_repeatedly(folder, kills, schedule, chance) -> list[int]:
    """Kill the training `kills` times, each some moments after one more epoch was kept.

    Returns the number of epochs kept after each kill.
    """
    path, kept = folder / "checkpoint.safetensors", []
    for i in range(kills):
        before = stamp(path)
        process = start(folder, schedule)
        try:
            if i:  # the first is killed wherever it is
                wait_for(lambda: stamp(path) != before, process)  # noqa: B023
            time.sleep(chance.uniform(0, 0.04))
        finally:
            process.kill()
            process.join()
        kept.append(EPOCHS if (folder / "run.json").exists() else epochs_kept(folder))
    return kept


def check_kills(tmp_path, kills, schedule, seed):
    """Compare a run that was killed many times with one that was not, byte by byte."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    cut.mkdir()
    for name in (".checkpoint.safetensors.1.tmp", ".weights.safetensors.2.tmp"):
        (cut / name).write_bytes(b"what a kill in mid-writing leaves")
    kept = kill_repeatedly(cut, kills, schedule, random.Random(seed))
    assert kept == sorted(kept) and len(set(kept) - {0, EPOCHS}) > 1, kept
    for folder in (whole, cut):
        process = start(folder, schedule)
        process.join()
        assert process.exitcode == 0
    assert sorted(p.name for p in cut.iterdir()) == KEPT  # no half-written file either
    for name in ("weights.safetensors", "history.csv"):
        same = (cut / name).read_bytes() == (whole / name).read_bytes()
        assert same, (name, kept)  # a bool: pytest would print megabytes of difference


def hold_and_die(lock):
    """Take a lock and be killed with it."""
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_while_the_bar_is_locked_stops_no_later_run(tmp_path):
    fork, lock = multiprocessing.get_context("fork"), tqdm.get_lock()
    try:
        tqdm.set_lock(fork.RLock())  # for this test alone: it stays locked for ever
        holder = fork.Process(target=hold_and_die, args=(tqdm.get_lock(),))
        holder.start()
        holder.join()
        run = start(tmp_path, "constant")
        run.join(60)
        ended = run.exitcode
        run.kill()
    finally:
        tqdm.set_lock(lock)
    assert (holder.exitcode, ended) == (-signal.SIGKILL, 0)


def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path):
    check_kills(tmp_path, 4, "onecycle", seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_a_run_killed_very_often_ends_with_the_same_bytes(tmp_path, seed):
    check_kills(tmp_path, 8, "onecycle" if seed % 2 else "constant", seed)


# --------------------------------------------------------------------------------- the real command


RUN = ["-m", "course_utils"]
PAUSE = """
import signal, sys, time
from course_utils import cli
from course_utils.train import one_loss

# children of a shell in the background are born deaf to Ctrl-C
signal.signal(signal.SIGINT, signal.default_int_handler)

def train_epoch(*arguments, whole=one_loss.train_epoch):
    if arguments[-1] == EPOCH:
        print("paused", flush=True)
        time.sleep(600)
    return whole(*arguments)

one_loss.train_epoch = train_epoch
sys.exit(cli.main())
"""


def pausing(epoch):
    """Return how to start the command so that it waits at the start of an epoch (from 0)."""
    return ["-c", PAUSE.replace("EPOCH", str(epoch))]


def course(*arguments, start=RUN):
    """Start `course train` in a process; what it prints is kept as text."""
    command = [sys.executable, *start, "train", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process) -> str:
    """Wait for a command that must succeed; return what it printed."""
    output, _ = process.communicate(timeout=500)
    assert process.returncode == 0, output
    return output


def stopped(folder, by, in_epoch):
    """Start `course train ae`, stop it by a signal in an epoch (from 0); return status, output."""
    start = pausing(in_epoch)
    process = course("ae", "--profile", "quick", "--out", folder, "--resume", start=start)
    before = list(iter(process.stdout.readline, "paused\n"))
    process.send_signal(by)
    output, _ = process.communicate(timeout=500)
    return process.returncode, "".join(before) + output


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of an uninterrupted `course train ae`."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    finish(course("ae", "--profile", "quick", "--out", folder))
    return folder


def same_weights(folder, whole) -> bool:
    """Tell whether two runs have the same bytes of weights."""
    name = "weights.safetensors"
    return (folder / name).read_bytes() == (whole / name).read_bytes()


def test_the_command_killed_and_resumed_gives_the_same_bytes(tmp_path, whole):
    """Killed before the first checkpoint, stopped by Ctrl-C after it, then left in peace."""
    folder = tmp_path / "run"
    status, _ = stopped(folder, signal.SIGKILL, in_epoch=0)
    assert status == -signal.SIGKILL and epochs_kept(folder) == 0

    status, output = stopped(folder, signal.SIGINT, in_epoch=1)
    assert "afresh" in output
    assert status not in (0, None) and "Traceback" not in output
    assert "--resume" in output and folder.name in output
    assert epochs_kept(folder) == 1

    output = finish(course("ae", "--profile", "quick", "--out", folder, "--resume"))
    assert "afresh" not in output
    assert same_weights(folder, whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_command_killed_at_random_moments(tmp_path, whole, seed):
    """From the start of Python to the end of the run: wherever it hits, --resume mends it."""
    folder = tmp_path / "run"
    chance = random.Random(seed)
    began = time.monotonic()
    finish(course("ae", "--profile", "quick", "--out", tmp_path / "timed"))
    seconds = time.monotonic() - began
    for _ in range(3):
        process = course("ae", "--profile", "quick", "--out", folder, "--resume")
        time.sleep(chance.uniform(0.3, 1) * seconds)
        process.kill()
        process.communicate()
    finish(course("ae", "--profile", "quick", "--out", folder, "--resume"))
    assert same_weights(folder, whole)
