"""Points in the plane from densities that are known: a ring, and eight spots on a circle.

    points = plane.spots(profile="quick")
    plane.spots_density(torch.tensor([[2.0, 0.0]]))      # the density at a point

Where the density is known, a generative model can be compared with the truth instead of a referee.
"""

from __future__ import annotations

import hashlib
import math

import torch

from course_utils import provenance, runtime
from course_utils.data.dataset import Dataset, Split

RADIUS = 2.0  # of the ring, and of the circle that the spots lie on
RING_WIDTH = 0.2  # standard deviation across the ring
SPOTS, SPOT_WIDTH = 8, 0.15  # how many, and the standard deviation of each, in all directions
SIZES = {"quick": (8_192, 2_048, 2_048), "full": (32_768, 8_192, 8_192)}


def ring(profile: str | None = None) -> Dataset:
    """Return points around a circle: their distance to 0 is N(2, 0.2), all angles alike."""
    return made("ring", ring_points, profile)


def spots(profile: str | None = None) -> Dataset:
    """Return points in eight round spots on a circle; labels say which."""
    return made("spots", spots_points, profile)


def made(kind: str, draw, profile: str | None) -> Dataset:
    """Draw the splits of a set of points, and remember it for the claims."""
    sizes = SIZES[runtime.profile(profile)]
    points, labels = draw(sum(sizes), torch.Generator().manual_seed(0))
    parts = [Split(*pair) for pair in zip(points.split(sizes), labels.split(sizes), strict=True)]
    about = (kind, sizes, RADIUS, RING_WIDTH, SPOTS, SPOT_WIDTH)
    sha256 = hashlib.sha256(repr(about).encode()).hexdigest()
    provenance.use_data("points", sha256, real=True)
    return Dataset("points", "real", sha256, *parts, classes=tuple(map(str, range(SPOTS))))


def ring_points(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw n points (n, 2) of the ring; their labels are all 0."""
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    radius = RADIUS + RING_WIDTH * torch.randn(n, generator=generator)
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    return points, torch.zeros(n, dtype=torch.long)


def spots_points(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw n points (n, 2) of the spots, and which spot each belongs to."""
    label = torch.randint(SPOTS, (n,), generator=generator)
    return centres()[label] + SPOT_WIDTH * torch.randn(n, 2, generator=generator), label


def centres() -> torch.Tensor:
    """Return the middles of the spots (8, 2)."""
    angle = 2 * math.pi * torch.arange(SPOTS) / SPOTS
    return RADIUS * torch.stack([angle.cos(), angle.sin()], 1)


def ring_density(x: torch.Tensor) -> torch.Tensor:
    """Return the ring's density (N,) at points (N, 2)."""
    radius = x.norm(dim=1)
    bell = (-((radius - RADIUS) ** 2) / (2 * RING_WIDTH**2)).exp()
    return bell / (math.sqrt(2 * math.pi) * RING_WIDTH) / (2 * math.pi * radius.clamp_min(1e-9))


def spots_density(x: torch.Tensor) -> torch.Tensor:
    """Return the spots' density (N,) at points (N, 2)."""
    squares = (x[:, None] - centres()).square().sum(2)
    bells = (-squares / (2 * SPOT_WIDTH**2)).exp() / (2 * math.pi * SPOT_WIDTH**2)
    return bells.mean(1)


def spots_score(x: torch.Tensor, sigma: float = 0.0) -> torch.Tensor:
    """Return the score (N, 2) of the spots after noise of deviation sigma: where log p rises.

    The slope of the logarithm of their density at points x (N, 2): a mean of the ways to the eight
    middles, weighted by how likely each is, over the variance of a spot.
    """
    variance = SPOT_WIDTH**2 + sigma**2
    ways = centres() - x[:, None]
    weights = (-ways.square().sum(2) / (2 * variance)).softmax(1)
    return (weights[..., None] * ways).sum(1) / variance


def grid(side: int = 121, reach: float = 3.4) -> tuple[torch.Tensor, float]:
    """Return the middles (side * side, 2) of equal squares that tile the plane, and their area.

    Rows run from the bottom up, so that `values.view(side, side)` is drawn with `origin="lower"`.
    """
    step = 2 * reach / side
    ticks = (torch.arange(side) + 0.5) * step - reach
    return torch.cartesian_prod(ticks, ticks).flip(1), step * step


def spots_hit(x: torch.Tensor, least: float = 0.01) -> int:
    """Return how many of the eight spots hold at least this share of the points x (N, 2).

    A point counts for a spot where it is within three of its standard deviations.
    """
    distance = torch.cdist(x, centres())
    nearest = distance.argmin(1)[distance.amin(1) < 3 * SPOT_WIDTH]
    shares = torch.bincount(nearest, minlength=SPOTS) / len(x)
    return int((shares >= least).sum())
