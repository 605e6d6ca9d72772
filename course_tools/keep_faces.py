"""Keep a run of `gan_faces` or `gan_faces_on` in the package: scores, history, pictures, weights.

    python -m course_tools.keep_faces RUN [--strips FILE] [--seconds N] [--scores-only]

It is scored as `gan_ladder` scored the rungs that a graphics card trained: as many samples as there
are held-out faces, of the same codes, on the same two referees. What is written: the averaged
generator with 16 bits to a weight (`face_generator.safetensors`; it stays as it is with
--scores-only), a rung "faces" or "faces_on" in `face_ladder.json` and `face_ladder.safetensors`.
The hashes for `course_utils/recipes/face_gan.py` are printed.
RUN is the folder of a run of the recipe, finished or not; FILE holds what eight fixed codes became
after some epochs, as `epoch/N` (8, 3, 64, 64) uint8 in a safetensors file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch

from course_tools.gan_ladder.judging import Judge
from course_tools.gan_ladder.pictures import bytes_of, codes, sheet
from course_utils import checkpoint, console, folders, provenance, runtime
from course_utils.compact import in_fp16
from course_utils.data import faces
from course_utils.errors import CourseError
from course_utils.models.gan import Generator
from course_utils.recipes.referee import ASSETS
from course_utils.runs import folder as run_folder

MADE_BY = "course_tools/keep_faces.py"
SHAPE = {"width": 32, "refined": True}  # of the recipes' generator
SAYS = {
    "faces": "R1, flips and shifts, rates that fall",
    "faces_on": "on from there, with shifts of two pixels and half the penalty",
}
BEFORE = {"faces_on": "faces"}  # the rung from which one went on


@torch.no_grad()
def drawn(generator: torch.nn.Module, codes: torch.Tensor) -> torch.Tensor:
    """Return pictures (N, 3, 64, 64) uint8 of codes (N, Z), by a generator in eval mode."""
    return torch.cat([bytes_of(generator(part)) for part in codes.split(250)])


def history(rows: list[dict], n_train: int) -> list[dict]:
    """Return a run's history with the names that the ladder's rungs have."""
    names = {
        "d_loss": "train_d_loss", "g_loss": "train_g_loss", "real_score": "train_real_score",
        "fake_score": "train_fake_score", "g_grad_norm": "train_g_grad_norm",
        "train_score": "train_real_score", "held_score": "val_real_score",
    }  # fmt: skip
    return [
        {"images": row["epoch"] * n_train} | {a: round(row[b], 4) for a, b in names.items()}
        for row in rows
    ]


def jpeg(pictures: torch.Tensor) -> torch.Tensor:
    """Return pictures (N, 3, 64, 64) uint8, N divisible by 8, as the bytes of one JPEG sheet."""
    return torch.frombuffer(bytearray(sheet(pictures, quality=90)), dtype=torch.uint8)


def halved(generator: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a generator's state with 16 bits to a number; counts of batches are left out."""
    state = generator.state_dict().items()
    return {k: v.half().contiguous() for k, v in state if v.is_floating_point()}


def trained(folder: Path) -> tuple[str, dict[str, torch.Tensor], dict, list[dict]]:
    """Return a run's rung, its average's and its last weights as states, and its history.

    Raises CourseError where the folder holds no run of the recipes.
    """
    if run_folder.finished(folder):
        run = run_folder.load(folder)
        recipe, history = run.recipe.name, run.history
        parts = [run.model.average.state_dict(), run.model.generator.state_dict()]
    else:
        tensors, info = checkpoint.load(folder / run_folder.CHECKPOINT)
        recipe, history = info["run"]["recipe"], info["history"]
        parts = [checkpoint.strip(f"{which}/", tensors) for which in ("average", "generator")]
    name = recipe.removeprefix("gan_")
    if name not in SAYS:
        known = " or ".join(f"gan_{rung}" for rung in SAYS)
        raise CourseError(f"{folder} holds a run of {recipe}, not of {known}")
    return name, *parts, history


