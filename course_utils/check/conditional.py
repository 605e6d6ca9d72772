"""Checks of chapter 05: telling a network what it is to draw."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Mistake, OnTheCard, Values, case

LABELS = (
    case(torch.tensor([1]), 2),
    case(torch.tensor([2, 0]), 3),
    case(torch.tensor([0, 1, 1, 3]), 4),
    case(torch.tensor([1, 0]), 5),  # the last class does not occur
    case(torch.tensor([9, 0, 4]), 10, note="y = [9, 0, 4], n_classes = 10"),
)


def one_hot_of_torch(y, n_classes):
    """Return the rows by torch's functional: the oracle."""
    return F.one_hot(y.long(), n_classes)


def _scalar(y, n_classes):
    """Return the label as a number, which is no one-hot code."""
    return y[:, None].double() / (n_classes - 1)


ONE_HOT_MISTAKES = (
    Mistake(
        lambda y, n: F.one_hot(y, n).T,
        "Yours has a column for each image: a row for each image is wanted, (B, n_classes)",
    ),
    Mistake(
        lambda y, n: F.one_hot(y),
        "Your rows end with the largest label of the batch: they must always have n_classes "
        "numbers, or another batch has another width",
    ),
    Mistake(
        lambda y, n: F.one_hot((y + 1) % n, n),
        "Your 1 stands one place too far: labels count from 0",
    ),
    Mistake(
        lambda y, n: F.one_hot((y - 1) % n, n),
        "Your 1 stands one place too early: labels count from 0",
    ),
    Mistake(
        lambda y, n: F.one_hot(y, n).amax(0).expand(len(y), n),
        "Each of your rows has a 1 for every label of the batch: row i has one 1, at the label of "
        "image i",
    ),
    Mistake(
        lambda y, n: 1 - F.one_hot(y, n),
        "Your rows have 0 and 1 exchanged: the class of the image gets the 1",
    ),
    Mistake(
        lambda y, n: F.one_hot(y, n).sum(0),
        "Your answer counts the batch: a row for each image is wanted",
    ),
    Mistake(
        lambda y, n: (torch.arange(n) <= y[:, None]).double(),
        "Your rows have ones up to the label: a single 1 is wanted",
    ),
    Mistake(
        lambda y, n: F.one_hot(y, n) * y[:, None],
        "Your rows hold the label in its place, so that class 0 is nothing: put a 1 there",
    ),
    Mistake(
        _scalar,
        "Yours is the label as one number: to a network, a 9 would then be nine times a 1",
    ),
    Mistake(
        lambda y, n: y,
        "Yours are the labels as they came: a row with a single 1 is wanted for each",
    ),
)


def is_float(answer: Answer) -> str | None:
    """Ask for floats, which a layer takes beside a code."""
    made = answer.tensor(*LABELS[1].inputs)
    if not made.is_floating_point():
        kind = str(made.dtype).removeprefix("torch.")
        return (
            f"Your rows are of type {kind}: they are joined to a code of floats and go into a "
            "linear layer, so make them floats."
        )
    return None


@exercise(
    "05",
    probes=[
        Values("your one-hot code", one_hot_of_torch, LABELS, ONE_HOT_MISTAKES),
        is_float,
        OnTheCard(LABELS[1]),
    ],
    hints=[
        "One row for each image, one column for each class, a single 1 in each row.",
        "Row i of the unit matrix `torch.eye(n_classes)` is the code of class i.",
        "Pick the rows by the labels; or compare each label with the numbers of all classes. Mind "
        "device and type.",
    ],
    opens="Joined to a code, it tells the decoder which digit to draw.",
)
def one_hot(y, n_classes):
    """Return a row of floats for each label, 1 at its class and 0 elsewhere.

    y: labels (B,), whole numbers from 0.  The rows: (B, n_classes).
    """
    return torch.eye(n_classes, device=y.device)[y]
