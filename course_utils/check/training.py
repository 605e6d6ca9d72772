"""Checks of chapter 01 that train, or look at how something is trained."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check.calling import Answer, Fault, evaluating
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Untouched, Values
from course_utils.check.wording import number, same
from course_utils.data import drawn

# ------------------------------------------------------------------------------- which epoch


def rows(*errors: tuple[float, float, float], every: int = 1) -> Case:
    """Return a history with a row for each triple of training, validation and test error.

    It was scored after every so many epochs.
    """
    names = ("train_sse", "val_sse", "test_sse")
    history = [
        {"epoch": every * i} | dict(zip(names, row, strict=True))
        for i, row in enumerate(errors, start=1)
    ]
    validation = ", ".join(number(row[1]) for row in errors)
    after = f" after the epochs {', '.join(str(row['epoch']) for row in history)}"
    return Case((history,), f"validation errors {validation}{after if every > 1 else ''}")


def lowest(name: str, key: str = "epoch"):
    """Return a choice by one column."""
    return lambda history: min(history, key=lambda row: row[name])[key]


HISTORIES = (
    rows((5, 4, 6), (3, 5, 4), (2, 6, 5)),
    rows((9, 9, 7), (5, 6, 8), (3, 7, 6), (2, 8, 9)),
    rows((9, 9, 9), (6, 8, 7), (7, 6, 8), (8, 7, 9)),
    rows((9, 8, 9), (8, 7, 8), (7, 7.5, 5), (6, 5, 6), (5, 6, 7)),
    rows((9, 8, 9), (6, 6, 5), (5, 5, 6), every=10),
)


def first_rise(history):
    """Return the epoch before the validation error rose for the first time."""
    for before, after in pairwise(history):
        if after["val_sse"] > before["val_sse"]:
            return before["epoch"]
    return history[-1]["epoch"]


def place(history) -> int:
    """Return where in the list the lowest validation error stands, from 0."""
    return [row["val_sse"] for row in history].index(lowest("val_sse", "val_sse")(history))


EPOCH_MISTAKES = (
    Mistake(
        lowest("test_sse"),
        "You choose by the test error: then it is no test any more, and its figure is too good; "
        "choices are made on validation",
    ),
    Mistake(
        lowest("train_sse"),
        "You choose by the training error, which falls as long as the network learns by heart",
    ),
    Mistake(
        lambda history: history[-1]["epoch"],
        "You take the last epoch, whatever it was",
    ),
    Mistake(
        first_rise,
        "You stop where the validation error rises for the first time: it may fall again later",
    ),
    Mistake(
        lambda history: place(history) + 1,
        "You count the rows: the number under `epoch` is wanted, and not every epoch is scored",
    ),
    Mistake(
        place,
        "Yours is the place in the list, which counts from 0: the number under `epoch` is wanted",
    ),
    Mistake(
        lowest("val_sse", "val_sse"),
        "Yours is the error itself: the epoch is wanted",
    ),
    Mistake(
        lambda history: max(history, key=lambda row: row["val_sse"])["epoch"],
        "Yours is the worst epoch: errors are to be small",
    ),
)


@exercise(
    "01",
    probes=[
        Values("your epoch", lowest("val_sse"), HISTORIES, EPOCH_MISTAKES),
        Untouched(HISTORIES[2]),
    ],
    hints=[
        "Three errors stand in each row. Which of them may a choice look at?",
        "`min(rows, key=...)` returns the row for which the key is smallest.",
    ],
    opens="The test error of that epoch may now be quoted, once.",
)
def best_epoch(history):
    """Return the number of the epoch that you would keep.

    history: rows, dicts with `epoch`, `train_sse`, `val_sse` and `test_sse`.
    """
    return min(history, key=lambda row: row["val_sse"])["epoch"]


# --------------------------------------------------------------------------- a step of training


def handed_out_step(model, optimizer, x):
    """Take a step on the squared error per image; return it as a number."""
    loss = F.mse_loss(model(x), x)
    loss.backward()
    optimizer.step()
    return loss.item()


def three_steps(step) -> tuple[list, torch.Tensor, bool]:
    """Return what three steps return, the weights after them, and whether gradients are left."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = nn.Linear(4, 4), torch.rand(3, 5, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    losses = [step(model, optimizer, batch) for batch in x]
    left = model.weight.grad
    return losses, model.weight.detach().clone(), left is not None and bool(left.any())


