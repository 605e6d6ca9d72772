"""Checks of the page on conditional faces: what codes give away, and a step among them."""

from __future__ import annotations

import torch

from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Gradients, Mistake, Untouched, Values, case

# ------------------------------------------------------------------------ what a code gives away

APART_CASES = (
    case([[0.0], [0.0]], [[1.0], [1.0]]),
    case([[0.0], [2.0]], [[0.0], [2.0]]),
    case([[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [2.0, 0.0], [0.0, 0.0]]),
    Case((torch.linspace(-1, 1, 12).view(4, 3), torch.linspace(0, 2, 9).view(3, 3)), "codes of 3"),
)


def kernel(a, b):
    """Return how near two codes lie, by a Gaussian kernel."""
    return torch.exp(-(torch.dist(a, b) ** 2) / (2 * len(a)))


def between(a, b):
    """Return the mean nearness of a code of one label and one of another."""
    return torch.stack([kernel(u, v) for u in a for v in b]).mean()


def among(a):
    """Return the mean nearness of two different codes of one label."""
    pairs = [kernel(a[i], a[j]) for i in range(len(a)) for j in range(len(a)) if i != j]
    return torch.stack(pairs).mean()


def apart(a, b):
    """Return the squared discrepancy, one pair at a time: the oracle."""
    return among(a) + among(b) - 2 * between(a, b)


def apart_with(a, b, width):
    """Return it with a kernel of another width, given as what stands under the squared distance."""

    def near(u, v):
        return (-torch.cdist(u, v).square() / width).exp()

    def own(u):
        k = near(u, u)
        return (k.sum() - len(u)) / (len(u) * (len(u) - 1))

    return own(a) + own(b) - 2 * near(a, b).mean()


def without_diagonal(a, b):
    """Return the mean of the table of a with b, as if codes met themselves on its diagonal."""
    k = torch.stack([torch.stack([kernel(u, v) for v in b]) for u in a])
    return (k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1))


APART_MISTAKES = (
    Mistake(
        lambda a, b: between(a, a) + between(b, b) - 2 * between(a, b),
        "In yours each code meets itself, at distance 0, so that it is too large in small batches: "
        "leave the diagonal out",
    ),
    Mistake(
        lambda a, b: among(a) + among(b) - between(a, b),
        "Your codes of different labels count once: they count twice",
    ),
    Mistake(
        lambda a, b: 2 * between(a, b) - among(a) - among(b),
        "Yours has the wrong sign: it grows as the codes come together",
    ),
    Mistake(
        lambda a, b: apart_with(a, b, 2.0),
        "Your kernel forgets Z: the squared distance of two codes grows with the numbers in them, "
        "and the width has to follow",
    ),
    Mistake(
        lambda a, b: apart_with(a, b, float(a.shape[1])),
        "Your kernel lacks a factor 2: the squared distance is divided by 2 Z",
    ),
    Mistake(
        lambda a, b: apart_with(a, b, 2 / a.shape[1]),
        "Your exponent is multiplied by Z: `/ 2 * Z` divides by 2 and multiplies by Z, so put "
        "2 Z into brackets",
    ),
    Mistake(
        lambda a, b: among(a) * (1 - 1 / len(a)) + among(b) * (1 - 1 / len(b)) - 2 * between(a, b),
        "You take the diagonal out and divide by n * n: n codes have n (n - 1) pairs",
    ),
    Mistake(
        lambda a, b: among(a) + among(b) - 2 * without_diagonal(a, b),
        "You take a diagonal out of the table of a with b too, where no code meets itself",
    ),
    Mistake(
        lambda a, b: apart(a, b) / 2,
        "Yours is half of it: look at the factors of the three means",
    ),
    Mistake(
        lambda a, b: apart(a, b).clamp_min(0).sqrt(),
        "Yours is the root of it: the square is wanted, which may be a little below 0",
    ),
    Mistake(
        lambda a, b: apart(a, b).clamp_min(0),
        "Yours is cut off at 0: without the negative values its mean over batches is too large, "
        "even where the labels say nothing",
    ),
    Mistake(
        lambda a, b: (a.mean(0) - b.mean(0)).square().sum(),
        "Yours compares the means alone: codes that scatter differently would pass",
    ),
)


@exercise(
    "conditional_faces",
    probes=[
        Values("your discrepancy", apart, APART_CASES, APART_MISTAKES),
        Gradients("your discrepancy", APART_CASES[2], ("a", "b")),
    ],
    hints=[
        "Three tables of the kernel: a with a, b with b, a with b. `torch.cdist` gives distances.",
        "A code is at distance 0 from itself. Take the diagonal out of the first two tables before "
        "you average: of n codes, n (n - 1) pairs are left.",
    ],
    opens="Added to the bound, it asks a code to say nothing about the label.",
)
def codes_apart(a, b):
    """Return the squared maximum mean discrepancy of codes, without bias.

    a, b: codes (N, Z) and (M, Z).  The kernel is exp(-|u - v|^2 / (2 Z)).
    """

    def near(u, v):
        return (-torch.cdist(u, v).square() / (2 * u.shape[1])).exp()

    def within(u):
        table = near(u, u)
        return (table.sum() - table.diagonal().sum()) / (len(u) * (len(u) - 1))

    return within(a) + within(b) - 2 * near(a, b).mean()


