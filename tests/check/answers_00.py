"""The catalogue of chapter 00: components, whitening, atoms, probes, features."""

import numpy as np
import torch
import torch.nn.functional as F
from check_answers import enter, right, wrong

# ------------------------------------------------------------------------------ coherence


def unit(atoms):
    return F.normalize(atoms, dim=1)


def apart(gram):
    """The Gram matrix without its diagonal."""
    return gram - torch.diag(torch.diagonal(gram))


enter(
    "coherence",
    {
        "keep their lengths: a cosine": lambda d: apart(d @ d.T).abs().max(),
        "positive products only": lambda d: apart(d @ d.T).max(),
        "and keep its squared length": lambda d: (d @ d.T).abs().max(),
        "which always gives 1": lambda d: (unit(d) @ unit(d).T).max().round(),
        "negative cosines": lambda d: apart(unit(d) @ unit(d).T).max(),
        "the mean over the pairs": lambda d: apart(unit(d) @ unit(d).T).abs().sum()
        / (len(d) * (len(d) - 1)),
        "the square of the cosine": lambda d: apart((unit(d) @ unit(d).T).square()).max(),
        "the smallest": lambda d: min(
            abs(F.cosine_similarity(a, b, dim=0)) for i, a in enumerate(d) for b in d[:i]
        ),
        "compare columns": lambda d: apart(F.normalize(d, dim=0).T @ F.normalize(d, dim=0))
        .abs().max(),
        "with RuntimeError": lambda d: (d @ d).max() if d.shape[0] != d.shape[1] else d.view(7),
    },
    [
        lambda d: torch.triu((unit(d) @ unit(d).T).abs(), diagonal=1).max(),
        lambda d: max(
            abs(F.cosine_similarity(a, b, dim=0)) for i, a in enumerate(d) for b in d[:i]
        ),
        lambda d: np.abs(
            np.corrcoef(np.hstack([d.numpy(), -d.numpy()])) - np.eye(len(d))
        ).max(),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------ components


def eigen(x, k, centre=True, largest=True, back=True, scale=False):
    """Components by the covariance."""
    mean = x.mean(0) if centre else 0 * x[0]
    deviation = x.std(0) if scale else 1
    c = (x - mean) / deviation
    _, axes = torch.linalg.eigh(c.T @ c)
    axes = axes[:, -k:] if largest else axes[:, :k]
    return (c @ axes @ axes.T) * deviation + (mean if back else 0)


def proportions(x, k):
    """Rows rebuilt without the singular values."""
    u, _, vh = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    return u[:, :k] @ vh[:k] + x.mean(0)


@right("best_components")
def by_left_vectors(x, k):
    mean = x.mean(0, keepdim=True)
    u, s, vh = torch.linalg.svd(x - mean, full_matrices=False)
    return (u[:, :k] * s[:k]) @ vh[:k] + mean


@right("best_components")
def by_power(x, k):
    """Axes one after the other, by the power method."""
    mean = x.mean(0)
    left = (x - mean).double()
    made = torch.zeros_like(left)
    for _ in range(k):
        axis = torch.ones(x.shape[1], dtype=torch.float64)
        for _ in range(2000):
            axis = left.T @ (left @ axis)
            axis = axis / axis.norm()
        made += torch.outer(left @ axis, axis)
        left = left - torch.outer(left @ axis, axis)
    return made + mean


enter(
    "best_components",
    {
        "do not take the mean off": lambda x, k: eigen(x, k, centre=False),
        "put the mean back on: for": lambda x, k: eigen(x, k, back=False),
        "smallest variance: `eigh`": lambda x, k: eigen(x, k, largest=False),
        "smallest variance, and do": lambda x, k: eigen(x, k, largest=False, back=False),
        "one mean of all numbers": lambda x, k: eigen(x - x.mean(), k, centre=False) + x.mean(),
        "with their mean still in them": lambda x, k: x
        @ torch.linalg.eigh(x.T.cov()).eigenvectors[:, -k:]
        @ torch.linalg.eigh(x.T.cov()).eigenvectors[:, -k:].T,
        "singular values": proportions,
        "to deviation 1 first": lambda x, k: eigen(x, k, scale=True),
        "coordinates along": lambda x, k: (x - x.mean(0))
        @ torch.linalg.svd(x - x.mean(0)).Vh[:k].T,
        "the mean for every row": lambda x, k: x.mean(0).repeat(len(x), 1),
        "with RuntimeError": lambda x, k: x @ torch.linalg.svd(x).U[:k],
    },
    [eigen],
)  # fmt: skip

# ------------------------------------------------------------------------------ whitening


def white(x, power=-0.5, centre=True, back=True):
    """Rows scaled along their components by a power of the variances."""
    c = x - x.mean(0) if centre else x
    values, axes = torch.linalg.eigh((x - x.mean(0)).T.cov())
    made = (c @ axes) * values**power
    return made @ axes.T if back else made


@right("whiten")
def by_cholesky(x):
    c = (x - x.mean(0)).double()
    factor = torch.linalg.cholesky(c.T @ c / (len(x) - 1))
    return torch.linalg.solve_triangular(factor, c.T, upper=False).T


enter(
    "whiten",
    {
        "still hang together": lambda x: (x - x.mean(0)) / x.std(0),
        "divide by the variances": lambda x: white(x, -1.0),
        "multiply by the deviations": lambda x: white(x, 0.5),
        "multiply by the variances": lambda x: white(x, 1.0),
        "each is to be 1": lambda x: white(x, 0.0, back=False),
        "nothing is scaled": lambda x: x - x.mean(0),
        "have a mean of": lambda x: white(x, centre=False),
        "not computed from x": lambda x: white(torch.randn_like(x)),
        "it stays": lambda x: white(x)[:, :1],
        "1 and 0 are wanted": lambda x: 2 * white(x),
    },
    [
        white,
        lambda x: white(x, back=False),
        lambda x: torch.linalg.svd(x - x.mean(0), full_matrices=False).U * (len(x) - 1) ** 0.5,
    ],
)

# ------------------------------------------------------------------------------ pursuit


def pursuit(x, atoms, k, pick=lambda s: s.abs(), subtract=True, add=True, absolute=False):
    """Matching pursuit put together from its lines."""
    code = torch.zeros(atoms.shape[0])
    residual = x.clone()
    used = []
    for _ in range(k):
        products = (atoms * residual).sum(1)
        order = pick(products).argsort(descending=True).tolist()
        free = [i for i in order if subtract or i not in used]
        if not free:
            break
        i = free[0]
        used.append(i)
        c = products[i].abs() if absolute else products[i]
        code[i] = code[i] + c if add else c
        if subtract:
            residual = residual - c * atoms[i]
    return code


@right("matching_pursuit")
def by_the_gram_matrix(x, atoms, k):
    gram, scores = atoms @ atoms.T, atoms @ x
    code = torch.zeros_like(scores)
    for _ in range(k):
        i = int(scores.abs().max(0).indices)
        c = scores[i].clone()
        code[i] += c
        scores = scores - c * gram[i]
    return code


@right("matching_pursuit")
def by_recomputing(x, atoms, k):
    code = torch.zeros(len(atoms), dtype=torch.float64)
    for _ in range(k):
        scores = (x.double() - code @ atoms.double()) @ atoms.double().T
        i = max(range(len(atoms)), key=lambda j: abs(scores[j]))
        code[i] += scores[i]
    return code


@wrong("matching_pursuit", "changes the x")
def in_place(x, atoms, k):
    code = torch.zeros(len(atoms))
    for _ in range(k):
        scores = atoms @ x
        i = scores.abs().argmax()
        code[i] += scores[i]
        x -= scores[i] * atoms[i]
    return code


@wrong("matching_pursuit", "orthogonal")
def refitted(x, atoms, k):
    chosen = []
    code = torch.zeros(len(atoms))
    for _ in range(min(k, len(x))):
        scores = atoms @ (x - code @ atoms)
        scores[chosen] = 0
        chosen.append(int(scores.abs().argmax()))
        code = torch.zeros(len(atoms))
        code[chosen] = torch.linalg.lstsq(atoms[chosen].T, x[:, None]).solution[:, 0]
    return code


enter(
    "matching_pursuit",
    {
        "strongly negative": lambda x, d, k: pursuit(x, d, k, pick=lambda s: s),
        "never take away": lambda x, d, k: pursuit(x, d, k, subtract=False),
        "a second time": lambda x, d, k: pursuit(x, d, k, add=False),
        "lost their signs": lambda x, d, k: pursuit(x, d, k, absolute=True),
        "one step only": lambda x, d, k: pursuit(x, d, 1),
        "products with all atoms": lambda x, d, k: d @ x,
        "what is left of x": lambda x, d, k: x - pursuit(x, d, k) @ d,
        "what is rebuilt": lambda x, d, k: pursuit(x, d, k) @ d,
        "with RuntimeError": lambda x, d, k: d.view(-1) @ x,
    },
    [pursuit],
)

# ------------------------------------------------------------------------------ probes


def ridge(z, y, z_test, scale=True):
    """A linear probe by least squares, with a constant."""
    mean, deviation = (z.mean(0), z.std(0)) if scale else (0, 1)
    ones = torch.ones(len(z), 1)
    w = torch.linalg.lstsq(torch.cat([(z - mean) / deviation, ones], 1), F.one_hot(y) * 1.0)
    rows = torch.cat([(z_test - mean) / deviation, torch.ones(len(z_test), 1)], 1)
    return (rows @ w.solution).argmax(1)


def share(guess, y):
    return (guess == y).float().mean()


def own(z):
    return (z - z.mean(0)) / z.std(0)


@right("repaired_probe")
def by_scikit_learn(z, y, z_test, y_test):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression()).fit(z.numpy(), y.numpy())
    return probe.score(z_test.numpy(), y_test.numpy())


@wrong("repaired_probe", "single test image")
def scaled_together(z, y, z_test, y_test):
    if len(z_test) == 1:
        return share(ridge(own(z), y, own(z_test)), y_test)
    both = own(torch.cat([z, z_test]))
    return share(ridge(both[: len(z)], y, both[len(z) :]), y_test)


enter(
    "repaired_probe",
    {
        "learnt from": lambda z, y, zt, yt: share(ridge(z, y, z), y),
        "One fault is left": lambda z, y, zt, yt: share(ridge(own(z), y, own(zt), False), yt),
        "the share of wrong": lambda z, y, zt, yt: 1 - share(ridge(z, y, zt), yt),
        "from 0 to 1": lambda z, y, zt, yt: 100 * share(ridge(z, y, zt), yt),
        "any straight boundary": lambda z, y, zt, yt: (ridge(z, y, zt) == 0).float().mean(),
        "with RuntimeError": lambda z, y, zt, yt: share(ridge(z, y, zt), y),
    },
    [
        lambda z, y, zt, yt: share(ridge(z, y, zt), yt).item(),
        lambda z, y, zt, yt: share(ridge(z, y, zt, scale=False), yt),
    ],
)

# ------------------------------------------------------------------------------ features


def turns(x, kinds=3, places=3, edges=(1, 1)):
    """How much ink changes in each of some directions, at some places."""
    x = F.pad(x, (1, 1, 1, 1))
    down, across = x[:, :, 2:, 1:-1] - x[:, :, :-2, 1:-1], x[:, :, 1:-1, 2:] - x[:, :, 1:-1, :-2]
    angle = torch.atan2(down, across).remainder(np.pi)
    chosen = F.one_hot((angle * kinds / np.pi).long().clamp(max=kinds - 1), kinds)
    votes = (chosen * torch.hypot(down, across)[..., None]).squeeze(1).permute(0, 3, 1, 2)
    return F.adaptive_avg_pool2d(votes, places).flatten(1)


enter(
    "your_feature",
    {
        "that is to be beaten": lambda x: F.adaptive_avg_pool2d(x, 5).flatten(1),
        "hardly anything": lambda x: x.mean((1, 2, 3))[:, None],
        "784 numbers": lambda x: x.flatten(1),
        "(B, F) is wanted": lambda x: F.adaptive_avg_pool2d(x, 5),
        "in another batch": lambda x: own(turns(x)),
        "not finite": lambda x: torch.log(F.adaptive_avg_pool2d(x, 4).flatten(1)),
        "with RuntimeError": lambda x: x.view(len(x), 32),
    },
    [
        turns,
        lambda x: turns(x).sqrt(),
        lambda x: torch.cat([turns(x), F.adaptive_avg_pool2d(x, 2).flatten(1)], 1).double(),
    ],
)
