"""What one does with the codes of a trained model: decode them, walk between them, map them.

Everything here runs without gradients, on codes z (N, Z) and images x (N, C, H, W) in [0, 1].
"""

from __future__ import annotations

import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

from course_utils.errors import CourseError


@torch.no_grad()
def decoded(model, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
    """Return the images (N, C, H, W) in [0, 1] that a model's decoder makes of codes z (N, Z).

    A conditional model is told labels y (N,); others take None. Raises CourseError when the model
    and y do not fit.
    """
    return model.pixels(model.decode(z, *told(y)))


@torch.no_grad()
def mean_code(model, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
    """Return one code (N, Z) per image: of a VAE the mean, so that nothing is drawn.

    A conditional model is told labels y (N,); others take None. Raises CourseError when the model
    and y do not fit.
    """
    code = model.encode(x, *told(y))
    return code if isinstance(code, torch.Tensor) else code[0]


def told(y: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """Return what follows x or z in a call of a model: the labels, if any; see `check_labels`."""
    return () if y is None else (y,)


def as_every_class(model, z: torch.Tensor) -> torch.Tensor:
    """Return what a conditional model makes of codes z (N, Z) as each class, (N, A, C, H, W).

    Raises CourseError for a model that is told nothing.
    """
    if not getattr(model, "conditional", False):
        raise CourseError(f"a {type(model).__name__} has no classes; take a conditional model")
    check_rows(z, "codes")
    classes = torch.arange(model.n_classes, device=z.device)
    images = decoded(model, z.repeat_interleave(len(classes), 0), classes.repeat(len(z)))
    return images.unflatten(0, (len(z), len(classes)))


def between(model, a: torch.Tensor, b: torch.Tensor, steps: int) -> torch.Tensor:
    """Return images (steps, C, H, W) along the straight line between the codes of two images.

    Args:
        a, b: images (C, H, W); the first and the last picture are what the model makes of them.
        steps: pictures in all, 2 or more.

    Raises CourseError for fewer steps, and images that the model cannot take.
    """
    if type(steps) is not int or steps < 2:
        raise CourseError(f"steps is {steps!r}; a way has two ends: a whole number, 2 or more")
    of = [(x.dtype, x.shape) if isinstance(x, torch.Tensor) else type(x) for x in (a, b)]
    if of[0] != of[1] or not isinstance(a, torch.Tensor):
        raise CourseError("a and b must be two images, tensors (C, H, W) of one shape and dtype")
    start, end = mean_code(model, torch.stack([a, b]))
    t = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return decoded(model, (1 - t) * start + t * end)


def plane(n: int, share: float = 0.96) -> torch.Tensor:
    """Return an n by n sheet of codes (n * n, 2), rows from the top, for a code of two numbers.

    The first number rises to the right, the second upwards, in equal steps of the standard normal
    distribution's probability, whose middle `share` (below 1) is covered: the sheet shows each
    kind of image as often as the prior draws it.
    """
    if type(n) is not int or n < 1 or not 0 < share < 1:
        raise CourseError(f"n is {n!r} and share {share}; they must be 1 or more, inside (0, 1)")
    ticks = Normal(0.0, 1.0).icdf(torch.linspace((1 - share) / 2, (1 + share) / 2, n))
    return torch.cartesian_prod(ticks.flip(0), ticks).flip(1)


def normal_like(rows: torch.Tensor) -> MultivariateNormal:
    """Return the normal distribution with the mean and the covariance of rows (N, D), N > D.

    Its covariance has 1e-4 added along the diagonal: pixels that never change have none of their
    own. Raises CourseError for too few rows, and for what is no tensor of finite floats.
    """
    check_rows(rows, "rows")
    n, d = rows.shape
    if n <= d:
        raise CourseError(f"{n} rows of {d} numbers; a covariance needs more than {d} rows")
    ridge = 1e-4 * torch.eye(d, dtype=rows.dtype, device=rows.device)
    return MultivariateNormal(rows.mean(0), rows.T.cov() + ridge)


def mixture_like(rows: torch.Tensor, k: int, seed: int = 0) -> MixtureSameFamily:
    """Fit a mixture of k normal distributions to rows (N, D) by expectation-maximisation.

    Each has a mean, a covariance (with 1e-4 added along the diagonal) and a weight. The fit starts
    from k-means of the seed, and ends after 100 rounds at the latest. What is returned has
    `sample((n,))`, (n, D), which draws from torch's global generator, and `log_prob(rows)` in nats.
    A density of codes, fitted when the network is trained, is the second stage of Ghosh et al.
    2020, arXiv 1903.12436; of Dai and Wipf 2019, arXiv 1903.05789, with a VAE in its place.

    Raises CourseError for fewer than D + 1 rows for each of the k, and for what is no tensor of
    finite floats.
    """
    from sklearn.mixture import GaussianMixture

    check_rows(rows, "rows")
    n, d = rows.shape
    if type(k) is not int or k < 1:
        raise CourseError(f"k is {k!r}; it must be a whole number, 1 or more")
    if n < k * (d + 1):
        raise CourseError(f"{n} rows of {d} numbers; {k} covariances need at least {k * (d + 1)}")
    fitted = GaussianMixture(k, reg_covar=1e-4, random_state=seed).fit(rows.cpu().double().numpy())
    weights, means, covariances = (
        torch.as_tensor(value).to(rows)
        for value in (fitted.weights_, fitted.means_, fitted.covariances_)
    )
    return MixtureSameFamily(Categorical(weights), MultivariateNormal(means, covariances))


class FittedPrior:
    """p(z|y) fitted to codes once training is over: for each class a mixture, by `mixture_like`.

    A second stage, as in Dai and Wipf 2019, arXiv 1903.05789, for each class apart.

    Args:
        z: codes (N, Z) of training images, drawn from their posteriors q(z|x, y).
        y: their classes (N,), whole numbers from 0; a class without codes is refused.
        k: normal distributions in each mixture, with full covariances.
        seed: of the fits.

    Raises CourseError for labels that are none, and as `mixture_like` does for each class.
    """

    def __init__(self, z: torch.Tensor, y: torch.Tensor, k: int, seed: int = 0):
        check_rows(z, "codes")
        check_classes(y, len(z))
        self.code_dim, self.n_classes = z.shape[1], int(y.max()) + 1
        self.mixtures = [mixture_like(z[y == c], k, seed) for c in range(self.n_classes)]

    def log_prob(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return log p(z|y) (N,) in nats of codes z (N, Z) and classes y (N,)."""
        check_rows(z, "codes")
        check_classes(y, len(z), self.n_classes)
        density = z.new_empty(len(z))
        for c in y.unique():
            density[y == c] = self.mixtures[c].log_prob(z[y == c])
        return density

    def sample(self, y: torch.Tensor) -> torch.Tensor:
        """Return one code for each class in y (N,), (N, Z); torch's global generator draws."""
        check_classes(y, len(y), self.n_classes)
        z = torch.empty(len(y), self.code_dim, device=y.device)
        for c in y.unique():
            here = y == c
            z[here] = self.mixtures[c].sample((int(here.sum()),)).to(z)
        return z


def nats_from_prior(z: torch.Tensor) -> float:
    """Return the KL divergence in nats of the normal distribution fitted to codes from N(0, 1).

    Of the aggregate posterior it sees mean and covariance only, and so is a lower bound on the KL
    divergence of any distribution with that mean and covariance.

    Args:
        z: codes (N, Z), N > Z.

    Raises CourseError for too few codes, codes that are no tensor of finite floats, and codes of
    which one number is the same everywhere or follows from the others: their divergence is
    infinite.
    """
    check_rows(z, "codes")
    n, d = z.shape
    if n <= d:
        raise CourseError(f"{n} codes of {d} numbers; a covariance needs more than {d}")
    mean, covariance = z.double().mean(0), torch.atleast_2d(z.double().T.cov())
    variances = torch.linalg.eigvalsh(covariance)
    if variances[0] <= 1e-12 * variances[-1]:
        raise CourseError(
            f"the codes vary in fewer than {d} directions, so their divergence from N(0, 1) is "
            "infinite; look for a number of the code that is always the same"
        )
    return float(0.5 * (covariance.trace() + mean @ mean - d - variances.log().sum()))


def check_rows(rows: torch.Tensor, name: str) -> None:
    """Raise CourseError unless rows are a tensor (N, D) of finite floats."""
    if not isinstance(rows, torch.Tensor) or not rows.is_floating_point() or rows.ndim != 2:
        came = (f"{rows.dtype} {tuple(rows.shape)}" if isinstance(rows, torch.Tensor)
                else type(rows).__name__)  # fmt: skip
        raise CourseError(f"{name} are {came}; they must be a tensor of floats (N, D)")
    if not rows.isfinite().all():
        raise CourseError(f"{name} hold NaN or infinite numbers; look for a diverged model")


def check_classes(y: torch.Tensor, n: int, n_classes: int | None = None) -> None:
    """Raise CourseError unless y is (n,), whole numbers from 0, below `n_classes` if that is given.

    Without `n_classes` each number up to the largest must be there.
    """
    whole = isinstance(y, torch.Tensor) and not y.is_floating_point() and y.dtype != torch.bool
    if not whole or y.shape != (n,) or not n:
        came = f"{y.dtype} {tuple(y.shape)}" if isinstance(y, torch.Tensor) else type(y).__name__
        raise CourseError(f"classes are {came}; they must be whole numbers ({n},), one per code")
    if n_classes is None:
        n_classes = len(y.unique())
    if int(y.min()) < 0 or int(y.max()) >= n_classes:
        raise CourseError(
            f"classes run from {int(y.min())} to {int(y.max())}; there are codes of {n_classes} "
            "classes, which are counted from 0 without a gap"
        )
