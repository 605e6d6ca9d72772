"""Checks of chapter 03: contrastive divergence, on machines that can be summed over."""

from __future__ import annotations

import itertools

import torch

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Mistake, OnTheCard, Untouched, Values, case
from course_utils.check.statistics import SIGMAS
from course_utils.check.wording import number


def every(n: int) -> torch.Tensor:
    """Return all states (2**n, n) of n units that are on or off, in double precision."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n))).double()


def probabilities(logits: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """Return how probable each state (S, n) is for units with logits (B, n): (B, S)."""
    on = logits.sigmoid()[:, None]
    return (states * on + (1 - states) * (1 - on)).prod(2)


def expected(W, b, c, v, steps):
    """Return the mean of contrastive divergence over all dreams, each with its probability.

    The chain of Gibbs sampling is a matrix over all images; its power says where it is after some
    rounds. For machines of a few units only. v holds states of 0 and 1.
    """
    W, b, c, v = (value.double() for value in (W, b, c, v))
    images, units = every(W.shape[1]), every(W.shape[0])
    up = probabilities(images @ W.T + c, units)  # (images, units)
    down = probabilities(units @ W + b, images)
    dreamt = probabilities(1e9 * (v - 0.5), images) @ torch.linalg.matrix_power(up @ down, steps)
    joint = (images @ W.T + c).sigmoid()[:, :, None] * images[:, None]  # (images, H, D)
    data = (v @ W.T + c).sigmoid().T @ v / len(v)
    return (data - torch.einsum("i,ihd->hd", dreamt.mean(0), joint)).round(decimals=9) + 0.0


# -------------------------------------------------------------- machines that leave nothing to luck


def chain(W, b, c, v, steps):
    """Return dream (B, D) and the hidden units (B, H) it came from, where nothing is left to luck.

    With no step the dream is v, and the hidden units are its own.
    """
    h = (v @ W.T + c).sigmoid().round()
    for _ in range(steps):
        h = (v @ W.T + c).sigmoid().round()
        v = (h @ W + b).sigmoid().round()
    return v, h


def contrast(W, c, v, dream, of_dream=None):
    """Return positive less negative phase, (H, D)."""
    up = (v @ W.T + c).sigmoid()
    again = (dream @ W.T + c).sigmoid() if of_dream is None else of_dream
    return (up.T @ v - again.T @ dream) / len(v)


def after(more: int):
    """Return the formula of one who makes `more` rounds than were asked for."""
    return lambda W, b, c, v, steps: contrast(W, c, v, chain(W, b, c, v, steps + more)[0])


def differences(W, b, c, v, steps):
    """Return the product of what differs in units and in pixels, in place of the difference."""
    dream = chain(W, b, c, v, steps)[0]
    units = (v @ W.T + c).sigmoid() - (dream @ W.T + c).sigmoid()
    return units.T @ (v - dream) / len(v)


OF_CONTRAST = (
    Mistake(
        lambda *a: -after(0)(*a),
        "Your signs are exchanged: what goes with the data is to become more probable, what goes "
        "with dreams less",
    ),
    Mistake(
        lambda W, b, c, v, steps: contrast(W, c, v, 0 * v),
        "Yours is the positive phase alone: nothing would hold the weights back",
    ),
    Mistake(
        lambda W, b, c, v, steps: after(0)(W, b, c, v, steps) * len(v),
        "Your products are summed over the images: their mean is wanted",
    ),
    Mistake(
        differences,
        "You multiply two differences: each phase is a mean of products, and then one is taken "
        "from the other",
    ),
    Mistake(
        lambda *a: after(0)(*a).T,
        "Your answer lies on its side: it is to have the shape of W, hidden units by pixels",
    ),
    Mistake(
        lambda W, b, c, v, steps: contrast(W, c, v, chain(W, b, c, v, 1)[0]),
        "However many steps are asked for, your dream is that of the first: each round begins "
        "where the last one ended",
    ),
    Mistake(after(1), "Your chain makes a round more than `steps` says"),
    Mistake(after(-1), "Your chain makes a round less than `steps` says"),
    Mistake(
        lambda W, b, c, v, steps: contrast(W, c, v, *chain(W, b, c, v, steps)),
        "Beside the dream stand the hidden units that it was drawn from: ask the dream itself "
        "for its own",
    ),
    Mistake(
        lambda W, b, c, v, steps: contrast(
            W, c, v, chain(W, b, c, v, steps)[0], (v @ W.T + c).sigmoid()
        ),
        "Beside the dream stand the hidden units of the data: ask the dream for its own",
    ),
)

# Biases and weights so large that every probability is 0 or 1, whatever is drawn.
LIGHT = case([[0.0]], [120.0], [120.0], [[0.0]], 1)  # the data are dark, the dream is light
# Two hidden units, three pixels: a pixel lights the unit beside it, a unit the pixels beside it.
DOMINO = [[240.0, 240.0, 0.0], [0.0, 240.0, 240.0]], [-120.0] * 3, [-120.0] * 2
FALLING = case(*DOMINO, [[1.0, 0.0, 0.0]], 1)
FALLEN = case(*DOMINO, [[1.0, 0.0, 0.0]], 2)
PAIR = case(*DOMINO, [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], 2)


# ------------------------------------------------------------------------- a machine that dreams

LIVELY = (
    torch.tensor([[2.0, -1.5, 0.5, 1.0], [-1.0, 2.5, -2.0, 0.5], [1.5, 1.0, -0.5, -2.0]]),
    torch.tensor([-0.5, 0.3, 0.8, -0.2]),
    torch.tensor([0.4, -0.6, 0.1]),
)
IMAGES = torch.tensor([[1.0, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 1], [0, 0, 0, 1]])
COPIES = 25_000  # of each image


def drawn_right(answer: Answer) -> str | None:
    """Compare means over 100,000 dreams with the exact ones, for chains of two lengths.

    What one image adds lies between -1 and 1, so its standard deviation is 1 at most: the bound
    refuses a right answer, whichever of its probabilities it draws, in less than one of a million.
    """
    v = IMAGES.repeat(COPIES, 1)
    for steps in (1, 8):
        got = answer.tensor(*LIVELY, v, steps).detach().cpu().double()
        wanted = expected(*LIVELY, IMAGES, steps)
        if got.shape != wanted.shape:
            return f"Your answer has shape {tuple(got.shape)} for W of {tuple(wanted.shape)}."
        if far_from(got, wanted):
            return f"{not_drawn(got, steps)}{shown_off(got, wanted, steps)}."
    return None


drawn_right.of_right_answers = True  # what it says is no news of one that is wrong anyway


def far_from(got: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Tell whether a mean over all images cannot have the expectation `wanted`."""
    return not (got - wanted).abs().max() <= SIGMAS / (len(IMAGES) * COPIES) ** 0.5


