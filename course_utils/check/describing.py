"""Checks of chapter 00 on describing images by directions: principal components, whitening."""

from __future__ import annotations

import torch

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Untouched, Values, case
from course_utils.check.wording import number

# ------------------------------------------------------------------------------ components


def of_sklearn(x, k):
    """Return what scikit-learn's PCA makes of the rows: the oracle."""
    from sklearn.decomposition import PCA

    pca = PCA(k, svd_solver="full").fit(x.numpy())
    return torch.from_numpy(pca.inverse_transform(pca.transform(x.numpy())))


def some_rows() -> torch.Tensor:
    """Return 30 rows of 5 numbers that hang together, far from 0."""
    generator = torch.Generator().manual_seed(3)
    mixed = torch.randn(30, 5, generator=generator) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.2])
    return mixed @ torch.linalg.qr(torch.randn(5, 5, generator=generator))[0] + 4


ROWS = (
    Case((torch.tensor([[10.0, 3.0], [10.0, -3.0], [11.0, 1.0], [9.0, -1.0]]), 1),
         "rows [10, 3], [10, -3], [11, 1], [9, -1], k = 1"),
    Case((some_rows(), 2), "30 rows of five numbers, k = 2"),
    Case((some_rows(), 4), "30 rows of five numbers, k = 4"),
)  # fmt: skip


def by_axes(x, k, middle=None, largest=True, back=True):
    """Return rows rebuilt from k axes, with a slip."""
    middle = x.mean(0) if middle is None else middle
    axes = torch.linalg.svd(x - middle, full_matrices=False)[2]
    axes = axes[:k] if largest else axes[-k:]
    return (x - middle) @ axes.mT @ axes + (middle if back else 0)


def axes_of(x):
    """Return the principal axes as rows, that of largest variance first."""
    return torch.linalg.svd(x - x.mean(0), full_matrices=False)[2]


def per_pixel(x, k):
    """Return rows rebuilt after each number was brought to deviation 1."""
    deviation = x.std(0)
    return by_axes(x / deviation, k) * deviation


COMPONENT_MISTAKES = (
    Mistake(
        lambda x, k: by_axes(x, k, middle=torch.zeros_like(x[0])),
        "You do not take the mean off first, so that the first axis points to the mean",
    ),
    Mistake(
        lambda x, k: by_axes(x, k, middle=x.mean().expand(x.shape[1])),
        "You take one mean of all numbers off: each column has a mean of its own",
    ),
    Mistake(
        lambda x, k: x @ axes_of(x)[:k].mT @ axes_of(x)[:k],
        "Your axes are right, and the rows are projected with their mean still in them: take it "
        "off first, and put it back on",
    ),
    Mistake(
        lambda x, k: (
            torch.linalg.svd(x - x.mean(0), full_matrices=False)[0][:, :k] @ axes_of(x)[:k]
            + x.mean(0)
        ),
        "You leave the singular values out: U alone says in which proportion a row uses an axis, "
        "not how much",
    ),
    Mistake(
        lambda x, k: by_axes(x, k, back=False),
        "You do not put the mean back on",
    ),
    Mistake(
        lambda x, k: by_axes(x, k, largest=False),
        "You keep the components of smallest variance: `eigh` sorts from small to large",
    ),
    Mistake(
        lambda x, k: by_axes(x, k, largest=False, back=False),
        "You keep the components of smallest variance, and do not put the mean back on",
    ),
    Mistake(
        per_pixel,
        "You bring every number to deviation 1 first: then it is another question that is answered",
    ),
    Mistake(
        lambda x, k: (x - x.mean(0)) @ torch.linalg.svd(x - x.mean(0))[2][:k].mT,
        "Yours are the coordinates along the components: multiply by the axes once more",
    ),
    Mistake(
        lambda x, k: x.mean(0).expand_as(x),
        "Yours is the mean for every row: no component is used",
    ),
    Mistake(
        lambda x, k: by_axes(x - x.mean(1, keepdim=True), k) + x.mean(1, keepdim=True),
        "You take its own mean off every row: the mean *row* is wanted, over all images",
    ),
)


@exercise(
    "00",
    probes=[
        Values("what you rebuild", of_sklearn, ROWS, COMPONENT_MISTAKES, rtol=1e-3),
        Untouched(ROWS[0]),
    ],
    hints=[
        "Take the mean row off; put it back on in the last line.",
        "`torch.linalg.svd(centred, full_matrices=False)` returns U, S and V transposed: its rows "
        "are the axes, that of largest variance first.",
        "Coordinates are a product with the axes, (N, P) by (P, k). Back again it is a product "
        "with the same k axes.",
    ],
    opens="No other k numbers that are linear in the pixels rebuild them with a smaller error.",
)
def best_components(x, k):
    """Return rows rebuilt from their first k principal components, (N, P).

    x: images as rows, (N, P).  k: at least 1.
    """
    mean = x.mean(dim=0)
    _, _, axes = torch.linalg.svd(x - mean, full_matrices=False)
    z = (x - mean) @ axes[:k].T
    return z @ axes[:k] + mean