def a_step(over: str = "images", clear: bool = True, early: bool = True, move: bool = True):
    """Return a training step, right or with a fault."""

    def step(model, optimizer, x):
        total = (model(x) - x).square().sum()
        loss = total / {"images": len(x), "pixels": x.numel(), "nothing": 1}[over]
        if clear and early:
            optimizer.zero_grad()
        loss.backward()
        if clear and not early:
            optimizer.zero_grad()
        if move:
            optimizer.step()
        return loss.item()

    return step


KEPT = "the gradients of earlier steps are never set to zero, so that they pile up"
MEAN = "the error is averaged over the pixels, and is to be summed over them"
STEP_MISTAKES = (
    (a_step("pixels", clear=False), f"Two faults are left: {KEPT}; and {MEAN}."),
    (a_step(clear=False), f"One fault is left: {KEPT}."),
    (a_step("pixels"), f"One fault is left: {MEAN}."),
    (a_step("nothing"), "Your error is summed over the batch too: divide by the number of images."),
    (a_step(early=False), "Gradients are set to zero after backward() and before step(): nothing "
     "is left to go by, and the weights stay as they were."),
    (a_step(move=False), "The optimizer takes no step: the weights stay as they were."),
)  # fmt: skip


def step_faults(answer: Answer) -> str | None:
    """Compare three steps with those of an oracle, and with those of known faults."""
    got = three_steps(lambda *parts: answer(*parts, copies=False))
    if reached(got, three_steps(a_step())):
        return None
    for step, says in STEP_MISTAKES:
        known = three_steps(step)
        if reached(got, known) and got[2] == known[2]:
            return says
    losses, weight, _ = got
    wanted, right, _ = three_steps(a_step())
    if same(weight, right):
        first = losses[0]
        if isinstance(first, torch.Tensor):
            return "The steps are right, and a tensor comes back: a number is wanted, `.item()`."
        return f"The steps are right; the first returns {number(first)}, not {wanted[0]:.4g}."
    if isinstance(losses[0], float) and math.isclose(losses[0], wanted[0], rel_tol=1e-4):
        return (
            "The number that comes back first is right, and the steps are others: is it that loss "
            "whose gradients are taken, once, from zero?"
        )
    return "After three steps the weights are not those of gradient descent on the error per image."


def reached(one, other) -> bool:
    """Tell whether two trainings returned the same losses and reached the same weights."""
    if any(not isinstance(loss, float) for loss in one[0]):
        return False
    close = all(math.isclose(a, b, rel_tol=1e-4) for a, b in zip(one[0], other[0], strict=True))
    return close and same(one[1], other[1])