def network(state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """Return a generator of the recipe with these weights, in eval mode."""
    made = Generator(**SHAPE)
    made.load_state_dict(state)
    return made.eval()


def begun(name: str) -> dict:
    """Return images, seconds and steps of the rung from which this one went on; 0 for none."""
    if name not in BEFORE:
        return {"images": 0, "seconds": 0, "steps": 0}
    return json.loads(folders.read_text(ASSETS / "face_ladder.json"))["rungs"][BEFORE[name]]


def record(judge: Judge, name: str, average, last, rows: list[dict], seconds: float) -> dict:
    """Return what the ladder keeps of a rung, the one before included where it went on from one."""
    n, n_train = len(judge.held), len(judge.train)
    before = begun(name)
    own = history(rows, n_train)
    for row in own:
        row["images"] += before["images"]
    return {
        "seed": 0, "device": provenance.device_label(runtime.device()),
        "versions": provenance.versions(), "says": SAYS[name],
        "images": own[-1]["images"], "seconds": seconds + before["seconds"],
        "steps": rows[-1]["epoch"] * -(-n_train // 64) + before["steps"], "graph": False,
        "history": own,
        "parameters": sum(p.numel() for p in average.parameters()),
        "average": judge.scores(drawn(average, codes(n, seed=1))),
        "last": judge.scores(drawn(last, codes(n, seed=1))),
    }  # fmt: skip


def write(name: str, found: dict, average, strips: dict, scores_only: bool = False) -> None:
    """Write the files of the package, and print their hashes.

    Args:
        name: of the rung.
        found: its record.
        average: its generator.
        strips: what fixed codes became, pictures (8, 3, 64, 64) uint8 each.
        scores_only: leave the generator that is kept as it is.
    """
    ladder, sheets = ASSETS / "face_ladder.json", ASSETS / "face_ladder.safetensors"
    written = [ladder, sheets]
    if not scores_only:
        made = {k: found[k] for k in ("device", "versions")} | {"made_by": MADE_BY}
        about = {"data": "lfw", "model": "Generator", "model_args": SHAPE, "rung": name}
        about |= {
            "images": found["images"],
            "seconds": found["seconds"],
            "scores": found["average"],
        }
        written.append(ASSETS / "face_generator.safetensors")
        checkpoint.save(written[-1], halved(average), about | made)

    kept = json.loads(folders.read_text(ladder))
    kept["rungs"][name] = found
    folders.write_atomically(ladder, json.dumps(kept, indent=1) + "\n")

    tensors, info = checkpoint.load(sheets)
    tensors[f"{name}/samples"] = jpeg(drawn(average, codes(64, seed=7)[:16]))
    if strips:
        tensors[f"{name}/time"] = jpeg(torch.cat(list(strips.values())))
    own = {k: v for k, v in info.items() if k not in ("format", "seal")}
    checkpoint.save(sheets, tensors, own)
    for path in written:
        print(f'"{path.name}": "{hashlib.sha256(path.read_bytes()).hexdigest()}",')


def looked_at(
    path: Path | None, rows: list[dict], n_train: int, before: int = 0
) -> dict[str, torch.Tensor]:
    """Return the strips of a file in the order of their epochs, and mark their rows.

    The rows of the history whose epoch has a strip get "strip": True. `before` is how many images
    had been seen when the epochs began.
    """
    if path is None:
        return {}
    from safetensors.torch import load_file

    found = sorted(load_file(path).items(), key=lambda item: int(item[0].partition("/")[2]))
    epochs = {int(name.partition("/")[2]) for name, _ in found}
    for row in rows:
        if (row["images"] - before) // n_train in epochs:
            row["strip"] = True
    return dict(found)


@console.command
def main(words: list[str] | None = None) -> None:
    """Score the run and write the files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--strips", type=Path)
    parser.add_argument("--seconds", type=float, default=0, help="that the training took")
    parser.add_argument("--scores-only", action="store_true", help="keep the generator there is")
    args = parser.parse_args(words)
    name, average, last, rows = trained(args.run)  # a wrong folder is told before minutes are spent
    people = faces("real", "full")
    held = torch.cat([people.val.x, people.test.x])
    judge = Judge(held, people.train.x)
    print("training faces against held-out people:", judge.floor())
    average, last = in_fp16(network(average)), network(last)  # as a reader gets it
    found = record(judge, name, average, last, rows, args.seconds)
    before = begun(name)["images"]
    strips = looked_at(args.strips, found["history"], len(people.train.x), before)
    print(found["average"], found["last"], found["history"][-1])
    write(name, found, average, strips, args.scores_only)


if __name__ == "__main__":
    raise SystemExit(main())
