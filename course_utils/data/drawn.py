"""Drawn stand-ins for MNIST and Fashion-MNIST, for readers without data or network.

Every image begins as one of the drawings in `drawings`. Its points are moved at random, the page is
warped and slanted, and a round pen of random width draws the strokes.

How the pen draws quickly: a pixel's distance to a stroke follows from a sum of Gaussians, one per
sample of the stroke. A Gaussian is a row factor times a column factor, so the whole sum is one
small matrix product per image instead of a loop over pixels and samples (see `_ink`).
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from course_utils.data.drawings import DIGITS, GARMENTS, LAYERS
from course_utils.runtime import CourseError

SIDE = 28  # pixels along each side of an image
CHUNK = 500  # images drawn together, from a random stream of their own
SAMPLES = 96  # points along the strokes of one layer, closer together than REACH
REACH = 0.8  # standard deviation, in pixels, of the Gaussians that measure distance
SUBROWS = 3  # scanlines per row of pixels when an outline is filled


def digits(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `n` handwritten digits, white on black like MNIST's.

    The digit fills a 20x20 box and is centred by mass, to within half a pixel. The first images do
    not depend on how many follow: `digits(100, seed)` begins `digits(1000, seed)`.

    Args:
        n: number of images, 0 or more.
        seed: 0 or more; another seed draws other images.

    Returns x (n, 1, 28, 28) uint8 and y (n,) int64, the digits 0 to 9 with equal chances.
    Raises CourseError when `n` or `seed` is not a whole number or is negative.
    """
    return _draw(_digit_chunk, n, seed)