@exercise(
    "01",
    probes=[step_faults],
    starter=handed_out_step,
    hints=[
        "There are two faults. One shows in the size of the number that comes back, the other from "
        "the second step on.",
        "`backward()` adds to the gradients that are there already.",
        "For the other: look at what F.mse_loss divides by, and at what the chapter divides by.",
    ],
    opens="Neither fault stops a program: both only make it learn worse, which is why one tests.",
)
def repaired_step(model, optimizer, x):
    """Take a step on the squared error per image; return it as a number."""
    loss = F.mse_loss(model(x), x, reduction="sum") / len(x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# ------------------------------------------------------------------------ better than components

CODE = 3


def floats(n: int, seed: int) -> torch.Tensor:
    """Return n drawn digits as floats in [0, 1]."""
    return drawn.digits(n, seed)[0].float() / 255


def pca_error(train: torch.Tensor, test: torch.Tensor, k: int) -> float:
    """Return the squared error per test image of k principal components of the training images."""
    mean = train.flatten(1).mean(0)
    _, _, axes = torch.pca_lowrank(train.flatten(1) - mean, q=k + 5, center=False, niter=4)
    left = test.flatten(1) - mean
    left = left - left @ axes[:, :k] @ axes[:, :k].T
    return left.square().sum(1).mean().item()


def against_pca(answer: Answer) -> str | None:
    """Train the answer on drawn digits, and score it on others."""
    train, test = floats(2_000, 11), floats(500, 12)
    z, recon = coded(answer(train), test)
    return score_fault(z, recon, train, test)


def coded(model, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the codes that a trained autoencoder gives images, and what it makes of the codes.

    Raises Fault where it lacks encode or decode, Crash where they raise.
    """
    for part in ("encode", "decode"):
        if not callable(getattr(model, part, None)):
            raise Fault(
                f"Your function returns a {type(model).__name__} without `{part}`: return a model "
                "with encode(x) and decode(z)."
            )
    with evaluating(model):
        z = model.encode(x)
        recon, turned = model.decode(z), model.decode(z.flip(0))
    if recon.shape == turned.shape and not torch.allclose(turned.flip(0), recon, atol=1e-3):
        raise Fault(
            "Your decoder knows more than the code: for the same codes in another order it does "
            "not make the same images in that order. What is passed by the code's side?"
        )
    return z, recon


def error_per_image(made: torch.Tensor, x: torch.Tensor) -> float:
    """Return the squared error, summed over the pixels of an image, on average over the images."""
    return (made - x).square().flatten(1).sum(1).mean().item()


def score_fault(z, recon, train, test) -> str | None:
    """Say what is wrong with codes and reconstructions of the test images."""
    if z.flatten(1).shape[1] != CODE:
        return f"Your code has {z.flatten(1).shape[1]} numbers: {CODE} are allowed."
    if recon.shape != test.shape:
        return f"Your reconstructions have shape {tuple(recon.shape)}, not {tuple(test.shape)}."
    ours = error_per_image(recon, test)
    average = error_per_image(train.mean(0), test)
    yardstick = pca_error(train, test, CODE)
    if recon.min() < -0.5:
        return (
            f"Your reconstructions go down to {recon.min().item():.2g}, and the images are in "
            f"[0, 1]: the error is {ours:.1f}, that of {CODE} principal components {yardstick:.1f}."
        )
    if not ours < average:
        return (
            f"On digits that it never saw your network's error is {ours:.1f}; the average digit, "
            f"without any code, has {average:.1f}: does it train at all, and long enough?"
        )
    if not ours < yardstick:
        return (
            f"On digits that it never saw your network's error is {ours:.1f}; {CODE} principal "
            f"components leave {yardstick:.1f}: it learns something, and must get below that."
        )
    return None


@exercise(
    "01",
    probes=[against_pca],
    hints=[
        "Start from the widths of the chapter, or smaller ones: 784, 128, 3 and back.",
        "Without any activation nothing beats principal components. Make batches of about 50, and "
        "a few dozen passes.",
        "Adam at 2e-3, and a sigmoid at the end so that pixels stay in [0, 1].",
    ],
    opens="Three curved coordinates hold a digit better than three straight ones.",
    seconds=5,
)
def beats_pca(x):
    """Train an autoencoder with a code of 3 numbers on images x; return it.

    x: images (N, 1, 28, 28) in [0, 1].
    The model has encode(x) -> (B, 3) and decode(z) -> images.
    """

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode = nn.Sequential(
                nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 3)
            )
            self.decode = nn.Sequential(
                nn.Linear(3, 128),
                nn.ReLU(),
                nn.Linear(128, 784),
                nn.Sigmoid(),
                nn.Unflatten(1, (1, 28, 28)),
            )

    torch.manual_seed(0)
    model = Small()
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(30):
        for batch in x[torch.randperm(len(x))].split(50):
            recon = model.decode(model.encode(batch))
            error = (recon - batch).square().sum() / len(batch)
            adam.zero_grad()
            error.backward()
            adam.step()
    return model
