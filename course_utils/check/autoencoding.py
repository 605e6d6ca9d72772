"""Checks of chapter 01: what a reconstruction costs."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import distributions

from course_utils.check.exercise import exercise
from course_utils.check.probes import ROUNDS, Extremes, Mistake, Values, case, reductions, usual

# -------------------------------------------------------------------------------- squared error


def sse_of_torch(recon, x):
    """Return the squared error of each image by torch's functional: the oracle."""
    return F.mse_loss(recon, x, reduction="none").flatten(1).sum(1)


def some_images(*shape: int) -> torch.Tensor:
    """Return images in [0, 1], always the same."""
    n = torch.Size(shape).numel()
    return (torch.arange(n).mul(0.37).sin().abs()).view(shape)


def images(*rows: list) -> torch.Tensor:
    """Return images (B, 1, 1, W), one for each row of pixels."""
    return torch.tensor(rows)[:, None, None, :]


SSE_CASES = (
    case(images([0.5]), images([1.0])),
    case(images([0.5, 0.0]), images([1.0, 0.0])),
    case(images([0.5], [1.0]), images([1.0], [1.0])),
    case(images([0.5, 0.2], [0.1, 0.9]), images([1.0, 0.0], [0.0, 0.0])),
    case(some_images(3, 1, 4, 5), some_images(5, 1, 4, 5)[2:], note="three images of 4 by 5"),
    case(some_images(2, 3, 2, 2), some_images(4, 3, 2, 2)[2:], note="two images of three colours"),
)

SSE_MISTAKES = (
    *reductions(lambda recon, x: (recon - x) ** 2, "Your squared error"),
    Mistake(
        lambda recon, x: (recon - x).abs().flatten(1).sum(1),
        "Yours is the absolute error: square the differences",
    ),
    Mistake(
        lambda recon, x: (recon - x).flatten(1).sum(1),
        "Your differences are not squared, so that too bright and too dark cancel",
    ),
    Mistake(
        lambda recon, x: (recon - x).flatten(1).sum(1) ** 2,
        "You square the sum: square each difference first, then sum",
    ),
    Mistake(
        lambda recon, x: (recon - x).flatten(1).norm(dim=1),
        "Yours is the root of the squared error: leave out the square root",
    ),
    Mistake(
        lambda recon, x: 0.5 * ((recon - x) ** 2).flatten(1).sum(1),
        "Yours is half of the squared error: the course has no factor one half",
    ),
    Mistake(
        lambda recon, x: ((recon - (2 * x - 1)) ** 2).flatten(1).sum(1),
        "You move the target to [-1, 1], and the reconstruction is on [0, 1]: compare both in one "
        "range",
    ),
    Mistake(
        lambda recon, x: (recon - x)[:, 0].square().flatten(1).sum(1),
        "You look at the first channel only: colour images have three",
    ),
)


@exercise(
    "01",
    probes=[
        Values("your squared error", sse_of_torch, SSE_CASES, SSE_MISTAKES, per_image=True),
        *usual("your squared error", SSE_CASES[4], ("recon",)),
    ],
    hints=[
        "Every image gets a number of its own: a batch of 3 images gives a tensor of shape (3,).",
        "Images have shape (B, C, H, W). `flatten(1)` makes (B, C H W) of it.",
        "After `flatten(1)` one dimension is left beside the batch: sum over that one.",
    ],
    opens="Its mean over a batch, divided by the number of pixels, is what MSELoss returns.",
)
def squared_error(recon, x):
    """Return the squared error of each image, summed over its pixels, (B,).

    recon, x: images of the same shape and range, (B, ...).
    """
    return (recon - x).square().flatten(1).sum(dim=1)


# --------------------------------------------------------------------------------- cross-entropy


def bce_of_torch(logits, x):
    """Return the cross-entropy of each image by torch.distributions: the oracle."""
    return (
        -distributions.Bernoulli(logits=logits, validate_args=False).log_prob(x).flatten(1).sum(1)
    )


def _bce(p, x):
    """Return the cross-entropy of probabilities, for formulas that go wrong with it."""
    return -(x * p.log() + (1 - x) * (1 - p).log())