def not_drawn(got: torch.Tensor, steps: int) -> str:
    """Say what was not drawn, where a first round without that draw gives the same mean."""
    W, b, c = (value.double() for value in LIVELY)
    v = IMAGES.double()
    up = (v @ W.T + c).sigmoid()
    units, pixels = every(len(W)), every(W.shape[1])
    alike = torch.full((len(v),), 1 / len(v)).double()

    def mean(dream, weight):  # each dream with its probability
        negative = ((dream @ W.T + c).sigmoid() * weight[:, None]).T @ dream
        return up.T @ v / len(v) - negative

    soft = (units @ W + b).sigmoid(), probabilities(v @ W.T + c, units).mean(0)
    for made, says in (
        (soft, "The pixels of your dream are probabilities"),
        ((pixels, probabilities(up @ W + b, pixels).mean(0)),
         "Your dream is made from probabilities of hidden units"),
        (((up @ W + b).sigmoid(), alike), "Nothing is drawn in your round trip"),
        ((chain(W, b, c, v, 1)[0], alike), "Your units are rounded in place of being drawn"),
    ):  # fmt: skip
        if steps == 1 and not far_from(got, mean(*made)):
            return (
                f"{says}: units and pixels are on or off, and the chain is at home in the "
                "machine's own dreams only if both are drawn"
            )
    return (
        "Where every draw is certain your answer is right, elsewhere its mean is off: is every "
        "image's chain drawn for itself, in each round anew"
    )


def shown_off(got: torch.Tensor, wanted: torch.Tensor, steps: int) -> str:
    """Return the number of a mean that is farthest off, in parentheses."""
    i, j = divmod(int((got - wanted).abs().argmax()), wanted.shape[1])
    return (
        f" (3 hidden units, 4 pixels, steps = {steps}, {len(IMAGES) * COPIES:,} images: number "
        f"[{i}, {j}] has the mean {number(got[i, j].item())}, not {number(wanted[i, j].item())})"
    )


@exercise(
    "03",
    probes=[
        Values("your difference", expected, (LIGHT, FALLING, FALLEN, PAIR), OF_CONTRAST),
        drawn_right,
        Untouched(FALLING),
        OnTheCard(FALLING),
    ],
    hints=[
        "Positive phase: the probabilities of the hidden units, given the data, times the pixels, "
        "averaged over the images. Negative phase: the same, of the dream.",
        "A round draws hidden units from their probabilities, then pixels from theirs, with "
        "`torch.bernoulli`. Where does the next round begin?",
        "`up.T @ v / len(v)` is the mean over the images of the products of all hidden units with "
        "all pixels, in the shape of W.",
    ],
    opens="With enough rounds its mean is the slope of the log-likelihood, whose second part "
    "nobody can sum up.",
)
def contrastive_divergence(W, b, c, v, steps):
    """Return the direction of W by contrastive divergence, (H, D).

    W: weights, (H, D).  b: biases of the pixels, (D,).  c: biases of the
    hidden units, (H,).  v: images of 0 and 1, (B, D).  steps: rounds of
    Gibbs sampling, from the images to the dream; 1 or more.
    """
    up = torch.sigmoid(v @ W.T + c)
    dream = v
    for _ in range(steps):
        h = torch.bernoulli(torch.sigmoid(dream @ W.T + c))
        dream = torch.bernoulli(torch.sigmoid(h @ W + b))
    again = torch.sigmoid(dream @ W.T + c)
    return (up.T @ v - again.T @ dream) / len(v)
