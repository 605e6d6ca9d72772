"""What a run keeps: weights, and between epochs all that an exact resume needs.

One checkpoint is one safetensors file: tensors by name, and everything else as JSON in the file's
own header, so that a single rename replaces the whole. No pickles: opening a checkpoint never runs
code. The same state gives the same bytes.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from course_utils import folders, tagged
from course_utils.errors import CourseError

FORMAT = 2  # raised when a file of this version could be misread by an older course


def save(path: Path, tensors: dict[str, torch.Tensor], info: dict) -> None:
    """Write `tensors` and the JSON-able `info` to `path`, atomically, with a hash of all of it.

    Raises CourseError when the folder cannot be written or the disk is full.
    """
    folders.write_sealed(Path(path), apart(tensors), {"format": FORMAT} | info)


def apart(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors on the CPU, contiguous, and none sharing memory with another.

    Two layers may share a weight. It is written under both names: safetensors knows no sharing.
    """
    found, taken = {}, set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        memory = plain.untyped_storage().data_ptr()
        found[name] = plain.clone() if memory in taken else plain
        taken.add(memory)
    return found


def load(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Return the tensors (on the CPU) and the info that `save` wrote to `path`.

    Raises CourseError for a file that is absent, locked, damaged, foreign, or from a newer course.
    """
    path = Path(path)
    if not folders.is_file(path):
        raise CourseError(f"{path} is not there; train the run first: course train RECIPE")
    try:
        tensors, info = folders.read_sealed(path)
    except folders.Damaged as error:
        raise CourseError(
            f"{path} cannot be read as a checkpoint of the course ({error.why}); "
            "it may be truncated or damaged: delete its folder and train again"
        ) from None
    refuse_newer(info.get("format", 0), path)
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
    refuse_other_weights(model, tensors, path)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(tensors[name])


def refuse_other_weights(model: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Raise CourseError unless the names and shapes of the tensors are those of the model."""
    own = model.state_dict()
    wrong = [n for n in own if n not in tensors or tensors[n].shape != own[n].shape]
    wrong += [n for n in tensors if n not in own]
    if wrong:
        raise CourseError(
            f"{path} holds the weights of another architecture than {type(model).__name__} as "
            f"set up here (first difference: {wrong[0]}); load it with the recipe that wrote it"
        )


# ------------------------------------------------------------------------------ between two epochs

ADVICE = "resume with what it was written with, or train from the start (without resume)"

Part = nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler

# What steps change in the state of torch's own schedules; the rest is how they were set.
PROGRESS = {
    "last_epoch", "_last_lr", "_step_count", "_is_initial", "_initial_step", "T_cur", "T_i",
    "_get_lr_called_within_step", "best", "num_bad_epochs", "cooldown_counter",
}  # fmt: skip
# What schedules change in an optimizer's groups; how it was set is in its `defaults`.
SCHEDULED = {
    "lr", "initial_lr", "max_lr", "min_lr", "betas", "momentum", "max_momentum", "base_momentum",
}  # fmt: skip


def save_training(path: Path, parts: dict[str, Part], info: dict, together: bool = False) -> None:
    """Write everything that the next epoch depends on: the parts' states and all random states.

    Args:
        path: the checkpoint file.
        parts: by name, the modules, optimizers and schedules in training. The file says of which
            classes they are and how they were set.
        info: JSON-able; what else the loop wants back, its history for one.
        together: all processes of torch.distributed call this with the same parts. The first one
            writes, their random states side by side.

    Raises CourseError for a state that cannot be kept, and as `save` does.
    """
    states = random_states_of_all() if together else [random_states()]
    if together and dist.get_rank() > 0:
        return
    tensors = {f"rng/{rank}/{k}": t for rank, (of, _) in enumerate(states) for k, t in of.items()}
    described = {}
    for name, part in parts.items():
        state = tagged.encode(state_of(part), name, tensors)
        described[name] = describe(part, parts) | {"state": state}
    training = {"parts": described, "rng": [each for _, each in states]}
    save(path, tensors, info | {"training": training})


def refuse_unkeepable(parts: dict[str, Part]) -> None:
    """Raise CourseError for parts that `save_training` could not keep, before an epoch is lost."""
    for name, part in parts.items():
        tagged.encode(state_of(part), name, {})


def load_training(path: Path, parts: dict[str, Part], together: bool = False) -> dict:
    """Put the state that `save_training` wrote into the given parts; return its info.

    Raises CourseError as `load` and `load_weights` do, and where the parts are not of the classes
    or not set as those that were kept; nothing is changed then.
    """
    tensors, info = load(path)
    if "training" not in info:
        raise CourseError(f"{path} holds finished weights, no training state to resume from")
    if "parts" not in info["training"]:
        raise CourseError(
            f"{path} is an unfinished training of an earlier version of the course, which did not "
            "note how it was set up, so it cannot be resumed exactly; delete the file and train "
            "from the start"
        )
    kept = info["training"]["parts"]
    refuse_other_classes(kept, parts, path)
    states = {name: tagged.decode(kept[name]["state"], tensors) for name in parts}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            refuse_other_weights(part, states[name], path)
    refuse_other_settings(kept, parts, path)
    generators = info["training"]["rng"]
    rank, world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
    if len(generators) != world:
        raise CourseError(
            f"{path} was written by {len(generators)} processes, and here are {world}: {ADVICE}"
        )
    for name, part in parts.items():
        restore(part, states[name], path)
    set_random_states(strip(f"rng/{rank}/", tensors), generators[rank])
    return info


def state_of(part: Part) -> dict:
    """Return the state of a part; the functions in a schedule's state come with its class."""
    return {k: v for k, v in part.state_dict().items() if not callable(v)}


def restore(part: Part, state: dict, path: Path) -> None:
    """Put a state into a part."""
    if isinstance(part, nn.Module):
        load_weights(part, state, path)
    elif isinstance(part, torch.optim.Optimizer):
        part.load_state_dict(laid_out(state, part))
    else:
        part.load_state_dict(state)


def laid_out(state: dict, optimizer: torch.optim.Optimizer) -> dict:
    """Return an optimizer's state, each tensor in the memory format of its parameter.

    safetensors keeps contiguous tensors only. A fused optimizer walks through a parameter and its
    moments in memory order, so for a channels_last parameter contiguous moments would be paired
    with the wrong weights, without an error.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments = {
        i: {k: like(v, parameters[i]) if isinstance(v, torch.Tensor) else v for k, v in of.items()}
        for i, of in state["state"].items()
    }
    device = parameters[0].device
    groups = [  # a learning rate may be a tensor, which a captured step reads on the device
        {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in group.items()}
        for group in state["param_groups"]
    ]
    return {"state": moments, "param_groups": groups}


def like(tensor: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return `tensor` laid out in memory as `parameter` is, where their shapes agree."""
    if tensor.shape != parameter.shape:
        return tensor  # a step counter
    laid_out = torch.empty_like(parameter, dtype=tensor.dtype, requires_grad=False)
    return laid_out.copy_(tensor)


# -------------------------------------------------------------------------------- who wrote a state


def describe(part: Part, parts: dict[str, Part]) -> dict:
    """Return the class of a part and how it was set, as {"class": ..., "settings": {...}}.

    What steps change is left out: a part is described alike before the first step and after any.
    """
    if isinstance(part, nn.Module):
        settings = {}  # its weights speak for it
    elif isinstance(part, torch.optim.Optimizer):
        fixed = [{k: v for k, v in g.items() if k not in SCHEDULED} for g in part.param_groups]
        settings = flat(part.defaults) | flat(fixed, "group", names_of(parts))
    elif type(part).__module__.startswith("torch."):
        settings = flat(state_of(part))
    else:
        settings = {}  # a class of one's own: nobody knows what in its state a step changes
    return {"class": type(part).__name__, "settings": settings}


def names_of(parts: dict[str, Part]) -> dict[int, str]:
    """Return the names of all parameters by their identity."""
    modules = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    return {id(p): f"{m}.{n}" for m, part in modules.items() for n, p in part.named_parameters()}


def flat(value, name: str = "", names: dict[int, str] | None = None) -> dict:
    """Return nested settings as one dict of plain values, progress left out."""
    if isinstance(value, dict):
        items = [(k, v) for k, v in value.items() if k not in PROGRESS and not callable(v)]
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    elif isinstance(value, nn.Parameter):
        return {name: (names or {}).get(id(value), "a parameter of no part")}
    elif isinstance(value, torch.Tensor):
        return {name: "a tensor"}  # a schedule may have changed its value
    else:
        return {name: value if isinstance(value, (bool, int, float, str)) else repr(value)}
    return {k: v for key, item in items
            for k, v in flat(item, f"{name} {key}".strip(), names).items()}  # fmt: skip


def refuse_other_classes(kept: dict, parts: dict[str, Part], path: Path) -> None:
    """Raise CourseError unless the parts have the names and classes of those in the checkpoint."""
    for name in [*kept, *(n for n in parts if n not in kept)]:
        there = kept[name]["class"] if name in kept else "none"
        here = type(parts[name]).__name__ if name in parts else "none"
        if there != here:
            raise CourseError(
                f"{path} was written by a training whose {name} is {there}; here it is {here}: "
                f"{ADVICE}"
            )


def refuse_other_settings(kept: dict, parts: dict[str, Part], path: Path) -> None:
    """Raise CourseError unless the parts were set as those in the checkpoint."""
    for name, part in parts.items():
        here = describe(part, parts)
        difference = first_difference(kept[name]["settings"], here["settings"])
        if difference:
            raise CourseError(
                f"{path} was written by a training whose {name}, {here['class']}, has "
                f"{difference}: {ADVICE}"
            )


def first_difference(there: dict, here: dict) -> str | None:
    """Tell in words where two settings differ first; None where they agree."""
    for key in [*here, *(k for k in there if k not in here)]:
        one, other = there.get(key, "nothing"), here.get(key, "nothing")
        if one != other or type(one) is not type(other):
            return f"{key} = {one}; here it has {key} = {other}"
    return None


# ------------------------------------------------------------------------------------ random states


def random_states() -> tuple[dict[str, torch.Tensor], dict]:
    """Return the states of all random generators, as tensors and as JSON."""
    tensors = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        tensors["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        tensors["mps"] = torch.mps.get_rng_state()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    tensors["numpy"] = torch.from_numpy(keys.astype(np.int64))
    version, internal, gauss = random.getstate()
    info = {
        "numpy": [kind, int(position), int(has_gauss), float(cached)],
        "python": [version, list(internal), gauss],
    }
    return tensors, info


def random_states_of_all() -> list[tuple[dict[str, torch.Tensor], dict]]:
    """Return the random states of all processes, by rank; the first process alone needs them."""
    states = [None] * dist.get_world_size()
    dist.all_gather_object(states, random_states())
    return states


def set_random_states(tensors: dict[str, torch.Tensor], info: dict) -> None:
    """Restore what `random_states` returned."""
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    if "mps" in tensors and torch.backends.mps.is_available():
        torch.mps.set_rng_state(tensors["mps"])
    kind, position, has_gauss, cached = info["numpy"]
    keys = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state((kind, keys, position, has_gauss, cached))
    version, internal, gauss = info["python"]
    random.setstate((version, tuple(internal), gauss))


def strip(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with `prefix`, under the rest of their names."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
