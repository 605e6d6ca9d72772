"""Checks of chapter 00 on describing images: components, whitening, atoms, a probe, a feature."""

from __future__ import annotations

import numpy as np
import torch

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Untouched, Values, case
from course_utils.check.wording import number

# ------------------------------------------------------------------------------ coherence


def cosines(atoms) -> torch.Tensor:
    """Return the cosines between different atoms, in rows without the diagonal."""
    units = atoms / atoms.norm(dim=1, keepdim=True)
    n = len(atoms)
    return (units @ units.mT)[~torch.eye(n, dtype=torch.bool)].view(n, n - 1)


def largest_cosine(atoms):
    """Return the largest absolute cosine by numpy, pair by pair: the oracle."""
    rows = atoms.numpy()
    pairs = [(a, b) for i, a in enumerate(rows) for b in rows[:i]]
    found = [abs(a @ b) / np.sqrt((a @ a) * (b @ b)) for a, b in pairs]
    return torch.tensor(max(found))


ATOMS = (
    case([[1.0, 0.0], [0.0, 2.0]]),
    case([[1.0, 0.0], [3.0, 4.0]]),
    case([[1.0, 0.0], [-4.0, 3.0], [0.6, 0.8]]),
    Case((torch.randn(6, 9, generator=torch.Generator().manual_seed(2)),), "six atoms of nine"),
)


def products(atoms):
    """Return the inner products of different atoms."""
    return (atoms @ atoms.mT).fill_diagonal_(0)


COHERENCE_MISTAKES = (
    Mistake(
        lambda d: products(d).abs().max(),
        "Your atoms keep their lengths: a cosine is the product of atoms of length one",
    ),
    Mistake(
        lambda d: products(d).max(),
        "Your atoms keep their lengths, and you look at positive products only",
    ),
    Mistake(
        lambda d: (d @ d.mT).abs().max(),
        "You compare each atom with itself too, and keep its squared length",
    ),
    Mistake(
        lambda d: torch.tensor(1.0),
        "You compare each atom with itself too, which always gives 1: leave the diagonal out",
    ),
    Mistake(
        lambda d: cosines(d).max(),
        "You drop negative cosines: atoms that point away from each other are alike too",
    ),
    Mistake(
        lambda d: cosines(d).abs().mean(),
        "Yours is the mean over the pairs: the worst pair is wanted",
    ),
    Mistake(
        lambda d: cosines(d).square().max(),
        "Yours is the square of the cosine",
    ),
    Mistake(
        lambda d: cosines(d).abs().min(),
        "Yours is the smallest: the worst pair is wanted",
    ),
    Mistake(
        lambda d: cosines(d.mT).abs().max(),
        "You compare columns: the atoms are the rows",
    ),
)


@exercise(
    "00",
    probes=[
        Values("your coherence", largest_cosine, ATOMS, COHERENCE_MISTAKES),
        Untouched(ATOMS[1]),
    ],
    hints=[
        "Make every atom one long first: divide each row by its length.",
        "All cosines at once are a matrix product of the atoms with themselves, the *Gram matrix*.",
        "On its diagonal each atom meets itself. Which entry of the rest is wanted, and with which "
        "sign?",
    ],
    opens="0 means orthogonal, and with more atoms than dimensions it can never be reached.",
)
def coherence(atoms):
    """Return the largest absolute cosine between two different atoms.

    atoms: rows of any length above 0, (A, P), at least two.
    """
    units = atoms / atoms.norm(dim=1, keepdim=True)
    gram = units @ units.T
    gram.fill_diagonal_(0)
    return gram.abs().max()


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


# ------------------------------------------------------------------------------ matching pursuit

SLANTED = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.6, 0.8]])
SIGNALS = (
    Case((torch.tensor([0.0, 3.0]), torch.eye(2), 1), "x = [0, 3], atoms [1, 0], [0, 1], k = 1"),
    Case((torch.tensor([2.0, -3.0]), torch.eye(2), 1), "x = [2, -3], atoms [1, 0], [0, 1], k = 1"),
    Case((torch.tensor([2.0, 0.5]), torch.tensor([[1.0, 0.0], [0.6, 0.8]]), 2),
         "x = [2, 0.5], atoms [1, 0], [0.6, 0.8], k = 2"),
    Case((torch.tensor([2.0, 0.5]), torch.tensor([[1.0, 0.0], [0.6, 0.8]]), 3),
         "x = [2, 0.5], atoms [1, 0], [0.6, 0.8], k = 3"),
    Case((torch.tensor([1.0, -2.0, 0.5]), SLANTED, 4), "x = [1, -2, 0.5], three slanted atoms, "
         "k = 4"),
)  # fmt: skip