# ------------------------------------------------------------------------------ whitening


def pair() -> torch.Tensor:
    """Return 2,000 rows of two numbers of variances 4 and 1 that are correlated by 0.9."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(2_000, 2, generator=generator, dtype=torch.float64)
    x = (x - x.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(x.mT.cov())).mT
    made = torch.linalg.cholesky(torch.tensor([[4.0, 1.8], [1.8, 1.0]], dtype=torch.float64))
    return (x @ made.mT + torch.tensor([5.0, -3.0])).float()


def whiteness(answer: Answer) -> str | None:
    """Look at mean and covariance of what comes back, for two sets of rows."""
    for x, what in ((pair(), "two numbers of variance 4 and 1, correlated by 0.9"),
                    (some_rows().repeat(3, 1), "90 rows of five numbers")):  # fmt: skip
        made = answer.tensor(x).detach().cpu().double()
        if made.shape != x.shape:
            return f"Your rows have shape {tuple(made.shape)} for {tuple(x.shape)}: it stays."
        if not made.isfinite().all():
            return f"For {what} some of your numbers are not finite."
        if fault := white_fault(made, x.double(), what):
            return fault
    return None


def white_fault(made, x, what: str) -> str | None:
    """Say what is wrong with rows that ought to be white."""
    if (off := made.mean(0).abs().max().item()) > 0.01:
        return f"For {what} your rows have a mean of {off:.3g}: take it off before you rotate."
    cov, n = made.mT.cov(), len(made)
    one = torch.eye(len(cov), dtype=cov.dtype)
    if any(torch.allclose(cov * share, one, atol=5e-3) for share in (1, (n - 1) / n)):
        return None if is_linear(made, x) else (
            "Your numbers are white, and were not computed from x: a rotation and a scaling of the "
            "rows is wanted."
        )  # fmt: skip
    before = torch.linalg.eigvalsh(x.mT.cov())
    after = torch.linalg.eigvalsh(cov)
    variances = ", ".join(number(v) for v in cov.diagonal().tolist())
    off_diagonal = (cov - cov.diagonal().diag()).abs().max().item()
    if torch.allclose(after, before, rtol=0.02):
        if off_diagonal > 0.05:
            return f"For {what} the covariance is what it was: nothing is scaled."
        return (
            f"For {what} your numbers are uncorrelated, and their variances are {variances}: each "
            "is to be 1."
        )
    for made_of, says in (
        (1 / before, "You divide by the variances: the standard deviation is their root"),
        (before**2, "You multiply by the deviations, where you are to divide"),
        (before**3, "You multiply by the variances"),
    ):
        if torch.allclose(after, made_of.sort().values, rtol=0.05):
            return f"{says} (for {what} your variances are {variances})."
    if torch.allclose(cov.diagonal(), torch.ones(len(cov), dtype=cov.dtype), atol=0.02):
        return (
            f"For {what} every number has variance 1, and they still hang together (covariance "
            f"{off_diagonal:.2f}): look at directions, not at the numbers one by one."
        )
    return (
        f"For {what} your variances are {variances}, and the largest covariance is "
        f"{off_diagonal:.3g}; 1 and 0 are wanted. Is the mean off before the covariance is taken, "
        "and are the eigenvectors taken as columns?"
    )


def is_linear(made, x) -> bool:
    """Tell whether rows are a linear image of others, up to a constant."""
    given = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], 1)
    left = made - given @ torch.linalg.lstsq(given, made).solution
    return left.abs().max().item() < 0.05


@exercise(
    "00",
    probes=[whiteness, Untouched(case([[1.0, 2.0], [3.0, 1.0], [0.0, 0.5], [2.0, 2.5]]))],
    hints=[
        "Take the mean row off, and compute the covariance, (P, P).",
        "`torch.linalg.eigh` gives its eigenvalues, which are variances, and its eigenvectors, as "
        "columns.",
        "A product with the eigenvectors gives the coordinates along the principal components. By "
        "what is each of them divided to have variance 1? You may rotate back afterwards, or not.",
    ],
    opens="Now every direction counts alike, and edges are what is left to be seen.",
)
def whiten(x):
    """Return rows with mean 0 and a covariance that is the identity, (N, P).

    x: images as rows, (N, P), more rows than numbers in a row.
    """
    centred = x - x.mean(dim=0)
    covariance = centred.T @ centred / len(x)
    variances, directions = torch.linalg.eigh(covariance)
    return centred @ directions / variances.sqrt() @ directions.T
