"""Checks of the page on conditional faces: labels as planes, readers, codes, directions."""

from __future__ import annotations

import torch

from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Gradients, Mistake, Untouched, Values, case

# ------------------------------------------------------------------------------- label planes

PLANE_CASES = (
    Case((torch.full((1, 1, 1, 1), 0.5), torch.tensor([1]), 2), "one grey pixel, y = 1, A = 2"),
    Case((torch.arange(24.0).view(2, 3, 2, 2), torch.tensor([0, 2]), 4), "two images, y = [0, 2]"),
    Case((torch.arange(18.0).view(3, 1, 2, 3), torch.tensor([1, 0, 1]), 3), "three images"),
)


def planes_of_loops(x, y, n_classes):
    """Return images and planes, filled one by one: the oracle."""
    planes = torch.zeros(len(x), n_classes, *x.shape[2:], dtype=x.dtype)
    for i, label in enumerate(y.tolist()):
        planes[i, label] = 1
    return torch.cat([x, planes], dim=1)


def planes_alone(x, y, n_classes):
    """Return the planes without the images."""
    return planes_of_loops(x, y, n_classes)[:, x.shape[1] :]


PLANE_MISTAKES = (
    Mistake(
        lambda x, y, n: torch.cat([planes_alone(x, y, n), x], dim=1),
        "Yours has the planes in front of the image: the image's channels come first",
    ),
    Mistake(
        lambda x, y, n: torch.cat([x, y[:, None, None, None].expand(-1, n, *x.shape[2:])], dim=1),
        "Your planes hold the label as a number: a plane of ones for its class, zeros elsewhere",
    ),
    Mistake(
        lambda x, y, n: torch.cat([x, y[:, None, None, None].expand(-1, 1, *x.shape[2:])], dim=1),
        "Yours has one plane with the label as a number: a plane for each class is wanted",
    ),
    Mistake(
        lambda x, y, n: torch.cat([x, planes_alone(x, y, int(y.max()) + 1)], dim=1),
        "The number of your planes depends on the largest label of the batch: always n_classes",
    ),
    Mistake(
        lambda x, y, n: torch.cat(
            [x, planes_alone(x, y, n).amax(0, keepdim=True).expand(len(x), -1, -1, -1)], dim=1
        ),
        "Every image of yours has the planes of all labels of the batch: image i has one plane of "
        "ones, that of label i",
    ),
    Mistake(
        lambda x, y, n: torch.cat([x, 1 - planes_alone(x, y, n)], dim=1),
        "In your planes 0 and 1 are exchanged: the class of the image gets the ones",
    ),
    Mistake(planes_alone, "Yours are the planes alone: the image is missing"),
    Mistake(
        lambda x, y, n: x + planes_alone(x, y, n).sum(1, keepdim=True),
        "You add the planes to the image: they are channels of their own",
    ),
)


@exercise(
    "conditional_faces",
    probes=[Values("your stack of channels", planes_of_loops, PLANE_CASES, PLANE_MISTAKES)],
    hints=[
        "An image of 3 channels and a label out of 4 classes make 7 channels.",
        "Begin with one-hot rows (B, A); give them two dimensions more, `[:, :, None, None]`, and "
        "spread them over height and width with `expand`.",
    ],
    opens="A convolution on it has a bias for each class, up to the border.",
)
def label_planes(x, y, n_classes):
    """Return images with label planes behind, (B, C + n_classes, H, W).

    x: images (B, C, H, W).  y: labels (B,), whole numbers from 0.
    """
    one_hot = torch.eye(n_classes)[y]
    planes = one_hot[:, :, None, None].expand(-1, -1, *x.shape[2:])
    return torch.cat([x, planes], dim=1)


# ------------------------------------------------------------------------------ a reader's worth


