"""Checks of chapter 00 on dictionaries: how much alike atoms are, and an image as a few of them."""

from __future__ import annotations

import numpy as np
import torch

from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Untouched, Values, case

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
    case([[0.0, 0.0, 1.0], [5.0, 0.0, 0.0], [3.0, 4.0, 0.0]],
         note="atoms [0, 0, 1], [5, 0, 0] and [3, 4, 0]"),
    Case((torch.randn(6, 9, generator=torch.Generator().manual_seed(2)),), "six atoms of nine"),
)  # fmt: skip


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
