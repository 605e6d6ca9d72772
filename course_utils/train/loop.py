"""The driver of every training: epochs one after another, with a bar, checkpoints and Ctrl-C.

It knows no model. Who trains says what an epoch is, and which objects the next epoch depends on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm.auto import tqdm

from course_utils import checkpoint as checkpoints
from course_utils.runtime import CourseError

# Raised when the same code of model and loss, data and seed give other bits than before: a run
# keeps it, and is stale where it differs. tests/train/test_golden.py notices when.
LOOP_VERSION = 1


class Interrupted(CourseError):
    """Training was stopped by hand; finished epochs are kept."""


def run_epochs(
    one_epoch: Callable[[int], dict[str, float]],
    parts: dict,
    *,
    epochs: int,
    checkpoint: Path | None = None,
    resume: bool = False,
    run: dict | None = None,
    on_epoch: Callable[[dict], None] | None = None,
    progress: bool | None = None,
    shown: tuple[str, ...] = ("train_loss",),
    together: bool = False,
    hint: Callable[[], str | None] | None = None,
) -> list[dict]:
    """Run the epochs that are not finished yet; return the history, one dict per epoch.

    Args:
        one_epoch: called with the number of the epoch, from 0; trains the parts in place and
            returns a row of numbers.
        parts: by name, the modules, optimizers and schedules on which the next epoch depends. Their
            state and that of all random generators is kept after every epoch.
        epochs: in all, those before a resume included.
        checkpoint: file written after every epoch; an interrupted epoch is discarded.
        resume: continue from `checkpoint`; the result is the same, bit for bit, as without
            the interruption (same machine, versions and number of threads).
        run: JSON-able; kept in the checkpoint as the name of what is being trained.
        on_epoch: called with each new row of the history.
        progress: show a bar; None shows one in a terminal and in a notebook.
        shown: numbers of the last row that the bar shows.
        hint: asked after every epoch for a line to show above the bar.
        together: the processes of torch.distributed train the same parts; the first one writes.

    Raises Interrupted on Ctrl-C, CourseError when the checkpoint cannot be read or written, or
    belongs to other parts.
    """
    history: list[dict] = []
    if checkpoint is not None:
        checkpoints.refuse_unkeepable(parts)
    if resume and checkpoint is not None:
        history = checkpoints.load_training(checkpoint, parts, together)["history"]
    bar = tqdm(range(len(history), epochs), initial=len(history), total=epochs, unit="epoch",
               disable=hidden(progress) if first(together) else True)  # fmt: skip
    try:
        for epoch in bar:
            row = {"epoch": epoch + 1} | one_epoch(epoch)
            if checkpoint is not None:
                info = {"history": [*history, row], "run": run}
                checkpoints.save_training(checkpoint, parts, info, together)
            history.append(row)  # once it is safe
            bar.set_postfix({short(name): f"{row[name]:.2f}" for name in shown if name in row})
            if hint and not bar.disable and (line := hint()):
                bar.write(line)
            if on_epoch:
                on_epoch(row)
    except KeyboardInterrupt:
        raise Interrupted(interruption(len(history), checkpoint)) from None
    return history


def first(together: bool) -> bool:
    """Tell whether this process is the one that shows and writes."""
    return not together or torch.distributed.get_rank() == 0


def short(name: str) -> str:
    """Return the name of a number as the bar shows it."""
    return name.removeprefix("train_")


def hidden(progress: bool | None) -> bool | None:
    """Return what tqdm calls `disable`: None hides the bar where output is no terminal.

    COURSE_PROGRESS=0 hides bars that nobody asked for: a stored notebook should not hold any.
    """
    if progress is None:
        return True if os.environ.get("COURSE_PROGRESS") == "0" else None
    return not progress


def interruption(finished: int, checkpoint: Path | None) -> str:
    """Return what to tell someone who pressed Ctrl-C."""
    if checkpoint is None:
        return f"stopped by hand after {finished} finished epochs; no checkpoint was asked for"
    kept = f"{finished} finished epochs are kept in {checkpoint.parent}" if finished else (
        "no epoch was finished, nothing is kept")  # fmt: skip
    return f"stopped by hand; {kept}; repeat the command with --resume to go on"
