"""Checks of chapter 07: loss, start and regularisation of a classifier."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import distributions

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import (
    Extremes,
    Gradients,
    Mistake,
    OnTheCard,
    Untouched,
    Values,
    case,
    usual,
)
from course_utils.check.statistics import are_correlated, share_is_off
from course_utils.check.wording import number

# ---------------------------------------------------------------------------------- cross-entropy


def ce_of_torch(logits, y):
    """Return the cross-entropy of each image by torch.distributions: the oracle."""
    return -distributions.Categorical(logits=logits).log_prob(y)


def _log_p(logits):
    return logits.log_softmax(1)


def _at(values, y):
    """Return the number of each row at its label."""
    return values.gather(1, y[:, None]).squeeze(1)


CE_CASES = (
    case([[0.0, 0.0]], torch.tensor([0])),
    case([[1.0, 0.0]], torch.tensor([0])),
    case([[1.0, 0.0], [0.0, 2.0]], torch.tensor([1, 1])),
    case([[0.5, -1.0, 2.0], [0.0, 0.3, -0.2]], torch.tensor([2, 0])),
    case([[3.0, -2.0, 0.1], [1.0, 1.5, -1.0], [0.0, 0.2, 0.4]], torch.tensor([0, 2, 1]),
         note="three images and three classes"),
)  # fmt: skip
CE_FAR = (case([[500.0, 0.0]], torch.tensor([1])), case([[-500.0, -500.0]], torch.tensor([0])))

CE_MISTAKES = (
    Mistake(
        lambda a, y: F.cross_entropy(a, y),
        "Your cross-entropy is averaged over the batch: one number per image is wanted, shape (B,)",
    ),
    Mistake(
        lambda a, y: F.cross_entropy(a, y, reduction="sum"),
        "Your cross-entropy is summed over the batch: one number per image is wanted, shape (B,)",
    ),
    Mistake(
        lambda a, y: F.cross_entropy(a.softmax(1), y, reduction="none"),
        "Your cross-entropy takes the softmax twice: the function that you call has its own",
    ),
    Mistake(
        lambda a, y: _at(_log_p(a), y),
        "Your cross-entropy has the wrong sign: it is minus the logarithm, and never negative",
    ),
    Mistake(
        lambda a, y: -_at(a.softmax(1), y),
        "Yours is minus the probability: its logarithm is missing",
    ),
    Mistake(
        lambda a, y: -_at(a, y),
        "Yours is minus the logit of the class: nothing is divided by the sum over the classes",
    ),
    Mistake(
        lambda a, y: -_at(a.log_softmax(0), y),
        "Your softmax runs over the images: it belongs to the classes, dimension 1",
    ),
    Mistake(
        lambda a, y: -_log_p(a).sum(1),
        "You sum over all classes: only the image's own class counts",
    ),
    Mistake(
        lambda a, y: -_log_p(a).mean(1),
        "You average over all classes: only the image's own class counts",
    ),
    Mistake(
        lambda a, y: -_log_p(a).max(1).values,
        "You take the class that the network likes best: the image's own class, y, counts",
    ),
    Mistake(
        lambda a, y: _at(-_log_p(a), y) / math.log(2),
        "Yours is in bits: the course counts in nats, with the natural logarithm",
    ),
)


CE_WHY = "an exponential is infinite or 0 there; look for log_softmax or logsumexp"


@exercise(
    "07",
    probes=[
        Values("your cross-entropy", ce_of_torch, CE_CASES, CE_MISTAKES, per_image=True),
        Extremes("your cross-entropy", ce_of_torch, CE_FAR, CE_WHY),
        *usual("your cross-entropy", CE_CASES[4], ("logits",)),
    ],
    hints=[
        "Ten equal logits are ten equal probabilities, and cost log 10 = 2.303 nats.",
        "The logarithm of the softmax is `logits - logits.logsumexp(1, keepdim=True)`.",
        "Pick the number at each label, with `gather` or by indexing with "
        "`torch.arange(len(y))`, and turn its sign.",
    ],
    opens="Its mean over a batch is what classifiers are trained on.",
)
def softmax_cross_entropy(logits, y):
    """Return -log softmax(logits)[y] of each image in nats, (B,).

    logits: (B, classes).  y: labels (B,), whole numbers from 0.
    """
    return logits.logsumexp(dim=1) - logits[torch.arange(len(y)), y]


# ------------------------------------------------------------------------------------------ start


def xavier_of_torch(fan_in, fan_out):
    """Return the half-width of the uniform distribution of variance 2 / (in + out): the oracle."""
    unit = distributions.Uniform(-1.0, 1.0).variance.double().item()
    return math.sqrt(2 / (fan_in + fan_out) / unit)


XAVIER_CASES = (case(3, 3), case(2, 4), case(784, 300), case(300, 10))
XAVIER_MISTAKES = (
    Mistake(
        lambda i, o: math.sqrt(2 / (i + o)),
        "Yours is the standard deviation: a uniform distribution on [-a, a] has the deviation "
        "a / sqrt(3), so its bound is larger",
    ),
    Mistake(
        lambda i, o: 6 / (i + o),
        "The root is missing from yours",
    ),
    Mistake(
        lambda i, o: math.sqrt(6 / i),
        "Yours looks at the inputs only (that is He's bound, for ReLU): Xavier's counts inputs and "
        "outputs",
    ),
    Mistake(
        lambda i, o: math.sqrt(6 / o),
        "Yours looks at the outputs only: Xavier's counts inputs and outputs",
    ),
    Mistake(
        lambda i, o: 1 / math.sqrt(i),
        "Yours is what nn.Linear does if it is left alone, 1 / sqrt(fan_in): Xavier's bound is "
        "another",
    ),
    Mistake(
        lambda i, o: math.sqrt(12 / (i + o)),
        "Yours takes the mean of inputs and outputs into the root of 6: that is sqrt(2) too large",
    ),
    Mistake(
        lambda i, o: math.sqrt(6) / (i + o),
        "In yours the root covers the 6 alone: it covers the whole fraction",
    ),
    Mistake(
        lambda i, o: math.sqrt(6 / (i * o)),
        "Yours multiplies inputs and outputs: they are added",
    ),
)


@exercise(
    "07",
    probes=[Values("your bound", xavier_of_torch, XAVIER_CASES, XAVIER_MISTAKES)],
    hints=[
        "The variance of a weight is to be 2 / (fan_in + fan_out).",
        "A uniform distribution on [-a, a] has the variance a^2 / 3. Solve for a.",
    ],
    opens="Drawn so, activations and gradients keep their size from layer to layer at the start.",
)
def xavier_bound(fan_in, fan_out):
    """Return a, such that weights drawn uniformly from [-a, a] start well.

    fan_in, fan_out: numbers of inputs and outputs of the layer.
    Source: Glorot and Bengio 2010, AISTATS.
    """
    return math.sqrt(6 / (fan_in + fan_out))


# ---------------------------------------------------------------------------------------- dropout

ONES = torch.ones(400, 500)
FEW = case([[1.0, -2.0, 3.0]], 0.5, True)


def in_training(answer: Answer) -> str | None:
    """Count what is dropped in training, and look at what stays."""
    for p in (0.25, 0.8):
        got = answer.tensor(ONES, p, True).detach().cpu().float()
        if got.shape != ONES.shape:
            return f"Your output has shape {tuple(got.shape)} for {tuple(ONES.shape)}."
        if fault := training_fault(got, p):
            return fault
    return None


def training_fault(got: torch.Tensor, p: float) -> str | None:
    """Say what is wrong with ones that were dropped with probability p."""
    dropped, n = int((got == 0).sum()), got.numel()
    kept = got[got != 0]
    if dropped == 0:
        return "In training nothing is dropped."
    if dropped == n:
        return f"Everything is dropped for p = {p}."
    right_share, other_share = not share_is_off(dropped, n, p), not share_is_off(dropped, n, 1 - p)
    if other_share and not right_share:
        return (
            f"Your p is the probability to keep: for p = {p}, {dropped / n:.0%} are dropped (in "
            "torch p is the probability to drop; old code says keep_prob = 1 - p)."
        )
    if not right_share:
        return f"For p = {p}, {dropped / n:.1%} are dropped; it is to be {p:.0%}."
    factor = kept.mean().item()
    if torch.allclose(kept, torch.tensor(1 / (1 - p)), rtol=1e-3):
        return None
    if torch.allclose(kept, torch.tensor(1.0)):
        return (
            "What stays is not made larger, so the next layer sees less in training than later: "
            f"for p = {p} a 1 that stays must become {1 / (1 - p):.4g}."
        )
    if torch.allclose(kept, torch.tensor(1 - p), rtol=1e-3):
        return f"What stays is multiplied by 1 - p: for p = {p} a 1 becomes {factor:.4g}; divide."
    if torch.allclose(kept, torch.tensor(1 / p), rtol=1e-3):
        return f"What stays is divided by p: for p = {p} a 1 becomes {factor:.4g}; p are dropped."
    return f"What stays changes wrongly: for p = {p} a 1 becomes {factor:.4g}."


def in_use(answer: Answer) -> str | None:
    """Ask what happens outside of training: nothing."""
    x, p, _ = FEW.inputs
    got = answer.tensor(x, p, False).detach().cpu().float()
    if torch.equal(got, x):
        return None
    if (answer.tensor(ONES, 0.5, False) == 0).any():
        return (
            "Dropout is left on outside of training: with training = False the input must come "
            "back as it is, or every answer of the network is a lottery."
        )
    return (
        f"With training = False a 1 becomes {number(got.flatten()[0].item())} for p = 0.5: it must "
        "stay as it is (training has made up for what is dropped)."
    )


def drops_apart(answer: Answer) -> str | None:
    """Look whether numbers, rows and calls have draws of their own."""
    x = ONES[:100, :200]
    one, two = (answer.tensor(x, 0.5, True, seed=seed).detach().cpu() for seed in (1, 2))
    if not (one == 0).any():
        return "In training nothing is dropped."
    if torch.equal(one, two):
        return (
            "Two calls drop the same numbers: a seed is set inside of your function; leave it out."
        )
    if (one.std(dim=1) < 1e-6).any():
        return "Whole images are dropped: draw for each unit."
    if torch.equal(one[0], one[1]) or are_correlated(one[:-1], one[1:]):
        return "The same units are dropped in all images of the batch: draw for each image."
    if are_correlated(one[:, :-1], one[:, 1:]):
        return "Neighbouring units are dropped together: draw for each unit."
    return None


def nothing_dropped(answer: Answer) -> str | None:
    """Ask for p = 0."""
    x = FEW.inputs[0]
    if not torch.allclose(answer.tensor(x, 0.0, True).detach().cpu().float(), x):
        return "For p = 0 the numbers change; they must come back as they were."
    return None


@exercise(
    "07",
    probes=[
        drops_apart,
        in_training,
        in_use,
        nothing_dropped,
        Untouched(FEW),
        Gradients("your output", FEW, ("x",)),
        OnTheCard(FEW),
    ],
    hints=[
        "Outside of training nothing happens at all. Begin with that.",
        "`torch.rand_like(x)` gives each unit a number between 0 and 1: keep those of p or more.",
        "If a quarter is dropped, what stays must be 4/3 as large, so that the mean is kept.",
    ],
    opens="Outside of training it costs nothing, which is why it is done this way round.",
)
def dropout(x, p, training):
    """Return x with each number dropped with probability p, in training only.

    What stays is made larger, so that the mean is kept.
    x: any shape.  p: from 0 to below 1.
    """
    if not training:
        return x
    kept = torch.rand_like(x) >= p
    return x * kept / (1 - p)