BCE_CASES = (
    case(images([0.0]), images([1.0])),
    case(images([1.0]), images([1.0])),
    case(images([0.5, -1.0]), images([1.0, 0.0])),
    case(images([1.0], [-2.0]), images([0.0], [0.25])),
    case(some_images(3, 1, 4, 5), some_images(5, 1, 4, 5)[2:], note="three images of 4 by 5"),
    case(some_images(2, 3, 2, 2), some_images(4, 3, 2, 2)[2:], note="two images of three colours"),
)
BCE_FAR = (
    case(images([200.0]), images([1.0])),
    case(images([200.0]), images([0.0])),
    case(images([-200.0]), images([1.0])),
)

BCE_MISTAKES = (
    *reductions(lambda logits, x: _bce(logits.sigmoid(), x), "Your cross-entropy"),
    Mistake(
        lambda logits, x: _bce(logits.sigmoid().sigmoid(), x).flatten(1).sum(1),
        "Your cross-entropy squeezes twice: it applies a sigmoid to what is a probability already "
        "(the function with `_with_logits` has its own)",
    ),
    Mistake(
        lambda logits, x: _bce(logits, x).flatten(1).sum(1),
        "Your cross-entropy takes the logits for probabilities: a logit may be any number",
    ),
    Mistake(
        lambda logits, x: _bce(logits.clamp(0, 1), x).clamp(max=100).flatten(1).sum(1),
        "Your cross-entropy cuts the logits to [0, 1] as if they were probabilities",
    ),
    Mistake(
        lambda logits, x: _bce(logits.sigmoid(), (x > 0.5).double()).flatten(1).sum(1),
        "You make the targets black or white first: a grey target counts as grey",
    ),
    Mistake(
        lambda logits, x: (
            F.binary_cross_entropy_with_logits(x, logits, reduction="none").flatten(1).sum(1)
        ),
        "Logits and targets are exchanged in yours: look at the order that the function asks for",
    ),
    Mistake(
        lambda logits, x: _bce(logits.sigmoid(), x)[:, 0].flatten(1).sum(1),
        "You look at the first channel only: colour images have three",
    ),
    Mistake(
        lambda logits, x: (-x * F.logsigmoid(logits)).flatten(1).sum(1),
        "Your cross-entropy counts the white pixels only: a black pixel that is drawn white costs "
        "as much",
    ),
    Mistake(
        lambda logits, x: _bce((-logits).sigmoid(), x).flatten(1).sum(1),
        "Your cross-entropy has black and white exchanged: a large logit says white",
    ),
    Mistake(
        lambda logits, x: (logits.sigmoid() - x).square().flatten(1).sum(1),
        "Yours is the squared error of the probabilities: the cross-entropy is a logarithm",
    ),
    Mistake(
        lambda logits, x: (_bce(logits.sigmoid(), x) / 0.6931471805599453).flatten(1).sum(1),
        "Yours is in bits: the course counts in nats, with the natural logarithm",
    ),
)


BCE_WHY = f"{ROUNDS} (F.softplus, F.logsigmoid, or a function that ends in _with_logits)"


@exercise(
    "01",
    probes=[
        Values("your cross-entropy", bce_of_torch, BCE_CASES, BCE_MISTAKES, per_image=True),
        Extremes("your cross-entropy", bce_of_torch, BCE_FAR, BCE_WHY),
        *usual("your cross-entropy", BCE_CASES[4], ("logits",)),
    ],
    hints=[
        "A logit of 0 is a probability of one half, and costs log 2 = 0.693 nats whatever x is.",
        "`-log sigmoid(a)` is `F.softplus(-a)`, which stays exact where the sigmoid rounds to 0. "
        "PyTorch also has both logarithms in one function, whose name ends in `with_logits`; mind "
        "its `reduction`.",
        "A pixel costs x times the one logarithm and 1 - x times the other, each with its sign "
        "turned. Then sum over the pixels of each image.",
    ],
    opens="It stays finite for any logit, which the textbook formula does not.",
)
def bce_from_logits(logits, x):
    """Return the binary cross-entropy of each image in nats, (B,).

    logits: any numbers, (B, ...).  x: targets in [0, 1], of the same shape.
    """
    each = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return each.flatten(1).sum(dim=1)
