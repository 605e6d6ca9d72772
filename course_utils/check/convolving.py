"""Checks of chapter 02: what convolutions and poolings make of their input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Values, case, usual

SIZES = (
    case(5, 3, 1, 0), case(5, 3, 1, 1), case(5, 2, 2, 0), case(28, 3, 3, 1), case(10, 3, 2, 1),
    case(28, 5, 3, 2), case(7, 7, 1, 0), case(9, 2, 1, 3),
)  # fmt: skip


def size_of_torch(size, kernel, stride, padding):
    """Return the size that torch gives back: the oracle."""
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
        lambda n, k, s, p: round((n + 2 * p - k) / s) + 1,
        "You round to the nearest: a kernel that does not fit a last time is left out, so round "
        "down",
    ),
    Mistake(
        lambda n, k, s, p: (n + 2 * p - s) // k + 1,
        "You exchange kernel and stride: the stride is the step that divides the way",
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
    """Return how many pixels a convolution makes of a side of `size`."""
    return (size + 2 * padding - kernel) // stride + 1


# ------------------------------------------------------------------------------ largest of each

POOL_CASES = (
    Case((torch.tensor([[[[1.0, 2.0], [4.0, 3.0]]]]), 2), "one image, rows [1, 2], [4, 3], size 2"),
    Case(
        (torch.tensor([[[[-4.0, -3.0], [-1.0, -2.0]]]]), 2),
        "one image, rows [-4, -3], [-1, -2], size 2",
    ),
    Case(
        (torch.tensor([[[[5.0, 1.0, 7.0, 2.0], [3.0, 6.0, 4.0, 8.0]]]]), 2),
        "one image, rows [5, 1, 7, 2], [3, 6, 4, 8], size 2",
    ),
    Case(
        (torch.randn(2, 3, 6, 9, generator=torch.Generator().manual_seed(0)), 3),
        "two images of three channels, 6 by 9 pixels, size 3",
    ),
    Case(
        (torch.randn(2, 1, 5, 7, generator=torch.Generator().manual_seed(1)), 2),
        "two images of 5 by 7 pixels, size 2",
    ),
)


def in_a_row(x, size):
    """Return the largest of each run of size * size pixels, in the order of memory."""
    rows, columns = x.shape[2] // size, x.shape[3] // size
    x = x[:, :, : rows * size, : columns * size]
    return x.reshape(*x.shape[:2], rows, columns, size * size).amax(-1)


POOL_MISTAKES = (
    Mistake(
        F.avg_pool2d,
        "Yours is the mean of each square: its largest pixel is wanted",
    ),
    Mistake(
        lambda x, s: -F.max_pool2d(-x, s),
        "Yours is the smallest pixel of each square",
    ),
    Mistake(
        lambda x, s: x[..., : x.shape[2] // s * s : s, : x.shape[3] // s * s : s],
        "You keep the first pixel of each square, whatever the others are",
    ),
    Mistake(
        lambda x, s: F.max_pool2d(x, s).relu(),
        "A square of negative pixels gives 0: look at what you compare with first",
    ),
    Mistake(
        lambda x, s: F.max_pool2d(x.abs(), s),
        "You drop the signs: the largest is wanted, not the largest in size",
    ),
    Mistake(
        lambda x, s: F.max_pool2d(x, s, 1),
        "Your squares overlap: the next one begins where the last one ends",
    ),
    Mistake(
        lambda x, s: F.max_pool2d(x, s, ceil_mode=True),
        "You pool what is left at the rim too: rows and columns that fill no square are dropped",
    ),
    Mistake(
        lambda x, s: F.max_pool2d(x, (1, s)),
        "You pool along the rows only",
    ),
    Mistake(
        lambda x, s: F.max_pool2d(x, (s, 1)),
        "You pool along the columns only",
    ),
    Mistake(
        in_a_row,
        "You take pixels that follow one another in memory, which are parts of a row: a square "
        "has pixels of several rows",
    ),
    Mistake(
        lambda x, s: F.max_pool2d(x, s).amax(1, keepdim=True),
        "You take the largest over the channels too: each channel is pooled by itself",
    ),
    Mistake(
        lambda x, s: x.amax((2, 3)),
        "You take the largest pixel of the whole image: one for each square is wanted",
    ),
)


@exercise(
    "02",
    probes=[
        Values("your pooling", F.max_pool2d, POOL_CASES, POOL_MISTAKES),
        *usual("your pooling", POOL_CASES[3], ("x",)),
    ],
    hints=[
        "Cut off what fills no square at the right and at the bottom first.",
        "A side of H pixels is H // size groups of size pixels. `reshape` can give every side two "
        "dimensions in place of one, and nothing moves in memory.",
        "From (B, C, H, W) to six dimensions; then take the largest over two of them. Which two?",
    ],
    opens="It has no weights, and it forgets where in the square the largest pixel was.",
)
def max_pool(x, size):
    """Return the largest pixel of each square of size by size pixels.

    x: images (B, C, H, W).  size: also the step from square to square.
    What comes back: (B, C, H // size, W // size).
    """
    n, c, h, w = x.shape
    rows, columns = h // size, w // size
    x = x[:, :, : rows * size, : columns * size]
    return x.reshape(n, c, rows, size, columns, size).amax(dim=(3, 5))


# --------------------------------------------------------------------------- the way back up

UP_CASES = (
    case([1.0], [1.0, 2.0], 2),
    case([1.0, 10.0], [1.0, 2.0, 3.0], 2),
    case([1.0, 2.0], [1.0, 3.0], 3),
    case([2.0, -1.0, 0.5], [1.0, 0.0, 2.0, -1.0], 1),
    case([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 2),
)


def up_of_torch(x, kernel, stride):
    """Return the row by torch's functional: the oracle."""
    return F.conv_transpose1d(x[None, None], kernel[None, None], stride=stride)[0, 0]


def overwritten(x, kernel, stride):
    """Return the row where each kernel replaces what the last one wrote."""
    made = torch.zeros((len(x) - 1) * stride + len(kernel), dtype=x.dtype)
    for i, value in enumerate(x):
        made[i * stride : i * stride + len(kernel)] = value * kernel
    return made


UP_MISTAKES = (
    Mistake(
        overwritten,
        "Where two kernels meet, the later one replaces what the earlier one wrote: they add up",
    ),
    Mistake(
        lambda x, k, s: up_of_torch(x, k, s) / up_of_torch(x * 0 + 1, k * 0 + 1, s).clamp(min=1),
        "Where two kernels meet, you take their mean: they add up",
    ),
    Mistake(
        lambda x, k, s: up_of_torch(x, k.flip(0), s),
        "You lay the kernel down turned round: its first number belongs to the first pixel",
    ),
    Mistake(
        lambda x, k, s: F.pad(up_of_torch(x, k, s), (0, s - 1)),
        "You leave a gap after the last pixel too: the row ends with the last kernel",
    ),
    Mistake(
        lambda x, k, s: up_of_torch(x, k, s)[: len(x) * s],
        "You stop after size * stride pixels: the last kernel reaches further",
    ),
    Mistake(
        lambda x, k, s: up_of_torch(x, k, 1),
        "You leave the stride out: each kernel begins stride pixels after the one before",
    ),
    Mistake(
        lambda x, k, s: x.repeat_interleave(s),
        "You repeat the pixels, and the kernel is not used",
    ),
    Mistake(
        lambda x, k, s: F.conv1d(x[None, None], k[None, None], stride=s, padding=len(k) - 1)[0, 0],
        "Yours is a convolution: the row gets shorter by its stride, and is to get longer",
    ),
)


@exercise(
    "02",
    probes=[
        Values("your row", up_of_torch, UP_CASES, UP_MISTAKES),
        *usual("your row", UP_CASES[1], ("x", "kernel")),
    ],
    hints=[
        "A pixel of 1, alone in its row, becomes the kernel; a pixel of 2 twice the kernel.",
        "Begin with a row of zeros. How long is it, if the last kernel starts at "
        "(len(x) - 1) * stride?",
        "Pixel i lays its multiple of the kernel down from i * stride on. What is there already "
        "stays.",
    ],
    opens="With kernel 2 and stride 2 no two kernels meet, and a picture falls into blocks.",
)
def transposed_conv(x, kernel, stride):
    """Return a row of pixels after a transposed convolution without padding.

    x: pixels, (N,).  kernel: (K,).
    The row that comes back: ((N - 1) * stride + K,).
    """
    length = (len(x) - 1) * stride + len(kernel)
    made = torch.zeros(length, dtype=x.dtype, device=x.device)
    for i, value in enumerate(x):
        start = i * stride
        made[start : start + len(kernel)] += value * kernel
    return made
