"""The folder of a run: where it is, what is written to it, and how it is read again.

Whoever trains holds the lock of the folder. Nothing is removed but what the course wrote, and a
folder that holds anything else is refused before a training begins.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import hashlib
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from course_utils import checkpoint, folders, provenance, recipes
from course_utils.errors import CourseError
from course_utils.recipes.recipe import Recipe, Settings
from course_utils.runs.code import staleness
from course_utils.runs.identity import key, parts_of

INFO, WEIGHTS, HISTORY = "run.json", "weights.safetensors", "history.csv"
CHECKPOINT, MEASURED, LOCK = "checkpoint.safetensors", "measured.json", ".lock"
FORMAT = checkpoint.FORMAT  # of run.json; those of format 1 had no hash of code
OURS = (INFO, WEIGHTS, HISTORY, CHECKPOINT, MEASURED, LOCK)
HALF_WRITTEN = re.compile(rf"\.({'|'.join(map(re.escape, OURS))})\.\d+\.tmp")
OF_THE_SYSTEM = (".DS_Store", "Thumbs.db", "desktop.ini")  # put everywhere by nobody


@dataclass
class Run:
    """A finished run: its folder, its model in eval mode, and what was measured.

    Attributes:
        metrics: "train_…", "val_…" and "test_…" means per image of every loss term.
        history: one dict per epoch.
        info: all of run.json.
    """

    path: Path
    recipe: Recipe
    seed: int
    profile: str
    model: nn.Module
    metrics: dict[str, float]
    history: list[dict]
    info: dict


def home(description: dict) -> Path:
    """Return the folder that a run is kept in when no other is asked for."""
    name = "{recipe}-{profile}-s{seed}".format_map(description)
    return folders.runs_dir() / f"{name}-{key(description)}"


# ------------------------------------------------------------------------------- before a training


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder; wait, and say so, while another process trains there."""
    lock = folder / LOCK
    with folders.lock(lock, f"the run in {folder}"):
        try:
            yield
        finally:  # who waits will find the run finished, or makes a lock of its own
            with contextlib.suppress(OSError):
                lock.unlink()


def finished(folder: Path) -> bool:
    """Tell whether a folder holds a finished run; CourseError where this user may not look."""
    return folders.exists(folder / INFO)


def refuse_foreign(folder: Path) -> None:
    """Raise CourseError when a folder without a finished run holds anything but an unfinished one.

    So nobody's files are overwritten, whatever they are called.
    """
    if not folders.is_dir(folder):
        return
    names = [path.name for path in folders.listing(folder)]
    foreign = [name for name in names if not is_ours(name)]
    if CHECKPOINT not in names:
        foreign += [name for name in names if name in (WEIGHTS, HISTORY, MEASURED)]
    if foreign:
        shown = ", ".join(sorted(foreign)[:5]) + (", ..." if len(foreign) > 5 else "")
        raise CourseError(
            f"{folder} holds what belongs to no run of the course ({shown}); a run wants a folder "
            "of its own: choose another with --out, or empty this one"
        )


def is_ours(name: str) -> bool:
    """Tell whether the course, or the system, puts files of this name into a run's folder."""
    return name in OURS or name in OF_THE_SYSTEM or bool(HALF_WRITTEN.fullmatch(name))


def unfinished(folder: Path, description: dict) -> dict | None:
    """Return what the checkpoint in `folder` says of its run; None where there is none.

    Raises CourseError when it is unreadable or belongs to other settings or data.
    """
    last = folder / CHECKPOINT
    if not folders.exists(last):
        return None
    with folders.in_words("read", last):
        last.open("rb").close()
    _, info = checkpoint.load(last)
    run = info.get("run") or {}
    if any(run.get(k) != v for k, v in description.items()):
        raise CourseError(
            f"{folder} holds an unfinished run with other settings or data; "
            "choose another folder with --out, or delete this one"
        )
    return run


# -------------------------------------------------------------------------------- after a training


def finish(folder: Path, model: nn.Module, history: list[dict], info: dict) -> None:
    """Write weights, history and, last, run.json: its presence says that the run is finished.

    The checkpoint goes then, and what killed trainings left half written; call it under the lock.
    """
    weights = folder / WEIGHTS
    checkpoint.save(weights, model.state_dict(), {"model": info["model"]})
    folders.write_atomically(folder / HISTORY, as_csv(history))
    info |= {
        "format": FORMAT,
        "weights_sha256": sha256_of(weights),
        "history_sha256": sha256_of(folder / HISTORY),
    }
    folders.write_json(folder / INFO, info)
    with folders.in_words("write to", folder):
        (folder / CHECKPOINT).unlink(missing_ok=True)
    for name in (WEIGHTS, HISTORY, INFO, CHECKPOINT):
        folders.sweep(folder / name)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(folders.read_bytes(path)).hexdigest()