# --------------------------------------------------------------------------------- a direction


def steering(z, along, keep, t):
    """Return a case of one call."""
    tensors = (torch.tensor(value, dtype=torch.float32) for value in (z, along, keep))
    return Case((*tensors, t))


STEER_CASES = (
    steering([[0.0, 0.0]], [1.0, 0.0], [0.0, 1.0], 2.0),
    steering([[1.0, 5.0]], [1.0, 0.0], [0.0, 1.0], 3.0),
    steering([[1.0, 5.0]], [2.0, 0.0], [0.0, 3.0], 3.0),
    steering([[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0], [0.0, 2.0], -1.0),
    steering([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]], [1.0, 1.0, 0.0], [0.0, 1.0, 1.0], 3.0),
)


def steered_by_rows(z, along, keep, t):
    """Return the codes, one by one, by Gram-Schmidt: the oracle."""
    keep = keep / keep.norm()
    free = along - torch.dot(along, keep) * keep
    free = free / free.norm()
    return torch.stack([code + (t - torch.dot(code, free)) * free for code in z])


def unit(v):
    """Return a vector of length 1."""
    return v / v.norm()


def free_of(a, b):
    """Return what of a is perpendicular to b, with whatever length is left."""
    return a - (a @ unit(b)) * unit(b)


def scaled_step(z, d, t):
    """Return codes whose product with a direction of any length is t."""
    return z + (t - z @ d)[:, None] * d / (d @ d)


STEER_MISTAKES = (
    Mistake(
        lambda z, a, k, t: z + (t - z @ unit(a))[:, None] * unit(a),
        "You move along the direction itself: if it leans towards the other one, that attribute "
        "moves, too",
    ),
    Mistake(
        lambda z, a, k, t: z + t * unit(free_of(a, k)),
        "Yours adds t to what a code has along the direction: it is to be set to t",
    ),
    Mistake(
        lambda z, a, k, t: z + t * unit(a),
        "Yours adds t along the direction as it is: set to t what a code has there, along the part "
        "that leaves the other direction alone",
    ),
    Mistake(
        lambda z, a, k, t: z + t * a,
        "Yours adds t times the direction: set to t what a code has there, along the part that "
        "leaves the other direction alone",
    ),
    Mistake(
        lambda z, a, k, t: z - (z @ unit(free_of(a, k)))[:, None] * unit(free_of(a, k)),
        "Yours takes out what a code has along the direction, and leaves 0 there: t is wanted",
    ),
    Mistake(
        lambda z, a, k, t: scaled_step(z, free_of(a, k), t),
        "How far a code reaches is measured by a direction that is not of length 1 in yours: bring "
        "it to length 1 after the projection",
    ),
    Mistake(
        lambda z, a, k, t: scaled_step(z, free_of(unit(a), k), t),
        "How far a code reaches is measured by a direction that the projection has shortened: "
        "bring it to length 1 after that, too",
    ),
    Mistake(
        lambda z, a, k, t: z + (t - z @ free_of(a, k))[:, None] * free_of(a, k),
        "What is left of the direction is shorter than 1 after your projection: bring it to "
        "length 1 again",
    ),
    Mistake(
        lambda z, a, k, t: z + (t - z @ unit(free_of(k, a)))[:, None] * unit(free_of(k, a)),
        "You have the two directions exchanged: `keep` is the one that stays",
    ),
    Mistake(
        lambda z, a, k, t: z + (t - z @ unit(a - (a @ k) * k))[:, None] * unit(a - (a @ k) * k),
        "Your projection takes `keep` for a vector of length 1, and it may have any",
    ),
    Mistake(
        lambda z, a, k, t: (t * unit(free_of(a, k))).expand_as(z),
        "Yours leaves nothing of the codes: all that is perpendicular to the direction stays",
    ),
)


@exercise(
    "conditional_faces",
    probes=[
        Values("your code", steered_by_rows, STEER_CASES, STEER_MISTAKES),
        Untouched(STEER_CASES[3]),
    ],
    hints=[
        "Take away from `along` what it shares with `keep`, as Gram and Schmidt do; what is left "
        "is to have length 1.",
        "A code has z @ d along a direction d of length 1. It is to have t there.",
    ],
    opens="What stays is linear in the code; whether the other attribute stays is for a reader to "
    "say.",
)
def steered(z, along, keep, t):
    """Return codes that have t along a direction, and stay along another.

    z: codes (N, Z).  along, keep: directions (Z,), any length, not parallel.
    """
    keep = keep / keep.norm()
    d = along - (along @ keep) * keep
    d = d / d.norm()
    return z + (t - z @ d)[:, None] * d
