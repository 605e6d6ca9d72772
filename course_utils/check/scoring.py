"""Checks of the scoring chapter: how far generated images are from real ones."""

from __future__ import annotations

import torch

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Values
from course_utils.check.wording import number


def features(n: int, width: int, shift: float = 0.0, scale: float = 1.0, seed: int = 0):
    """Return n feature vectors that hang together, always the same."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, width, generator=generator, dtype=torch.float64)
    mix = torch.eye(width, dtype=torch.float64) + 0.5 * torch.ones(width, width).triu(1)
    return (scale * x @ mix + shift).float()


def frechet_of_scipy(a, b):
    """Return the distance with scipy's matrix root: the oracle."""
    import numpy as np
    from scipy import linalg

    a, b = a.double().numpy(), b.double().numpy()
    ca, cb = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    root = linalg.sqrtm(ca @ cb)
    means = np.square(a.mean(0) - b.mean(0)).sum()
    return torch.tensor(float(means + np.trace(ca) + np.trace(cb) - 2 * np.trace(root).real))


def parts(a, b, correction=1, centred=True):
    """Return squared distance of the means, both covariances, and the trace of their root."""
    a, b = a.double(), b.double()
    if centred:
        ca, cb = (torch.atleast_2d(x.T.cov(correction=correction)) for x in (a, b))
    else:
        ca, cb = (x.T @ x / len(x) for x in (a, b))
    roots = torch.linalg.eigvals(ca @ cb).real.clamp(min=0).sqrt().sum()
    return (a.mean(0) - b.mean(0)).square().sum(), ca, cb, roots


def frechet_of_torch(a, b, means=1.0, root=2.0, **slip):
    """Return the distance, or one with other weights of its parts, singular clouds included."""
    distance, ca, cb, roots = parts(a, b, **slip)
    return means * distance + ca.trace() + cb.trace() - root * roots


A, SHIFTED = features(200, 3), features(200, 3, shift=1.0)
WIDE, OTHER = features(300, 3, scale=2.0, seed=1), features(200, 3, shift=0.5, seed=2)
FRECHET_CASES = (
    Case((A, SHIFTED), "two clouds that differ by a shift of 1 in each of three directions"),
    Case((A, WIDE), "two clouds of which the second is twice as wide"),
    Case((A, OTHER), "two clouds of 200 points in three dimensions"),
    Case((features(60, 1), features(50, 1, 0.3, 2.0, 5)), "two clouds on a line"),
)

FRECHET_MISTAKES = (
    Mistake(
        lambda a, b: frechet_of_torch(a, b).clamp(min=0).sqrt(),
        "Yours is the root of it: the distance is quoted squared",
    ),
    Mistake(
        lambda a, b: frechet_of_torch(a, b, correction=0),
        "Your covariances are divided by N: by N - 1, as published scores and torch.cov do it, or "
        "the score depends on the number of points still more",
    ),
    Mistake(
        lambda a, b: frechet_of_torch(a, b, centred=False),
        "Your covariances still have the means in them: take those off first",
    ),
    Mistake(
        lambda a, b: parts(a, b)[0],
        "Yours looks at the means only: two clouds of one centre and unlike widths would be the "
        "same",
    ),
    Mistake(
        lambda a, b: frechet_of_torch(a, b, means=0.0),
        "The means are missing from yours",
    ),
    Mistake(
        lambda a, b: frechet_of_torch(a, b) - parts(a, b)[0] + parts(a, b)[0].sqrt(),
        "The distance of the means is not squared in yours",
    ),
    Mistake(
        lambda a, b: frechet_of_torch(a, b, root=1.0),
        "The factor 2 before the root of the covariances is missing from yours",
    ),
    Mistake(
        lambda a, b: parts(a, b)[0] + (parts(a, b)[1] - parts(a, b)[2]).square().sum(),
        "Yours compares the covariances number by number: the formula has the root of their "
        "product",
    ),
    Mistake(
        lambda a, b: (
            parts(a, b)[0] + (a.double().var(0).sqrt() - b.double().var(0).sqrt()).square().sum()
        ),
        "Yours uses the variances of single features and leaves out how they hang together",
    ),
    Mistake(
        lambda a, b: (
            parts(a, b)[0]
            + parts(a, b)[1].trace()
            + parts(a, b)[2].trace()
            - 2 * (parts(a, b)[1] @ parts(a, b)[2]).diagonal().clamp(min=0).sqrt().sum()
        ),
        "You take the root of each number: a root of matrices is meant, R with R R = A",
    ),
)


def same_clouds(answer: Answer) -> str | None:
    """Ask for the distance of a cloud from itself, also where it is flat."""
    flat = torch.cat([A, A[:, :1]], dim=1)  # one feature twice: a singular covariance
    for cloud, words in ((A, "a cloud"), (flat, "a cloud with one feature twice")):
        got = answer.tensor(cloud, cloud).detach().cpu().double()
        if got.numel() != 1 or not abs(got.item()) < 1e-2:
            value = number(got.item()) if got.numel() == 1 else f"of shape {tuple(got.shape)}"
            return (
                f"The distance of {words} from itself is {value}, not 0: where a covariance is "
                "singular, a root or an inverse needs care (clamp eigenvalues at 0)."
            )
    return None


def is_real(answer: Answer) -> str | None:
    """Ask for a real number: the root of a product may come back as a complex one."""
    made = answer.tensor(A, OTHER)
    if made.is_complex():
        return "Your distance is a complex number: its imaginary part is rounding; take `.real`."
    return None


@exercise(
    "scoring",
    probes=[
        Values("your distance", frechet_of_scipy, FRECHET_CASES, FRECHET_MISTAKES, rtol=2e-3),
        is_real,
        same_clouds,
    ],
    hints=[
        "Two clouds of equal form, one moved by d, are |d|^2 apart. And a cloud from itself: 0.",
        "|m_a - m_b|^2 + tr(C_a) + tr(C_b) - 2 tr(root of C_a C_b): means m, covariances C.",
        "The trace of the root is the sum of the roots of the eigenvalues of C_a C_b, which are "
        "real and not negative but for rounding.",
    ],
    opens="With features of a good network it is the score that most papers on images quote.",
)
def frechet_distance(a, b):
    """Return the Fréchet distance of normal distributions fitted to a and b.

    a, b: features (N, D) and (M, D).  A number, squared units of the features.
    Source: Heusel et al. 2017, arXiv 1706.08500.
    """
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.atleast_2d(a.T.cov()), torch.atleast_2d(b.T.cov())
    eigenvalues = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0)
    means = (a.mean(0) - b.mean(0)).square().sum()
    return means + cov_a.trace() + cov_b.trace() - 2 * eigenvalues.sqrt().sum()
