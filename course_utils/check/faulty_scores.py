"""Checks of the scoring chapter: two scores with a fault each, and a blind spot of a third."""

from __future__ import annotations

import torch

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Values, case
from course_utils.check.scoring import features, frechet_of_torch
from course_utils.check.wording import number

# --------------------------------------------------------------------------- a precision too low


def handed_out_precision(real, fake, k):
    """Return the share of fake points that lie in a ball around a real one."""
    radius = torch.cdist(real, real).kthvalue(k).values
    inside = torch.cdist(fake, real) < radius
    return inside.any(1).float().mean()


def ball_of_loops(points, k):
    """Return the distance of each point to its k-th neighbour, one point at a time."""
    return [sorted(float((x - y).norm()) for j, y in enumerate(points) if j != i)[k - 1]
            for i, x in enumerate(points)]  # fmt: skip


def hits_of_loops(real, fake, radii):
    """Return whether each fake point lies in each real ball, (M, N) of 0 and 1."""
    return torch.tensor([[float((x - y).norm()) < r for y, r in zip(real, radii, strict=True)]
                         for x in fake], dtype=torch.float64)  # fmt: skip


def precision_of_loops(real, fake, k):
    """Return precision, one point at a time: the oracle."""
    return hits_of_loops(real, fake, ball_of_loops(real, k)).amax(1).mean()


PRECISION_CASES = (
    case([[0.0], [1.0], [3.0]], [[1.9], [9.0]], 1, note="0, 1 and 3 with k = 1, fakes 1.9 and 9"),
    case([[0.0], [0.0], [1.0], [5.0]], [[-0.5], [1.5], [8.0]], 1,
         note="0 twice, 1 and 5 with k = 1, fakes -0.5, 1.5 and 8"),
    case(
        features(30, 2).tolist(),
        features(20, 2, scale=1.5, seed=3).tolist(),
        2,
        note="30 real and 20 fake points in the plane, k = 2",
    ),
    case(
        features(25, 3).tolist(),
        features(35, 3, shift=0.5, seed=4).tolist(),
        5,
        note="25 real and 35 fake points, k = 5",
    ),
)  # fmt: skip
PRECISION_MISTAKES = (
    Mistake(
        handed_out_precision,
        "Its balls are still too small: a point is its own nearest neighbour, at distance 0, and "
        "is counted among the k",
    ),
    Mistake(
        lambda real, fake, k: precision_of_loops(real, fake, k + 1),
        "Its balls are too large now: they reach to the neighbour after the k-th",
    ),
    Mistake(
        lambda real, fake, k: precision_of_loops(fake, real, k),
        "Yours is recall: real points in balls of fake ones",
    ),
    Mistake(
        lambda real, fake, k: hits_of_loops(real, fake, ball_of_loops(real, k)).amax(0).mean(),
        "Yours is coverage: the share of balls that hold a fake point",
    ),
    Mistake(
        lambda real, fake, k: hits_of_loops(real, fake, ball_of_loops(real, k)).sum(1).mean() / k,
        "Yours is density: balls around a fake point, over k",
    ),
    Mistake(
        lambda real, fake, k: hits_of_loops(real, fake, ball_of_loops(real, k)).amax(1).sum(),
        "Yours is a number of points: their share is wanted",
    ),
    Mistake(
        lambda real, fake, k: torch.cdist(fake, real).amin(1)
        .lt(torch.tensor(ball_of_loops(real, k)).mean()).double().mean(),
        "Yours gives all balls one radius: each has its own",
    ),
)  # fmt: skip


@exercise(
    "scoring",
    probes=[Values("your precision", precision_of_loops, PRECISION_CASES, PRECISION_MISTAKES)],
    hints=[
        "Print the radius for real points 0, 1 and 3 and k = 1. How large ought the balls to be?",
        "In a table of distances of a set with itself, what stands on the diagonal?",
    ],
    opens="With k = 1 the fault makes every ball a point, and precision 0 for any generator.",
    starter=handed_out_precision,
)
def repaired_precision(real, fake, k):
    """Return the share of fake points that lie in a ball around a real one."""
    radius = torch.cdist(real, real).kthvalue(k + 1).values
    inside = torch.cdist(fake, real) < radius
    return inside.any(1).float().mean()


# ------------------------------------------------------------------------ a histogram that forgets


def handed_out_shares(points, side):
    """Return the share of points in each of side x side squares of [0, 1]."""
    table, n = torch.zeros(side, side), len(points)
    for point in points:
        i, j = (int(side * c) for c in point)
        table[i, j] += 1 / n
        points.remove(point)
    return table


def shares_of_numpy(points, side):
    """Return the shares with NumPy: the oracle."""
    import numpy as np

    x = np.array(points)
    table, *_ = np.histogram2d(x[:, 0], x[:, 1], bins=side, range=[[0, 1], [0, 1]])
    return torch.from_numpy(table / len(x))


