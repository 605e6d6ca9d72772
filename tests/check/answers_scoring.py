"""Answers to the exercises of the scoring chapter; see check_answers."""

import math

import numpy as np
import torch
from check_answers import enter, right, wrong
from torch.distributions import MultivariateNormal

# ------------------------------------------------------------------------------- error of a share

enter(
    "share_error",
    {
        "variance of the share": lambda p, n: p * (1 - p) / n,
        "deviation of a single draw": lambda p, n: torch.sqrt(p - p**2),
        "four times as many draws only halve": lambda p, n: torch.sqrt(p - p**2) / n,
        "does not scatter at all": lambda p, n: torch.sqrt(p / n),
        "two standard errors": lambda p, n: 2 * torch.sqrt(p * (1 - p) / n),
        "95 % interval": lambda p, n: 1.96 * torch.sqrt(p * (1 - p) / n),
        "largest error that any share can have": lambda p, n: 0 * p + 1 / (2 * math.sqrt(n)),
        "Your error is not right yet": lambda p, n: torch.sqrt(p * (1 - p) / (n - 1)),
    },
    [
        lambda p, n: torch.sqrt(p - p.square()) / math.sqrt(n),
        lambda p, n: np.sqrt(np.asarray(p) * (1 - np.asarray(p)) / n),
        lambda p, n: torch.distributions.Bernoulli(p, validate_args=False).variance.div(n) ** 0.5,
    ],
)

# ------------------------------------------------------------------------- a test of two samples


def joined(a, b):
    """Return all points, whose they are, and their distances."""
    points = torch.cat([a, b])
    whose = torch.tensor([0] * len(a) + [1] * len(b))
    return points, whose, torch.cdist(points, points)


def own_neighbours(a, b):
    """Return for each point whether its nearest other one is of its own set."""
    _, whose, distances = joined(a, b)
    return whose[distances.topk(2, largest=False).indices[:, 1]] == whose


def manhattan(a, b):
    points, whose, _ = joined(a, b)
    distances = torch.cdist(points, points, p=1) + 1e9 * torch.eye(len(points))
    return (whose[distances.argmin(1)] == whose).float().mean()


def with_itself(a, b):
    _, whose, distances = joined(a, b)
    return (whose[distances.argmin(1)] == whose).float().mean()


def both_halves(a, b):
    own = own_neighbours(a, b).float()
    return (own[: len(a)].mean() + own[len(a) :].mean()) / 2


def with_scikit(a, b):
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    points, whose, _ = joined(a, b)
    one = KNeighborsClassifier(1)
    return cross_val_score(one, points.numpy(), whose.numpy(), cv=LeaveOneOut()).mean()


def in_a_loop(a, b):
    own = 0
    for mine, other in ((a, b), (b, a)):
        for i, x in enumerate(mine):
            rest = torch.cat([mine[:i], mine[i + 1 :]])
            own += bool((rest - x).norm(dim=1).min() < (other - x).norm(dim=1).min())
    return own / (len(a) + len(b))


enter(
    "nearest_neighbour_test",
    {
        "always 1": with_itself,
        "from the other set": lambda a, b: (~own_neighbours(a, b)).float().mean(),
        "points of a only": lambda a, b: own_neighbours(a, b)[: len(a)].float().mean(),
        "points of b only": lambda a, b: own_neighbours(a, b)[len(a) :].float().mean(),
        "a number of points": lambda a, b: own_neighbours(a, b).sum(),
        "absolute differences": manhattan,
        "averages over the two sets": both_halves,
        "Your share is not right yet": lambda a, b: own_neighbours(a, b).float().mean() - 0.5,
        "has shape": lambda a, b: own_neighbours(a, b).float(),
    },
    [lambda a, b: own_neighbours(a, b).float().mean(), with_scikit, in_a_loop],
)

# --------------------------------------------------------------------------- a precision too low


def balls(points, k):
    """Return the distance of each point to its k-th neighbour."""
    distances = torch.cdist(points, points) + torch.diag(torch.full((len(points),), torch.inf))
    return distances.sort(1).values[:, k - 1]


def in_balls(real, fake, k):
    return torch.cdist(fake, real) < balls(real, k)


