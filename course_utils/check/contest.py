"""Checks of chapter 07 on classifiers: how one is scored, and what can be learnt in a minute."""

from __future__ import annotations

import os
import time

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import runtime
from course_utils.check.calling import Answer, evaluating
from course_utils.check.exercise import exercise
from course_utils.data import drawn

# ------------------------------------------------------------------------------ a fair accuracy


def handed_out_accuracy(model, x, y):
    """Return the share of images that the model classifies rightly, 0 to 1."""
    guesses = model(x).argmax(dim=1)
    return ((guesses == y).float().sum() / 100).item()


def quizzed(n: int = 600) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a model with dropout, in training mode, and n images of which it gets 3/4."""
    y = torch.arange(n) % 3
    shown_class = torch.where(torch.arange(n) < 3 * n // 4, y, (y + 1) % 3)
    x = torch.eye(3)[shown_class]
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Dropout(0.8))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(3))
    return model.train(), x, y


def accuracy_faults(answer: Answer) -> str | None:
    """Compare with 0.75, which only a model in eval mode reaches."""
    model, x, y = quizzed()
    modes: list[bool] = []
    model[1].register_forward_pre_hook(lambda layer, _: modes.append(layer.training))
    made = answer(model, x, y, copies=False)
    got = float(made)
    still_training = model.training
    if abs(got - 0.75) < 1e-6:
        if not still_training:
            return "The model was in training mode before, and is left in eval mode: put it back."
        if isinstance(made, torch.Tensor) and made.requires_grad:
            return "Your accuracy carries a graph for gradients along: torch.no_grad()."
        return accuracy_elsewhere(answer)
    if abs(got - 4.5) < 1e-6:
        return "One fault is left: you divide by 100, whatever the number of images: 600 give 4.5."
    if abs(got - 450) < 1e-3:
        return "Yours is the number of right images: their share is wanted."
    if abs(got - 75) < 1e-3:
        return "Yours is in percent: a share from 0 to 1 is wanted."
    if abs(got - 0.25) < 1e-6:
        return "Yours is the share of wrong images."
    if modes and not any(modes):
        return f"Dropout is off now, and yours is {got:.3g} where 450 of 600 are right."
    if got > 1:
        return (
            "Two faults are left: dropout is on while the model is tested, so that the number is "
            f"another each time; and you divide by 100, whatever the number of images ({got:.3g})."
        )
    return (
        "One fault is left: dropout is on while the model is tested, so that the number is another "
        f"each time ({got:.3g} here; without dropout it is 0.75)."
    )


def accuracy_elsewhere(answer: Answer) -> str | None:
    """Ask again, for another number of images."""
    got = float(answer(*quizzed(80), copies=False))
    if not abs(got - 0.75) < 1e-6:
        return f"For 600 images yours is right; of 80 others 60 are right, and yours is {got:.3g}."
    return None


@exercise(
    "07",
    probes=[accuracy_faults],
    starter=handed_out_accuracy,
    hints=[
        "Call it twice on a model with dropout: do you get the same number?",
        "`model.eval()` switches dropout off; who calls your function may go on training.",
        "Divide by the number of images, or take the mean.",
    ],
    opens="With dropout left on, good models look worse than they are, and differ by luck.",
)
def repaired_accuracy(model, x, y):
    """Return the share of images that the model classifies rightly, 0 to 1."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        guesses = model(x).argmax(dim=1)
    model.train(was_training)
    return (guesses == y).float().mean().item()


# ---------------------------------------------------------------------------------- your minute

GOAL = 0.8
CHANCE = 0.1


def minute() -> float:
    """Return the seconds that a training may take: COURSE_MINUTE, else 60 in full, 3 in quick."""
    if given := os.environ.get("COURSE_MINUTE"):
        return float(given)
    return 60.0 if runtime.profile() == "full" else 3.0


def scrambled(draw, n: int, seed: int):
    """Return n images and labels with pixels and labels in an order that nobody knows."""
    x, y = draw(n, seed)
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randperm(784, generator=generator)
    names = torch.randperm(10, generator=generator)
    return x.flatten(1)[:, pixels].float() / 255, names[y]


def contest(answer: Answer) -> str | None:
    """Train the answer afresh on two data sets; both must be learnt, in time."""
    for draw, words in ((drawn.digits, "digits"), (drawn.garments, "garments")):
        x, y = scrambled(draw, 2_500, 41)
        seconds = minute()
        started, worked = time.monotonic(), time.process_time()
        model = answer(x[:2_000], y[:2_000], seconds)
        # on a busy machine the processor's time counts, so that other work costs nobody a verdict
        took = min(time.monotonic() - started, time.process_time() - worked)
        if not callable(model):
            return f"Your function returns a {type(model).__name__}: return the trained model."
        if took > 1.5 * seconds + 2:
            return f"Your training took {took:.0f} s on scrambled {words}; {seconds:.0f} are given."
        if fault := contest_fault(model, x[2_000:], y[2_000:], words):
            return fault
    return None


def contest_fault(model, x, y, words: str) -> str | None:
    """Score a trained model on images that it never saw."""
    with evaluating(model):
        logits = model(x)
    if logits.shape != (len(y), 10):
        return f"Your model gives {tuple(logits.shape)} for {len(y)} images: logits (B, 10)."
    share = (logits.argmax(1) == y).double().mean().item()
    if share < 2 * CHANCE:
        return f"On scrambled {words} your model is right in {share:.0%}: that is chance."
    if share < GOAL:
        return f"On scrambled {words} your model is right in {share:.0%}; {GOAL:.0%} are the goal."
    return None


@exercise(
    "07",
    probes=[contest],
    hints=[
        "Neither convolutions nor what you know of digits helps: pixels and labels are scrambled. "
        "A plain network does not mind.",
        "Look at the clock after each pass: `time.monotonic()`.",
        "784, 256, 10 with ReLU, Adam at 2e-3 and batches of 50 reaches the goal in a few passes.",
    ],
    opens="A score that was reached on a second, unknown data set is a score that one can believe.",
    seconds=6,
)
def your_minute(x, y, seconds):
    """Train a classifier within `seconds`; return model(x) -> logits (B, 10).

    x: images (N, 784) in [0, 1], pixels in an unknown order.
    y: labels (N,), 0 to 9.
    """
    import time

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    end = time.monotonic() + 0.8 * seconds
    for _ in range(20):
        for rows in torch.randperm(len(x)).split(50):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if time.monotonic() > end:
            break
    return model.eval()
