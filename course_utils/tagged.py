"""Python values as JSON that says their types, and back; tensors stay outside, by name.

JSON knows no tuple, and turns the whole-number keys of a dict into words: the state of an optimizer
or a schedule that went through it plainly would come back as something else. Here whatever JSON
cannot tell carries a tag: `{"tuple": [0.9, 0.999]}`, `{"counter": [[4, 1], [12, 1]]}`. No pickles:
reading never runs code.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque

import numpy as np
import torch

from course_utils.errors import CourseError

SEQUENCES = {"tuple": tuple, "set": set, "deque": deque}
MAPPINGS = {"dict": dict, "counter": Counter, "ordered": OrderedDict}


def encode(value, name: str, tensors: dict[str, torch.Tensor]):
    """Return `value` as data that JSON can hold.

    Args:
        value: numbers, texts, None, tensors, and lists, tuples, sets and dicts of such.
        name: of the value; the tensors in it are put into `tensors` under names that begin so.
        tensors: is filled.

    Raises CourseError for anything else: it could not be read back.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return {"tensor": name}
    if type(value) is list:
        return [encode(item, f"{name}/{i}", tensors) for i, item in enumerate(value)]
    for tag, kind in SEQUENCES.items():
        if type(value) is kind:
            items = sorted(value) if kind is set else value
            return {tag: [encode(item, f"{name}/{i}", tensors) for i, item in enumerate(items)]}
    for tag, kind in MAPPINGS.items():
        if type(value) is kind:
            return {tag: [[encode(k, f"{name}/key", tensors), encode(v, f"{name}/{k}", tensors)]
                          for k, v in value.items()]}  # fmt: skip
    raise CourseError(
        f"{name} is a {type(value).__name__}, which a checkpoint cannot keep; it keeps numbers, "
        "texts, None, tensors, and lists, tuples, sets and dicts of these"
    )


def decode(value, tensors: dict[str, torch.Tensor]):
    """Return what `encode` was given; raise ValueError or KeyError for data not made by it."""
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "tensor":
        return tensors[content]
    if tag in SEQUENCES:
        return SEQUENCES[tag](decode(item, tensors) for item in content)
    return MAPPINGS[tag]({decode(k, tensors): decode(v, tensors) for k, v in content})