def pursued(x, atoms, k):
    """Return the code by numpy, one product at a time: the oracle."""
    left, d = x.numpy().astype(float), atoms.numpy().astype(float)
    code = np.zeros(len(d))
    for _ in range(k):
        scores = [float(np.dot(left, atom)) for atom in d]
        best = int(np.argmax(np.abs(scores)))
        code[best] += scores[best]
        left = left - scores[best] * d[best]
    return torch.from_numpy(code)


def slipped(x, atoms, k, size=torch.abs, take=True, add=True, sign=True):
    """Return a code that is found with a slip."""
    left, code = x.clone(), torch.zeros(len(atoms), dtype=x.dtype)
    free = torch.ones(len(atoms), dtype=torch.bool)
    for _ in range(k):
        scores = atoms @ left
        masked = size(scores) if take else size(scores).masked_fill(~free, -torch.inf)
        if not free.any() and not take:
            break
        best = masked.argmax()
        free[best] = False
        value = scores[best] if sign else scores[best].abs()
        code[best] = value + (code[best] if add else 0)
        if take:
            left = left - value * atoms[best]
    return code


def refitted(x, atoms, k):
    """Return the code with the coefficients of all chosen atoms fitted anew."""
    from sklearn.linear_model import orthogonal_mp

    k = min(k, len(atoms), len(x))
    return torch.from_numpy(orthogonal_mp(atoms.mT.numpy(), x.numpy(), n_nonzero_coefs=k))


PURSUIT_MISTAKES = (
    Mistake(
        lambda x, d, k: slipped(x, d, k, size=lambda s: s),
        "You look for the largest product: a strongly negative one serves as well, with a negative "
        "coefficient",
    ),
    Mistake(
        lambda x, d, k: slipped(x, d, k, take=False),
        "You never take away what is explained already, so that the second atom explains the same "
        "part again",
    ),
    Mistake(
        lambda x, d, k: slipped(x, d, k, add=False),
        "When an atom is chosen a second time, its earlier coefficient is lost: they add up",
    ),
    Mistake(
        lambda x, d, k: slipped(x, d, k, sign=False),
        "Your coefficients have lost their signs",
    ),
    Mistake(
        lambda x, d, k: pursued(x, d, 1),
        "You take one step only, whatever k is",
    ),
    Mistake(
        refitted,
        "Yours is the *orthogonal* pursuit, which fits all chosen atoms anew: here each step only "
        "takes its atom's share away",
    ),
    Mistake(
        lambda x, d, k: d @ x,
        "Yours are the products with all atoms: k steps of choosing are wanted",
    ),
    Mistake(
        lambda x, d, k: x - pursued(x, d, k).to(d.dtype) @ d,
        "Yours is what is left of x: the coefficients are wanted",
    ),
    Mistake(
        lambda x, d, k: pursued(x, d, k).to(d.dtype) @ d,
        "Yours is what is rebuilt: the coefficients are wanted",
    ),
)


@exercise(
    "00",
    probes=[
        Values("your code", pursued, SIGNALS, PURSUIT_MISTAKES),
        Untouched(SIGNALS[4]),
    ],
    hints=[
        "Keep two things: the code so far, and what is left of x.",
        "The atom that resembles most what is left has the largest product with it, in size.",
        "Add that product to the atom's coefficient, take the product times the atom away from "
        "what is left, and begin again.",
    ],
    opens="Each step removes as much as a single atom can, and the first atoms are never "
    "reconsidered.",
)
def matching_pursuit(x, atoms, k):
    """Return the coefficients of the atoms after k steps of pursuit, (A,).

    x: a signal, (P,).  atoms: rows of length one, (A, P).
    k: steps; an atom may be taken twice.
    """
    left, code = x.clone(), torch.zeros(len(atoms), dtype=x.dtype)
    for _ in range(k):
        scores = atoms @ left
        best = scores.abs().argmax()
        code[best] += scores[best]
        left = left - scores[best] * atoms[best]
    return code