def yes_no(said: str, truth: str) -> Case:
    """Return a case from two rows of y and n."""
    rows = (torch.tensor([letter == "y" for letter in row]) for row in (said, truth))
    return Case(tuple(rows), f"answers {said}, truth {truth} (y: yes, n: no)")


WORTH_CASES = (
    yes_no("yn", "yn"),
    yes_no("nnnn", "ynnn"),
    yes_no("yynnn", "ynnnn"),
    yes_no("yynyynnnnn", "yyyynnnnnn"),
)


def shares_right(said, truth):
    """Return the shares of the yeses and of the noes that are read right."""
    right = (said == truth).double()
    return right[truth].mean(), right[~truth].mean()


def worth_of_counts(said, truth):
    """Return the mean of two shares from counts: the oracle."""
    pairs = list(zip(said.tolist(), truth.tolist(), strict=True))
    both = (sum(s == t == side for s, t in pairs) / sum(t == side for _, t in pairs)
            for side in (True, False))  # fmt: skip
    return torch.tensor(sum(both) / 2)


WORTH_MISTAKES = (
    Mistake(
        lambda s, t: (s == t).double().mean(),
        "Yours is the share of all faces that are read right, which a reader who always says no "
        "passes where most faces are a no",
    ),
    Mistake(
        lambda s, t: shares_right(s, t)[0],
        "Yours looks at the faces with glasses alone: a reader who always says yes would be "
        "perfect",
    ),
    Mistake(
        lambda s, t: shares_right(s, t)[1],
        "Yours looks at the faces without glasses alone: a reader who always says no would be "
        "perfect",
    ),
    Mistake(
        lambda s, t: sum(shares_right(s, t)),
        "Yours is the sum of both shares: their mean lies between 0 and 1",
    ),
    Mistake(
        lambda s, t: 100 * sum(shares_right(s, t)) / 2,
        "Yours is in percent: a share from 0 to 1 is wanted",
    ),
    Mistake(
        lambda s, t: sum(shares_right(s, t)) - 1,
        "Yours is 0 for a reader who guesses, as if chance had been taken off: the mean of both "
        "shares is wanted, 1/2 for that reader",
    ),
    Mistake(
        lambda s, t: sum(shares_right(t, s)) / 2,
        "You divide by how often the reader says yes, and no: what counts is how many faces have "
        "glasses, and how many have none",
    ),
    Mistake(
        lambda s, t: (s == t).double().mean() / 2,
        "You divide both counts by the number of all faces: each kind has a share of its own",
    ),
    Mistake(
        lambda s, t: (shares_right(s, t)[0] + 1 - shares_right(s, t)[1]) / 2,
        "Your second share is that of noes read *wrong*",
    ),
    Mistake(
        lambda s, t: (shares_right(s, t)[0] * shares_right(s, t)[1]).sqrt(),
        "Yours is the geometric mean, 0 for a reader who always says no: the arithmetic one is "
        "wanted",
    ),
    Mistake(
        lambda s, t: 2 * (s & t).sum() / (s.sum() + t.sum()),
        "Yours is the F1 score, which does not look at noes that are read right",
    ),
    Mistake(
        lambda s, t: torch.stack(shares_right(s, t)),
        "Yours are the two shares: one number is wanted, their mean",
    ),
)


@exercise(
    "conditional_faces",
    probes=[Values("your number", worth_of_counts, WORTH_CASES, WORTH_MISTAKES)],
    hints=[
        "Of the faces that wear glasses, which share is read right? And of those that do not?",
        "`said[truth]` picks the answers for faces with glasses, `said[~truth]` for the others.",
    ],
    opens="Always saying no is worth one half by it, however rare the yeses are.",
)
def balanced_accuracy(said, truth):
    """Return the mean of the shares of yeses and of noes read right, 0 to 1.

    said, truth: what a reader says of faces, and what is so, bool (N,).
    Both kinds occur.
    """
    return (said[truth].float().mean() + (~said[~truth]).float().mean()) / 2


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
