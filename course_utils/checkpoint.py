"""What a run keeps: weights, and between epochs all that an exact resume needs.

One checkpoint is one safetensors file: tensors by name, and everything else as JSON in the file's
own header, so that a single rename replaces the whole. No pickles: opening a checkpoint never runs
code. The same state gives the same bytes.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from course_utils.errors import CourseError
from course_utils.folders import write_tensors

FORMAT = 1  # raised when a file of this version could be misread by an older course


def save(path: Path, tensors: dict[str, torch.Tensor], info: dict) -> None:
    """Write `tensors` and the JSON-able `info` to `path`, atomically.

    Raises CourseError when the folder cannot be written or the disk is full.
    """
    # One metadata key: safetensors writes several in random order.
    header = {"course": json.dumps({"format": FORMAT} | info, sort_keys=True)}
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_tensors(Path(path), plain, header)


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Return the tensors (on the CPU) and the info that `save` wrote to `path`.

    Raises CourseError for a file that is absent, truncated, foreign, or from a newer course.
    """
    path = Path(path)
    if not path.is_file():
        raise CourseError(f"{path} is not there; train the run first: course train RECIPE")
    try:
        with safe_open(path, framework="pt") as file:
            info = json.loads((file.metadata() or {})["course"])
            refuse_newer(info.get("format", 0), path)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(
            f"{path} cannot be read as a checkpoint of the course ({error}); "
            "it may be truncated: delete its folder and train again"
        ) from None
    return tensors, info


def refuse_newer(found: int, path: Path) -> None:
    """Raise CourseError when `path` was written in a format that this course does not know."""
    if found > FORMAT:
        raise CourseError(
            f"{path} has format {found}, written by a newer version of the course; this one reads "
            f"up to {FORMAT}: upgrade the course, or train the run again in another folder"
        )


def load_weights(model: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Copy `tensors` into `model`, keeping its memory formats; `path` is for the message.

    Raises CourseError when they belong to another architecture.
    """
    own = model.state_dict()
    wrong = [n for n in own if n not in tensors or tensors[n].shape != own[n].shape]
    wrong += [n for n in tensors if n not in own]
    if wrong:
        raise CourseError(
            f"{path} holds the weights of another architecture than {type(model).__name__} as "
            f"set up here (first difference: {wrong[0]}); load it with the recipe that wrote it"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


# ------------------------------------------------------------------------------ between two epochs


def save_training(path: Path, parts: dict, info: dict) -> None:
    """Write everything that the next epoch depends on: weights, optimizer, schedule, random states.

    Args:
        path: the checkpoint file.
        parts: "model", "optimizer" and, where there is one, "scheduler".
        info: JSON-able; what else the loop wants back, its history for one.
    """
    model, optimizer, scheduler = parts["model"], parts["optimizer"], parts.get("scheduler")
    tensors = {f"model/{name}": t for name, t in model.state_dict().items()}
    groups = optimizer.state_dict()
    for i, state in groups["state"].items():
        tensors |= {f"optimizer/{i}/{key}": torch.as_tensor(t) for key, t in state.items()}
    rng_tensors, rng_info = random_states()
    training = {
        "param_groups": [{k: v for k, v in g.items() if k != "params"} for g in
                         groups["param_groups"]],
        "scheduler": json_able(scheduler.state_dict()) if scheduler else None,
        "rng": rng_info,
    }  # fmt: skip
    save(path, tensors | rng_tensors, info | {"training": training})


def load_training(path: Path, parts: dict) -> dict:
    """Put the state that `save_training` wrote into the given objects; return its info.

    Raises CourseError as `load` and `load_weights` do, and for another optimizer.
    """
    model, optimizer, scheduler = parts["model"], parts["optimizer"], parts.get("scheduler")
    tensors, info = load(path)
    if "training" not in info:
        raise CourseError(f"{path} holds finished weights, no training state to resume from")
    training = info["training"]
    load_weights(model, strip("model/", tensors), path)
    load_optimizer(optimizer, strip("optimizer/", tensors), training["param_groups"], path)
    if scheduler is not None:
        scheduler.load_state_dict(training["scheduler"])
    set_random_states(strip("rng/", tensors), training["rng"])
    return info


def load_optimizer(optimizer, tensors: dict, param_groups: list[dict], path: Path) -> None:
    """Restore the optimizer's state, each tensor in the memory format of its parameter.

    safetensors keeps contiguous tensors only. A fused optimizer walks through a parameter and its
    moments in memory order, so for a channels_last parameter contiguous moments would be paired
    with the wrong weights, without an error.
    """
    current = optimizer.state_dict()
    if len(current["param_groups"]) != len(param_groups):
        raise CourseError(f"{path} was written with another optimizer; start afresh in a new --out")
    for mine, stored in zip(current["param_groups"], param_groups, strict=True):
        mine.update({k: tuple(v) if k == "betas" else v for k, v in stored.items()})
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = like(tensor, parameters[int(index)])
    optimizer.load_state_dict({"state": state, "param_groups": current["param_groups"]})


def like(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return `tensor` laid out in memory as `parameter` is, where their shapes agree."""
    if tensor.shape != parameter.shape:
        return tensor  # a step counter
    laid_out = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False)
    return laid_out.copy_(tensor)


def random_states() -> tuple[dict[str, torch.Tensor], dict]:
    """Return the states of all random generators, as tensors and as JSON."""
    tensors = {"rng/cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        tensors["rng/cuda"] = torch.cuda.get_rng_state()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    tensors["rng/numpy"] = torch.from_numpy(keys.astype(np.int64))
    version, internal, gauss = random.getstate()
    info = {
        "numpy": [kind, int(position), int(has_gauss), float(cached)],
        "python": [version, list(internal), gauss],
    }
    return tensors, info


def set_random_states(tensors: dict[str, torch.Tensor], info: dict) -> None:
    """Restore what `random_states` returned."""
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    kind, position, has_gauss, cached = info["numpy"]
    keys = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state((kind, keys, position, has_gauss, cached))
    version, internal, gauss = info["python"]
    random.setstate((version, tuple(internal), gauss))


def strip(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with `prefix`, under the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def json_able(state: dict) -> dict:
    """Return the entries that JSON can hold; a scheduler's functions come with its class."""
    return {k: v for k, v in state.items() if not callable(v)}
