"""Checks of chapter 02: what a convolution makes of its input."""

from __future__ import annotations

from torch import nn

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Mistake, Values, case

SIZES = (
    case(5, 3, 1, 0), case(5, 3, 1, 1), case(5, 2, 2, 0), case(28, 3, 3, 1), case(10, 3, 2, 1),
    case(28, 5, 3, 2), case(7, 7, 1, 0), case(9, 2, 1, 3),
)  # fmt: skip


def size_of_torch(size, kernel, stride, padding):
    """Return the size that torch gives back: the oracle."""
    import torch

    return nn.Conv1d(1, 1, kernel, stride, padding)(torch.zeros(1, 1, size)).shape[-1]


SIZE_MISTAKES = (
    Mistake(
        lambda n, k, s, p: (n + 2 * p - k) / s + 1,
        "Your size may be a fraction: a kernel that does not fit a last time is left out, so round "
        "down",
    ),
    Mistake(
        lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1,
        "You round up: a kernel that does not fit a last time is left out",
    ),
    Mistake(
        lambda n, k, s, p: (n + 2 * p - k) // s,
        "You count the steps between the places of the kernel: there is one place more than steps",
    ),
    Mistake(
        lambda n, k, s, p: (n + p - k) // s + 1,
        "You pad one side only: padding is added on both",
    ),
    Mistake(
        lambda n, k, s, p: (n - k) // s + 1,
        "You leave the padding out",
    ),
    Mistake(
        lambda n, k, s, p: n + 2 * p - k + 1,
        "You leave the stride out",
    ),
    Mistake(
        lambda n, k, s, p: (n + 2 * p - k + 1) // s,
        "You add 1 before dividing by the stride: it counts the first place, which needs no step",
    ),
    Mistake(
        lambda n, k, s, p: (n - 1) * s - 2 * p + k,
        "Yours is the size after a transposed convolution, which goes the other way",
    ),
)


def is_whole(answer: Answer) -> str | None:
    """Ask for a whole number, as a size is."""
    made = answer(5, 2, 2, 0)
    if isinstance(made, float):
        return f"Your size is {made!r}, a float: use //, so that it is a whole number."
    return None


@exercise(
    "02",
    probes=[Values("your size", size_of_torch, SIZES, SIZE_MISTAKES), is_whole],
    hints=[
        "Draw five squares in a row and slide a kernel of three over them: how many places are "
        "there? And with one square of padding on each side?",
        "The padding makes the row 2 padding longer. The last start of the kernel is kernel "
        "squares before the end.",
        "Divide the way by the stride, round down (`//`), and add 1 for the first place.",
    ],
    opens="You can now plan an encoder on paper before you run it.",
)
def conv_output_size(size, kernel, stride, padding):
    """Return how many pixels a convolution makes of `size` along one side, a whole number."""
    return (size + 2 * padding - kernel) // stride + 1
