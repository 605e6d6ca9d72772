"""Checks of the page on conditional faces: labels as planes, and what a reader is worth."""

from __future__ import annotations

import torch

from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Values

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