def as_csv(rows: list[dict]) -> str:
    """Return rows that share their keys as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# ----------------------------------------------------------------------------------------- reading


def load(folder: Path, recipe: Recipe | None = None, expected: dict | None = None) -> Run:
    """Return the finished run in `folder`.

    Args:
        folder: as `run` left it.
        recipe: where None, the one that run.json names, with the settings written there.
        expected: refuse the folder when it holds a run with another description.

    A run of other code than today's is loaded too; that is said, and no claim is recorded from it.

    Raises CourseError for a folder without a finished run, a damaged one, one of another
    architecture, or one from a newer course.
    """
    folder = Path(folder)
    info = read_info(folder)
    if expected is not None and any(info.get(k) != v for k, v in expected.items()):
        raise CourseError(
            f"{folder} already holds a finished run with other settings or data; "
            "choose another folder with --out"
        )
    recipe = recipe or recipe_of(info)
    path = folder / WEIGHTS
    tensors, _ = checkpoint.load(path)
    model = recipe.build()
    checkpoint.load_weights(model, tensors, path)
    refuse_other_file(path, info["weights_sha256"])
    path = folder / HISTORY
    history = read_history(path)
    if "history_sha256" in info:
        refuse_other_file(path, info["history_sha256"])
    elif len(history) != (epochs := info["settings"]["epochs"]):  # format 1 has no other measure
        raise CourseError(f"{path} has {len(history)} of {epochs} epochs; train the run again")
    run = Run(folder, recipe, info["seed"], info["profile"], model.eval(), info["metrics"],
              history, info)  # fmt: skip
    use(run)
    return run


def refuse_other_file(path: Path, sha256: str | None) -> None:
    """Raise CourseError unless a file has the hash that run.json knows, if it knows one."""
    if sha256 is not None and sha256_of(path) != sha256:
        raise CourseError(f"{path} is not the file that run.json describes; train the run again")


def use(run: Run) -> None:
    """Remember for the claims that this process uses the run; say it when the run is stale."""
    stale = staleness(run.recipe, run.info)
    if stale:
        say_once(f"runs of {run.recipe.name} are stale, {stale}; `course runs` lists them")
    provenance.use_run(
        run.recipe.name, run.seed, run.info.get("device", "unknown"), run.info.get("versions", {}),
        stale=stale, folder=run.path.name,
    )  # fmt: skip


@functools.cache
def say_once(line: str) -> None:
    """Print a line on stderr, once in a process: a chapter loads five runs of one recipe."""
    print(line, file=sys.stderr, flush=True)


def recipe_of(info: dict) -> Recipe:
    """Return the recipe that a run.json names, with the arguments and settings written there.

    So the run of a variant is built as it was. Raises CourseError when no recipe has the name, or
    the one that has it takes another model, loss or way to fit.
    """
    recipe = recipes.get(info["recipe"])
    own = parts_of(recipe, info["profile"])
    for part in ("model", "loss", "fit"):
        if info.get(part) != own.get(part):
            raise CourseError(
                f"this run of {recipe.name!r} has the {part} {info.get(part)!r}, where the recipe "
                f"of today has {own.get(part)!r}; load it with the recipe that it was made with: "
                "runs.load(folder, recipe)"
            )
    if all(info[name] == own[name] for name in ("model_args", "loss_args", "settings")):
        return recipe
    return replace(
        recipe,
        model_args=info["model_args"],
        loss_args=info["loss_args"],
        **{info["profile"]: Settings(**info["settings"])},
    )


def read_info(folder: Path) -> dict:
    """Return run.json of a finished run; raise CourseError when there is none or it is damaged."""
    path = folder / INFO
    if not folders.is_file(path):
        state = "no run"
        if folders.exists(folder / CHECKPOINT):
            state = "an unfinished run; finish it with --resume"
        raise CourseError(f"{folder} holds {state} (no {INFO}); `course train RECIPE` makes one")
    try:
        info = folders.read_json(path)
        checkpoint.refuse_newer(info["format"], path)
        info["recipe"], info["seed"], info["metrics"], info["weights_sha256"]
        info["settings"]["epochs"], info["model_args"], info["loss_args"], info["profile"]
    except folders.Damaged as error:
        raise CourseError(f"{error}; train the run again, in an empty folder") from None
    except (KeyError, TypeError) as error:
        raise CourseError(f"{path} is damaged: it lacks {error}; train the run again") from None
    return info


def read_history(path: Path) -> list[dict]:
    """Return the rows of history.csv, one for each pass that the run has made.

    A recipe's own fit may have made more passes than its settings say.

    Raises CourseError where the file cannot be read.
    """
    text = folders.read_text(path)
    try:
        return [numbers(row) for row in csv.DictReader(io.StringIO(text))]
    except (ValueError, TypeError) as error:
        raise CourseError(f"{path} cannot be read ({error}); train the run again") from None


def numbers(row: dict[str, str]) -> dict:
    """Return a row of history.csv with its texts turned back into numbers."""
    return {k: int(v) if k == "epoch" else float(v) for k, v in row.items()}