def garments(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `n` garments, grey on black like Fashion-MNIST's and with its ten classes.

    Arguments, results and errors as in `digits`; the label 0 is a T-shirt, 9 an ankle boot.
    """
    return _draw(_garment_chunk, n, seed)


def _draw(chunk_of_images, n, seed):
    """Draw whole chunks, each from its own random stream, and keep the first `n` images."""
    n, seed = _whole_number("n", n), _whole_number("seed", seed)
    x = np.empty((n, 1, SIDE, SIDE), np.uint8)
    y = np.empty(n, np.int64)
    for start in range(0, n, CHUNK):
        kept = min(CHUNK, n - start)
        images, labels = chunk_of_images(np.random.default_rng([seed, start // CHUNK]))
        x[start : start + kept, 0] = np.rint(255 * images[:kept])
        y[start : start + kept] = labels[:kept]
    return torch.from_numpy(x), torch.from_numpy(y)


def _whole_number(name, value):
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise CourseError(f"{name} is {value!r}; give a whole number, 0 or more")
    return number


def _digit_chunk(rng):
    """Return CHUNK digits (CHUNK, 28, 28) in [0, 1] and their labels (CHUNK,)."""
    templates = _digit_templates()
    label, style = templates.choose(rng)
    paths = templates.trace(style, rng, wobble=0.15)  # (CHUNK, 1, SAMPLES, 2)
    paths = _warp(paths, rng, strength=0.9)
    paths = _slant(paths, rng, turn=0.25, lean=(-0.3, 0.65), stretch=0.35)
    radius = np.minimum(rng.gamma(12, 1.35 / 12, CHUNK), 2)
    paths = _fit(paths, size=20 - 2 * radius)
    pen = templates.pen_down[style][:, 0]
    paths = _centre(paths[:, 0], pen) + rng.uniform(-0.5, 0.5, (CHUNK, 1, 2))
    ink = _ink(paths, pen, radius, blur=rng.uniform(1.0, 1.7, CHUNK))
    return ink * rng.uniform(0.9, 1, (CHUNK, 1, 1)), label


def _garment_chunk(rng):
    """Return CHUNK garments (CHUNK, 28, 28) in [0, 1] and their labels (CHUNK,)."""
    templates = _garment_templates()
    label, style = templates.choose(rng)
    paths = templates.trace(style, rng, wobble=0.12)  # (CHUNK, 3, SAMPLES, 2)
    paths = _warp(paths, rng, strength=0.2)
    paths = _slant(paths, rng, turn=0.05, lean=(-0.04, 0.04), stretch=0.15)
    cloth, strap, seam = np.moveaxis(_fit(paths, size=rng.uniform(25, 28, CHUNK)), 1, 0)
    _, strap_pen, seam_pen = np.moveaxis(templates.pen_down[style], 1, 0)
    straps = _ink(strap, strap_pen, rng.uniform(0.6, 1.1, CHUNK), blur=1)
    seams = _ink(seam, seam_pen, rng.uniform(0.2, 0.6, CHUNK), blur=1)
    depth = rng.uniform(0.3, 0.8, (CHUNK, 1, 1))
    shape = np.maximum(_fill(cloth), straps)
    return shape * _fabric(rng) * (1 - depth * seams), label


@dataclass(frozen=True)
class Templates:
    """All drawings of one table. Axes: S drawings, L layers, K control points at most.

    Attributes:
        points: (S, K, 2) control points.
        basis: (S, L, SAMPLES, K); basis @ points are the samples along the curves.
        pen_down: (S, L, SAMPLES - 1), 1 where two neighbouring samples are joined by ink.
        first, count: (10,) where the drawings of each label start, and how many there are.
    """

    points: np.ndarray
    basis: np.ndarray
    pen_down: np.ndarray
    first: np.ndarray
    count: np.ndarray

    def choose(self, rng):
        """Return CHUNK random labels, and a drawing for each."""
        label = rng.integers(10, size=CHUNK)
        return label, self.first[label] + rng.integers(self.count[label])

    def trace(self, style, rng, wobble):
        """Move the control points by `wobble`; return samples (CHUNK, L, SAMPLES, 2)."""
        points = self.points[style]
        points = points + wobble * rng.standard_normal(points.shape, np.float32)
        return self.basis[style] @ points[:, None]


@cache
def _digit_templates():
    return _templates([[{"ink": path} for path in styles.values()] for styles in DIGITS], ("ink",))


@cache
def _garment_templates():
    return _templates(GARMENTS, LAYERS)


def _templates(table, layers):
    """Stack the drawings of `table` (10 lists of drawings), padding their control points."""
    drawings = [_template(drawing, layers) for styles in table for drawing in styles]
    n_points = max(len(points) for points, _, _ in drawings)
    count = np.array([len(styles) for styles in table])
    return Templates(
        points=np.stack([_padded(points, n_points, axis=0) for points, _, _ in drawings]),
        basis=np.stack([_padded(basis, n_points, axis=2) for _, basis, _ in drawings]),
        pen_down=np.stack([pen_down for _, _, pen_down in drawings]),
        first=np.cumsum(count) - count,
        count=count,
    )


def _padded(array, length, axis):
    missing = [(0, 0)] * array.ndim
    missing[axis] = (0, length - array.shape[axis])
    return np.pad(array, missing).astype(np.float32)


def _template(drawing, layers):
    """Return one drawing's points (K, 2), basis (L, SAMPLES, K) and pen_down (L, SAMPLES - 1).

    Strokes that share a point share its control point, so that they stay joined when it moves.
    """
    if "half" in drawing:
        drawing = drawing | {"cloth": _mirrored(drawing["half"])}
    # A layer without a path follows the first layer with its pen up, and so leaves no trace.
    strokes = [_strokes(drawing.get(layer) or drawing[layers[0]]) for layer in layers]
    points = list(dict.fromkeys(p for layer in strokes for stroke in layer for p in stroke))
    traced = [_trace_strokes(layer, points) for layer in strokes]
    absent = np.array([[layer not in drawing] for layer in layers])
    basis, pen_down = (np.stack(parts) for parts in zip(*traced, strict=True))
    return np.array(points), basis, np.where(absent, 0, pen_down)


def _mirrored(half):
    """Complete an outline that runs from the top to the bottom of the axis x = 5."""
    there = half.split()
    back = []
    for token in reversed(there[:-1]):
        x, y = token.split(",")
        back.append(f"{10 - float(x)},{y}")
    return " ".join(there + back)


def _strokes(path):
    """Parse a path into strokes, each a list of two or more points (x, y)."""
    strokes = []
    for line in path.split("/"):
        stroke = []
        for token in line.split():
            stroke.append(tuple(float(number) for number in token.rstrip("!").split(",")))
            if token.endswith("!"):
                strokes.append(stroke)
                stroke = stroke[-1:]
        strokes.append(stroke)
    return [stroke for stroke in strokes if len(stroke) > 1]


def _trace_strokes(strokes, points):
    """Spread SAMPLES over the strokes by length; return basis (SAMPLES, K) and pen_down."""
    lengths = [np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum() for stroke in strokes]
    ends = np.rint(np.cumsum(lengths) / sum(lengths) * SAMPLES).astype(int)
    rows = []
    for stroke, m in zip(strokes, np.diff(ends, prepend=0), strict=True):
        choose = np.array([[float(p == q) for q in points] for p in stroke])
        rows.append(_catmull_rom(len(stroke), m, closed=stroke[0] == stroke[-1]) @ choose)
    pen_down = np.ones(SAMPLES - 1)
    pen_down[ends[:-1] - 1] = 0
    return np.concatenate(rows), pen_down


def _catmull_rom(k, m, closed):
    """Return weights (m, k) that turn k points into m samples of a curve through them.

    Source: Catmull and Rom, "A class of local interpolating splines", 1974.
    """
    t = np.linspace(0, k - 1, m)
    left = np.minimum(t.astype(int), k - 2)
    u = t - left
    cubics = (
        -u + 2 * u**2 - u**3,
        2 - 5 * u**2 + 3 * u**3,
        u + 4 * u**2 - 3 * u**3,
        u**3 - u**2,
    )
    weights = np.zeros((m, k))
    for offset, cubic in zip((-1, 0, 1, 2), cubics, strict=True):
        point = (left + offset) % (k - 1) if closed else np.clip(left + offset, 0, k - 1)
        np.add.at(weights, (np.arange(m), point), cubic / 2)
    return weights


def _warp(paths, rng, strength):
    """Bend paths (CHUNK, L, SAMPLES, 2) by three slow waves, up to `strength` page units high."""
    for _ in range(3):
        wave = rng.uniform(-0.5, 0.5, (CHUNK, 1, 2, 1))  # radians per page unit
        phase = rng.uniform(0, 2 * math.pi, (CHUNK, 1, 1, 1))
        height = rng.uniform(-strength, strength, (CHUNK, 1, 1, 2))
        paths = paths + height * np.sin(paths @ wave + phase)
    return paths


def _slant(paths, rng, turn, lean, stretch):
    """Rotate by up to `turn` radians, lean to the right by between lean[0] and lean[1], and widen
    or narrow by a factor of up to exp(stretch)."""
    angle = rng.uniform(-turn, turn, CHUNK)
    width = np.exp(rng.uniform(-stretch, stretch, CHUNK))
    slant = rng.uniform(*lean, CHUNK)
    cos, sin = np.cos(angle), np.sin(angle)
    rotated = np.array([[cos, sin], [-sin, cos]])
    sheared = np.array([[width, np.zeros(CHUNK)], [-slant, np.ones(CHUNK)]])
    return paths @ np.einsum("ijn,jkn->nik", sheared, rotated)[:, None]


def _fit(paths, size):
    """Scale paths to `size` pixels (CHUNK,) on the longer side, centred in the image."""
    low, high = paths.min((1, 2), keepdims=True), paths.max((1, 2), keepdims=True)
    scale = size[:, None, None, None] / (high - low).max(-1, keepdims=True)
    return (paths - (low + high) / 2) * scale + SIDE / 2


def _pieces(paths, pen_down):
    """Return the middles (n, SAMPLES - 1, 2) and inked lengths of the pieces between samples."""
    middle = (paths[:, 1:] + paths[:, :-1]) / 2
    return middle, pen_down * np.linalg.norm(paths[:, 1:] - paths[:, :-1], axis=-1)


def _centre(paths, pen_down):
    """Shift paths (n, SAMPLES, 2) so that their ink balances on pixel 14, as MNIST's does."""
    middle, length = _pieces(paths, pen_down)
    balance = np.average(middle, axis=1, weights=np.repeat(length[..., None], 2, axis=-1))
    return paths - balance[:, None] + SIDE / 2 + 0.5  # + 0.5: the middle of that pixel


def _ink(paths, pen_down, radius, blur):
    """Draw paths (n, SAMPLES, 2) with a round pen; return ink (n, 28, 28) in [0, 1].

    A straight stroke at distance d adds sqrt(2 pi) REACH exp(-d^2 / (2 REACH^2)) to the field, so
    the field gives back d. The edge of the pen fades over `blur` pixels.
    """
    middle, length = _pieces(paths.astype(np.float32), pen_down)
    pixel = np.arange(SIDE, dtype=np.float32)[:, None] + np.float32(0.5)
    bell = np.exp((middle[:, None] - pixel[..., None]) ** 2 / np.float32(-2 * REACH**2))
    rows = bell[..., 1] * length[:, None]  # (n, 28, SAMPLES - 1)
    field = rows @ bell[..., 0].swapaxes(1, 2)  # (n, 28, 28), summed over the samples
    peak = math.sqrt(2 * math.pi) * REACH
    distance = REACH * np.sqrt(2 * np.log(peak / np.clip(field, 1e-12, peak)))
    radius, blur = np.reshape(radius, (-1, 1, 1)), np.reshape(blur, (-1, 1, 1))
    return np.clip((radius - distance) / blur + 0.5, 0, 1)


def _fill(outline):
    """Return how much of each pixel (n, 28, 28) lies inside the outline (n, SAMPLES, 2).

    Along each scanline, every edge that crosses it switches the inside on or off from there on.
    """
    n = len(outline)
    following = np.roll(outline, -1, axis=1)
    scanline = (np.arange(SIDE * SUBROWS)[:, None] + 0.5) / SUBROWS
    below, below_next = (
        outline[:, None, :, 1] > scanline,
        following[:, None, :, 1] > scanline,
    )
    image, line, edge = np.nonzero(below != below_next)
    (x0, y0), (x1, y1) = outline[image, edge].T, following[image, edge].T
    x = np.clip(x0 + (x1 - x0) * (scanline[line, 0] - y0) / (y1 - y0), 0, SIDE - 1e-3)
    switch = np.where(below[image, line, edge], 1, -1)
    column = x.astype(int)
    cell = (image * SIDE + line // SUBROWS) * (SIDE + 1) + column
    size = n * SIDE * (SIDE + 1)
    change = np.bincount(cell, switch * (column + 1 - x), size)  # the part of this pixel beyond x
    change += np.bincount(cell + 1, switch * (x - column), size)
    inside = np.cumsum(change.reshape(n, SIDE, SIDE + 1), axis=2)[..., :SIDE]
    return np.clip(np.abs(inside) / SUBROWS, 0, 1)


def _fabric(rng):
    """Return greys (CHUNK, 28, 28): a plain shade with soft folds, and stripes on some."""
    shade = rng.uniform(0.45, 1, (CHUNK, 1, 1))
    folds = 1 - 0.15 * _waves(rng, shortest=8, longest=30)
    contrast = rng.uniform(0.1, 0.7, (CHUNK, 1, 1)) * (rng.random((CHUNK, 1, 1)) < 0.3)
    stripes = 1 - contrast * _waves(rng, shortest=2.5, longest=7)
    return shade * folds * stripes


def _waves(rng, shortest, longest):
    """Return sine waves (CHUNK, 28, 28) in [0, 1], each level, upright or oblique."""
    angle = rng.integers(4, size=(CHUNK, 1, 1)) * math.pi / 4
    period = rng.uniform(shortest, longest, (CHUNK, 1, 1))
    phase = rng.uniform(0, 2 * math.pi, (CHUNK, 1, 1))
    row, column = np.arange(SIDE)[:, None], np.arange(SIDE)
    along = np.cos(angle) * column + np.sin(angle) * row
    return 0.5 + 0.5 * np.sin(2 * math.pi * along / period + phase)