enter(
    "repaired_precision",
    {
        "still too small": lambda real, fake, k: (
            (torch.cdist(fake, real) < torch.cdist(real, real).sort(1).values[:, k - 1])
            .any(1)
            .double()
            .mean()
        ),
        "too large now": lambda real, fake, k: in_balls(real, fake, k + 1).any(1).double().mean(),
        "recall": lambda real, fake, k: in_balls(fake, real, k).any(1).double().mean(),
        "coverage": lambda real, fake, k: in_balls(real, fake, k).any(0).double().mean(),
        "density": lambda real, fake, k: in_balls(real, fake, k).double().sum(1).mean() / k,
        "a number of points": lambda real, fake, k: in_balls(real, fake, k).any(1).sum(),
        "one radius": lambda real, fake, k: (
            (torch.cdist(fake, real) < balls(real, k).mean()).any(1).double().mean()
        ),
    },
    [
        lambda real, fake, k: in_balls(real, fake, k).any(1).double().mean(),
        lambda real, fake, k: (
            (torch.cdist(fake, real) < torch.cdist(real, real).sort(1).values[:, k])
            .any(1)
            .double()
            .mean()
        ),
        lambda real, fake, k: (
            (torch.cdist(real, fake) < balls(real, k)[:, None]).any(0).float().mean()
        ),
    ],
)

# ------------------------------------------------------------------------ a histogram that forgets


def counted(points, side, n=None):
    table = torch.zeros(side, side)
    for x, y in points:
        table[int(side * x), int(side * y)] += 1
    return table / (n or len(points))


@wrong("repaired_shares", "Points are still lost")
def _(points, side):
    table, n = torch.zeros(side, side), len(points)
    i = 0
    while i < len(points):
        x, y = points.pop(i)
        table[int(side * x), int(side * y)] += 1 / n
        i += 1
    return table


@wrong("repaired_shares", "leaves 0 of the 2 points")
def _(points, side):
    table, n = torch.zeros(side, side), len(points)
    while points:
        x, y = points.pop()
        table[int(side * x), int(side * y)] += 1 / n
    return table


enter(
    "repaired_shares",
    {
        "numbers of points": lambda points, side: counted(points, side, n=1),
        "every second point": lambda points, side: counted(points[::2], side),
        "exchanged": lambda points, side: counted(points, side).T,
        "occurs twice": lambda points, side: counted(set(map(tuple, points)), side),
        "Half of the points are missing": lambda points, side: counted(
            points[-(len(points) // 2) :], side
        ),
        "Your table is not right yet": lambda points, side: counted(points, side) + 1e-2,
    },
    [
        counted,
        lambda points, side: (
            torch.histogramdd(torch.tensor(points), [side, side], range=[0.0, 1.0, 0.0, 1.0]).hist
            / len(points)
        ),
    ],
)


@right("repaired_shares")
def _(points, side):
    """Strikes points off a copy, from the end."""
    rest, table = list(points), torch.zeros(side, side)
    while rest:
        x, y = rest.pop()
        table[int(side * x), int(side * y)] += 1 / len(points)
    return table


# ----------------------------------------------------------------------- a blind spot of a score


def spread_like(real, noise):
    """Give noise (N, D) the mean and the covariance of the real points, exactly."""
    noise = noise - noise.mean(0)
    whitened = torch.linalg.solve_triangular(
        torch.linalg.cholesky(noise.T.cov()), noise.T, upper=False
    )
    return (torch.linalg.cholesky(real.T.cov()) @ whitened).T + real.mean(0)


enter(
    "fool_frechet",
    {
        "the real points themselves": lambda real: real,
        "of your points lie among": lambda real: real + 0.02 * torch.randn_like(real),
        "Their mean is elsewhere": lambda real: torch.randn_like(real) * real.std(0),
        "is 0 times that": lambda real: real.mean(0).expand_as(real).clone(),
        "along direction": lambda real: real.mean(0) + torch.randn_like(real),
        "hang together": lambda real: real.mean(0) + real.std(0) * torch.randn_like(real),
        "have shape (100,": lambda real: MultivariateNormal(real.mean(0), real.T.cov()).sample(
            (100,)
        ),
        "not finite": lambda real: real / 0.0,
    },
    [
        lambda real: spread_like(real, torch.randn_like(real)),
        lambda real: spread_like(real, torch.rand_like(real)),
        lambda real: real.mean(0) + torch.randn_like(real) @ torch.linalg.cholesky(real.T.cov()).T,
        lambda real: 2 * real.mean(0) - real,  # turned round the mean
    ],
)