def grid_points(n: int, seed: int) -> list:
    """Return n points of the unit square as lists; some of them occur twice."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 2, generator=generator).pow(1.5) * 0.999
    return [*x.tolist(), *x[: n // 4].tolist()]


TWO = [[0.1, 0.1], [0.9, 0.1]]
SHARES_CASES = (
    Case((TWO, 2), "the points (0.1, 0.1) and (0.9, 0.1)"),
    Case((grid_points(40, 0), 3), "fifty points"),
    Case((grid_points(24, 1), 4), "thirty points, six of them twice"),
)


def struck(points, side):
    """Return what the starter makes of a copy of the points."""
    return handed_out_shares([*points], side)


SHARES_MISTAKES = (
    Mistake(
        struck,
        "Points are still lost: the loop steps over the one after each that it removes",
    ),
    Mistake(
        lambda points, side: shares_of_numpy(points, side) * len(points),
        "Yours are numbers of points: shares are wanted, which add up to 1",
    ),
    Mistake(
        lambda points, side: struck(points, side) / struck(points, side).sum(),
        "Your shares add up to 1, but they are those of every second point",
    ),
    Mistake(
        lambda points, side: shares_of_numpy(points, side).T,
        "Rows and columns are exchanged in yours: the first coordinate chooses the row",
    ),
    Mistake(
        lambda points, side: shares_of_numpy(sorted(set(map(tuple, points))), side),
        "Yours counts a point once that occurs twice",
    ),
    Mistake(
        lambda points, side: shares_of_numpy(points[::-1][: len(points) // 2], side),
        "Half of the points are missing from yours",
    ),
)


def list_is_left_alone(answer: Answer) -> str | None:
    """Ask for the list after the call: it is the caller's."""
    answer.tensor(TWO, 2)
    left = answer.inputs[0]
    if left != TWO:
        return (
            f"Your function leaves {len(left)} of the 2 points in the list that it was given: "
            "whoever calls it next scores what is left."
        )
    return None


@exercise(
    "scoring",
    probes=[
        Values("your table", shares_of_numpy, SHARES_CASES, SHARES_MISTAKES),
        list_is_left_alone,
    ],
    hints=[
        "What do the shares of two points add up to?",
        "Watch the list while the loop walks over it: where is the loop after the first removal?",
        "Which line changes the list, and what is it needed for?",
    ],
    opens="One line less, and a divergence on such shares is never below 0 again.",
    starter=handed_out_shares,
)
def repaired_shares(points, side):
    """Return the share of points in each of side x side squares of [0, 1]."""
    table, n = torch.zeros(side, side), len(points)
    for point in points:
        i, j = (int(side * c) for c in point)
        table[i, j] += 1 / n
    return table


# ----------------------------------------------------------------------- a blind spot of a score

FD_MOST = 0.05  # of the real points' total variance
AMONG_MOST = 0.5  # share of points that may lie among the real ones


def lumps(dim: int, k: int, seed: int) -> torch.Tensor:
    """Return 600 points in k tight lumps that lie askew, (600, dim)."""
    generator = torch.Generator().manual_seed(seed)
    middles = 2 + 3 * torch.randn(k, dim, generator=generator)
    middles[:, 1] += 2 * middles[:, 0]  # coordinates that hang together
    which = torch.arange(600) % k
    return middles[which] + 0.1 * torch.randn(600, dim, generator=generator)


def share_among(real: torch.Tensor, made: torch.Tensor) -> float:
    """Return the share of points that lie in the ball of a real one, to its fifth neighbour."""
    radius = torch.cdist(real, real).kthvalue(6).values
    return float((torch.cdist(made, real) < radius).any(1).double().mean())


def fools_the_distance(answer: Answer) -> str | None:
    """Ask for points that the Fréchet distance takes for real, and that are not."""
    for dim, k, seed in ((2, 5, 3), (3, 5, 1), (2, 3, 5)):
        real = lumps(dim, k, seed)
        made = answer.tensor(real)
        where = f"{k} lumps in {dim} dimensions"
        if made.shape != real.shape:
            return (
                f"Your points have shape {tuple(made.shape)} for real ones of shape "
                f"{tuple(real.shape)}: as many points are wanted."
            )
        if torch.equal(made.detach().cpu(), real):
            return "Yours are the real points themselves: such a score is deserved."
        made, exact = made.detach().cpu().double(), real.double()
        if not made.isfinite().all():
            return f"Some of your points are not finite numbers, for {where}."
        if sentence := far_by_moments(exact, made, where):
            return sentence
        among = share_among(exact, made)
        if among > AMONG_MOST:
            return (
                f"{among:.0%} of your points lie among the real ones, for {where}: they are no "
                "fault that a score would have to find. Fewer than half may."
            )
    return None


def far_by_moments(real: torch.Tensor, made: torch.Tensor, where: str) -> str | None:
    """Return why the distance sees that points are not real, None where it does not."""
    total = real.var(0).sum()
    distance = frechet_of_torch(real, made) / total
    if distance < FD_MOST:
        return None
    said = f"The distance sees your points, for {where}: FD is {number(float(distance))} times the "
    said += f"variance of the real ones, and {FD_MOST} is the most. "
    if (real.mean(0) - made.mean(0)).square().sum() > 0.5 * FD_MOST * total:
        return f"{said}Their mean is elsewhere."
    ratio = made.var(0) / real.var(0)
    if (ratio - 1).abs().max() > 0.3:
        i = int((ratio - 1).abs().argmax())
        return f"{said}Their variance along direction {i} is {number(float(ratio[i]))} times that."
    return f"{said}Mean and variances agree; what is left is how the directions hang together."


@exercise(
    "scoring",
    probes=[fools_the_distance],
    hints=[
        "Which two things does the distance know of a set of points?",
        "Find points that have both, and nothing else of the real ones. In the chapter one blob "
        "passed for eight spots.",
        "torch.distributions has a normal distribution of many dimensions.",
    ],
    opens="Whatever reports a Fréchet distance alone can be fooled like this, by a generator that "
    "was trained on it for instance.",
)
def fool_frechet(real):
    """Return points (N, D) that the Fréchet distance takes for the real ones.

    real: points (N, D) in a few lumps.  Fewer than half of yours may lie
    among them.
    """
    normal = torch.distributions.MultivariateNormal(real.mean(0), real.T.cov())
    return normal.sample((len(real),))
