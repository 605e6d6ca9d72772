"""Drawn faces, 64x64 in colour, each with the factors that it was drawn from.

They stand in for photographs where those are not at hand, and they answer what photographs cannot:
which factor does a code hold? An image is painted in layers, from the background to the glasses.
A layer is a colour and a coverage, and the coverage of a shape follows from the signed distance of
each pixel to its outline. All images of a chunk are painted at once, each layer on the rows that
it can touch.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import torch

from course_utils.data.drawn import _whole_number

SIDE = 64  # pixels along each side of an image
CHUNK = 32  # images painted together, from a random stream of their own: they fit into a cache
EDGE = 1.3 * 2 / SIDE  # width of a shape's soft edge, in units of half an image

# name: (least, most) of a factor that is drawn evenly; whole-number factors are listed below
FACTORS = {
    "skin": (0, 1),  # from light to dark
    "hair": (0, 1),  # from blond to black
    "red": (0, 1),  # of the hair
    "yaw": (-1, 1),  # the head turns to the left or right of the image
    "roll": (-1, 1),  # the head leans
    "light": (-1, 1),  # where the light comes from, left or right
    "smile": (-1, 1),  # corners of the mouth down or up
    "open": (0, 1),  # of the mouth; below one half it is closed
    "eyes": (0, 1),  # from narrow to wide
    "gaze": (-1, 1),  # to the left or right
    "brows": (-1, 1),  # from sad to stern
    "width": (-1, 1),  # of the face
    "nose": (0, 1),  # its size
    "lips": (0, 1),  # from thin to full
    "beard": (0, 1),  # above one half it shows, ever denser
    "backdrop": (0, 1),  # hue of the background
    "hairstyle": 4,  # bald, short, parted, long
    "glasses": 4,  # none, round, square, dark
}
NAMES = tuple(FACTORS)
HAIRSTYLES = ("bald", "short", "parted", "long")
GLASSES = ("none", "round", "square", "dark")


def faces(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw `n` faces.

    The first images do not depend on how many follow: `faces(100, 0)` begins `faces(1000, 0)`.

    Args:
        n: number of images, 0 or more.
        seed: 0 or more; another seed draws other images.

    Returns x (n, 3, 64, 64) uint8 and the factors (n, 18) float32, with the columns of `NAMES`.
    Raises CourseError when `n` or `seed` is not a whole number or is negative.
    """
    n, seed = _whole_number("n", n), _whole_number("seed", seed)
    x = torch.empty(n, 3, SIDE, SIDE, dtype=torch.uint8)
    factors = torch.empty(n, len(NAMES))
    for start in range(0, n, CHUNK):
        kept = min(CHUNK, n - start)
        rng = np.random.default_rng([seed, start // CHUNK])
        drawn = draw_factors(rng)
        x[start : start + kept] = paint(drawn, rng)[:kept]
        factors[start : start + kept] = drawn[:kept]
    return x, factors


def from_factors(factors: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Paint faces with given factors (N, 18); what no factor names comes from `seed`.

    Rows of equal factors and places differ in nothing, so that one factor can be moved alone.
    Returns images (N, 3, 64, 64) uint8.
    """
    parts = []
    for part in factors.float().split(CHUNK):
        padded = torch.cat([part, part[-1:].expand(CHUNK - len(part), -1)])
        parts.append(paint(padded, np.random.default_rng(seed), alike=True)[: len(part)])
    return torch.cat(parts)


def draw_factors(rng) -> torch.Tensor:
    """Return the factors (CHUNK, 18) of a chunk, each drawn by itself."""
    columns = [
        rng.integers(span, size=CHUNK) if isinstance(span, int) else rng.uniform(*span, CHUNK)
        for span in FACTORS.values()
    ]
    return torch.from_numpy(np.stack(columns, 1).astype(np.float32))


# ---------------------------------------------------------------------------------------- painting


def paint(factors: torch.Tensor, rng, alike: bool = False) -> torch.Tensor:
    """Return the images (CHUNK, 3, 64, 64) uint8 of factors (CHUNK, 18).

    `alike` gives all images the same draws of what no factor names: place, size, grain, clothes.
    """
    f = named(factors)
    draw = Draws(rng, alike)
    canvas = Canvas(f, draw)
    for layer in (backdrop, long_hair, shoulders, ears, head, beard, nose, mouth, eyes, brows, hair,
                  glasses):  # fmt: skip
        layer(canvas, f, draw)
    return canvas.developed(draw)


def named(factors: torch.Tensor) -> SimpleNamespace:
    """Return factors (N, 18) by name, each (N, 1, 1)."""
    return SimpleNamespace(**{k: factors[:, i, None, None] for i, k in enumerate(NAMES)})


class Draws:
    """Random numbers (CHUNK, 1, 1), one per image, or the same for all where `alike`."""

    def __init__(self, rng, alike: bool):
        self.rng, self.alike = rng, alike

    def __call__(self, low: float, high: float, *shape: int) -> torch.Tensor:
        shape = shape or (1, 1)
        values = self.rng.uniform(low, high, (1 if self.alike else CHUNK, *shape))
        return torch.from_numpy(values.astype(np.float32)).expand(CHUNK, *shape)


class Canvas:
    """The picture in progress, and the coordinates in which faces are described.

    Attributes:
        picture: (CHUNK, 3, 64, 64) in [0, 1].
        u, v: (CHUNK, 64, 64) of the upright head: 0 at its centre, v = 1 at its chin's height.
        s: (CHUNK, 64, 64), like u on the surface of the head, which turns with the yaw.
        across: half the head's width.
    """

    def __init__(self, f, draw):
        steps = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
        size = draw(0.88, 1.06)
        x = (steps.view(1, 1, SIDE) - draw(-0.06, 0.06)) / size
        y = (steps.view(1, SIDE, 1) - draw(-0.02, 0.08)) / size
        angle = 0.22 * f.roll
        self.u = x * angle.cos() + y * angle.sin()
        self.v = y * angle.cos() - x * angle.sin()
        self.across = 0.68 + 0.09 * f.width
        side = (self.u / self.across).clamp(-1, 1)
        self.s = self.u - 0.2 * f.yaw * (1 - side * side)
        self.picture = torch.empty(CHUNK, 3, SIDE, SIDE)
        self.skin = mix((0.96, 0.80, 0.69), (0.40, 0.25, 0.17), f.skin**1.2)
        blond = mix((0.86, 0.71, 0.45), (0.10, 0.07, 0.06), f.hair**0.7)
        reddish = mix((0.64, 0.35, 0.20), (0.20, 0.08, 0.05), f.hair)
        self.hair = blond + (f.red > 0.75).float()[:, None] * 0.8 * (reddish - blond)
        self.shade = None

    def window(self, top: float, bottom: float, left: float = -9, right: float = 9) -> tuple:
        """Return the rows and columns of pixels that can hold v from `top` to `bottom` and s from
        `left` to `right`, wherever the head is and however it leans and turns, as an index."""
        lean = 0.23 * max(abs(top), abs(bottom))
        rows = pixels(top - 0.08, bottom + 0.16, largest=1.06)
        columns = pixels(left - 0.22 - lean, right + 0.22 + lean, largest=1.06)
        return slice(None), rows, columns

    def layer(self, window: tuple, coverage: torch.Tensor, colour: torch.Tensor) -> None:
        """Cover a window with a colour (CHUNK, 3, 1, 1), or (CHUNK, 3, ...) of its own size."""
        part = self.picture[:, :, window[1], window[2]]
        part.lerp_(colour.expand_as(part), coverage[:, None].expand_as(part))

    def developed(self, draw) -> torch.Tensor:
        """Return the picture as a small photograph has it: exposed, softened, with grain."""
        x = self.picture * draw(0.9, 1.25)[:, None]
        soft = (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 4
        x[..., 1:-1].lerp_(soft, draw(0.1, 0.8)[:, None])
        soft = (x[:, :, :-2] + 2 * x[:, :, 1:-1] + x[:, :, 2:]) / 4
        x[:, :, 1:-1].lerp_(soft, draw(0.1, 0.8)[:, None])
        grain = torch.from_numpy(draw.rng.standard_normal(
            (1 if draw.alike else CHUNK, 1, SIDE, SIDE), np.float32))  # fmt: skip
        x += draw(0.003, 0.014)[:, None] * grain
        return (x * 255).round_().clamp_(0, 255).to(torch.uint8)


def pixels(first: float, last: float, largest: float) -> slice:
    """Return the pixels from `first` to `last` half images from the middle, of heads of a size."""
    ends = [(side * largest + 1) / 2 * SIDE for side in (first - 0.12, last + 0.12)]
    return slice(max(0, math.floor(ends[0])), max(1, min(SIDE, math.ceil(ends[1]))))


def mix(a, b, t: torch.Tensor) -> torch.Tensor:
    """Return the colour between a and b (3 numbers each) at t (N, 1, 1), as (N, 3, 1, 1)."""
    a, b = (torch.tensor(colour).view(1, 3, 1, 1) for colour in (a, b))
    return a + t[:, None] * (b - a)


def inside(distance: torch.Tensor, edge: float = EDGE) -> torch.Tensor:
    """Return how much of each pixel a shape covers, from the signed distance to its outline."""
    return (0.5 - distance / edge).clamp_(0, 1)


def ellipse(x, y, across, high) -> torch.Tensor:
    """Return about the signed distance to an ellipse with the half-axes `across` and `high`."""
    return ((x / across).square() + (y / high).square()).sqrt_().sub_(1).mul_(0.5 * (across + high))


def bell(square: torch.Tensor) -> torch.Tensor:
    """Return exp(-square), in place; it ends at exp(-16), as denormal numbers are slow."""
    return square.clamp_(max=16).neg_().exp_()


def spot(x, y, across, high) -> torch.Tensor:
    """Return a soft spot: 1 in the middle, falling off like a Gaussian."""
    return bell((x / across).square() + (y / high).square())


# ------------------------------------------------------------------------------------------ layers


def backdrop(canvas, f, draw) -> None:
    """A wall in one hue, brighter towards one corner, with a blurred thing on it."""
    hue = 2 * math.pi * (f.backdrop + torch.tensor([0, 1 / 3, 2 / 3]).view(1, 3, 1)).unsqueeze(-1)
    grey, colour = draw(0.25, 0.85)[:, None], draw(0.03, 0.2)[:, None]
    steps = torch.linspace(-1, 1, SIDE)
    across, down = steps.view(1, 1, SIDE), steps.view(1, SIDE, 1)
    slope = draw(-0.2, 0.2) * across + draw(-0.2, 0.2) * down
    thing = draw(-0.25, 0.25) * spot(across - draw(-1, 1), down - draw(-1, 0.4),
                                     draw(0.2, 0.6), draw(0.2, 0.9))  # fmt: skip
    canvas.picture.copy_(grey + colour * hue.cos()).add_((slope + thing)[:, None])


def strands(canvas, window, draw) -> torch.Tensor:
    """Return the sheen of hair (CHUNK, rows, 64), around 1."""
    u, v = canvas.u[window], canvas.v[window]
    wave = (draw(14, 26) * u + draw(-5, 5) * v + draw(0, 6)).sin_()
    return 1 + 0.1 * wave + 0.25 * spot(u - draw(-0.3, 0.3), v + 0.75, 0.3, 0.25)


def long_hair(canvas, f, draw) -> None:
    """Hair behind the head, down to the shoulders; a little of it for parted hair."""
    window = canvas.window(-1.2, 1.2)
    u, v = canvas.u[window], canvas.v[window]
    long = (f.hairstyle == 3).float()
    across = canvas.across + 0.16 + draw(0.0, 0.12)
    fall = across + 0.1 * v.clamp(-1, 1) * draw(-0.3, 1)
    shape = torch.maximum(ellipse(u, v + 0.1, fall, 1.02).where(v < 0, u.abs() - fall), v - 1.3)
    canvas.layer(
        window, long * inside(shape), 0.75 * canvas.hair * strands(canvas, window, draw)[:, None]
    )


def shoulders(canvas, f, draw) -> None:
    """The neck, in shadow, and a shirt."""
    window = canvas.window(0.6, 2)
    u, v = canvas.u[window], canvas.v[window]
    neck = torch.maximum(u.abs() - 0.62 * canvas.across, 0.5 - v)
    canvas.layer(window, inside(neck), canvas.skin * (0.62 + 0.12 * f.light[:, None] * u[:, None]))
    shirt = draw(0.1, 0.9, 3, 1, 1) * draw(0.5, 1)[:, None]
    collar = 1.12 - 0.25 * u.abs() + draw(0, 0.12) - v
    canvas.layer(window, inside(collar), shirt * (1 - 0.2 * u.abs()[:, None]))


def ears(canvas, f, draw) -> None:
    """Two ears; the one that the head turns away is hidden by it."""
    window = canvas.window(-0.3, 0.5)
    u, v = canvas.u[window], canvas.v[window]
    for side in (-1, 1):
        x = u - side * (canvas.across + 0.01) + 0.06 * f.yaw
        tone = 0.85 + 0.15 * side * f.light
        canvas.layer(window, inside(ellipse(x, v - 0.08, 0.09, 0.2)), canvas.skin * tone[:, None])


def head(canvas, f, draw) -> None:
    """The head, lit from one side, with cheeks, eye sockets and a chin."""
    window = canvas.window(-1.05, 1.05)
    u, v, s = canvas.u[window], canvas.v[window], canvas.s[window]
    jaw = 1 - draw(0.12, 0.3) * v.clamp_min(0).square()
    x, y = u / (canvas.across * jaw), v
    depth = (1 - x * x - 0.8 * y * y).clamp_min(0.03).sqrt()  # towards the viewer, of a unit ball
    lit = 0.42 + 0.5 * depth + 0.3 * f.light * x - 0.12 * y + 0.08
    lit += 0.1 * spot(s, v + 0.55, 0.35, 0.2)  # forehead
    lit -= draw(0.08, 0.2) * (
        spot(s - 0.3, v + 0.12, 0.2, 0.13) + spot(s + 0.3, v + 0.12, 0.2, 0.13)
    )
    lit += draw(0.03, 0.1) * (
        spot(s - 0.36, v - 0.24, 0.17, 0.14) + spot(s + 0.36, v - 0.24, 0.17, 0.14)
    )
    lit -= 0.1 * spot(s, v - 0.75, 0.22, 0.06)  # below the lower lip
    fold = (s.abs() - 0.26 - 0.06 * f.smile - 0.25 * (v - 0.35)).square() * 900
    lit -= draw(0.0, 0.12) * (0.6 + 0.4 * f.smile) * bell(fold) * spot(s, v - 0.42, 1, 0.2)
    blush = draw(0.0, 0.1) * (
        spot(s - 0.38, v - 0.28, 0.16, 0.14) + spot(s + 0.38, v - 0.28, 0.16, 0.14)
    )
    canvas.lit = lit
    colour = canvas.skin * lit[:, None]
    colour[:, 1:] -= (blush * 0.6)[:, None]
    canvas.shape = ellipse(x, y, 1, 1).mul_(0.75)
    canvas.layer(window, inside(canvas.shape), colour)
    canvas.face_rows = window[1]


def within(canvas, window: tuple) -> tuple[torch.Tensor, torch.Tensor]:
    """Return coverage of the head and its light on some of its rows."""
    top = canvas.face_rows.start
    rows = slice(window[1].start - top, window[1].stop - top)
    return inside(canvas.shape[:, rows, window[2]]), canvas.lit[:, rows, window[2]]


def beard(canvas, f, draw) -> None:
    """Stubble to full beard, with a moustache, on the lower third of the face."""
    window = canvas.window(0.25, 1.0)
    s, v = canvas.s[window], canvas.v[window]
    face, lit = within(canvas, window)
    grown = ((f.beard - 0.5) * 2.2).clamp(0, 1)
    cheek = 0.42 + draw(0, 0.15) - 0.75 * (s.abs() / canvas.across - 0.55).clamp_min(0)
    chin = ((v - cheek) * 7).clamp(0, 1)
    bare = 1 - 0.85 * spot(s, v - 0.52, 0.24, 0.1)
    tuft = spot(s, v - 0.4, 0.26, 0.055)
    noise = 1 - 0.25 * (draw(20, 50) * s + draw(-9, 9) * v).sin().square()
    coverage = (grown * torch.maximum(chin * bare, tuft * draw(0.3, 1)) * noise * face).mul_(0.85)
    canvas.layer(window, coverage, canvas.hair * (0.45 + 0.6 * lit[:, None]))


def nose(canvas, f, draw) -> None:
    """A lit ridge, a shadow on the far side, two nostrils."""
    window = canvas.window(-0.2, 0.45, -0.2, 0.2)
    s, v = canvas.s[window] - 0.07 * f.yaw, canvas.v[window]
    wide = 0.085 + 0.045 * f.nose
    tip = 0.22 + 0.06 * f.nose
    along = ((v + 0.2) * 3).clamp(0, 1) * ((tip + 0.06 - v) * 14).clamp(0, 1)
    ridge = bell((s / (0.55 * wide)).square()) * along
    canvas.layer(window, ridge * draw(0.1, 0.3), canvas.skin * 1.12)
    far = 0.5 + 0.5 * f.light.sign() * s.sign()
    side = bell(((s.abs() - wide) / 0.045).square()) * along * (0.5 + 0.5 * (1 - far))
    shadow = canvas.skin * 0.5
    canvas.layer(window, side * draw(0.15, 0.45), shadow)
    canvas.layer(window, 0.55 * spot(s, v - tip - 0.05, wide * 1.15, 0.035), shadow)
    for at in (-1, 1):
        hole = spot(s - at * 0.62 * wide, v - tip - 0.02, 0.034, 0.026)
        canvas.layer(window, 0.75 * hole, canvas.skin * 0.3)


def mouth(canvas, f, draw) -> None:
    """Two lips along a parabola; open, it shows dark, teeth and a tongue."""
    window = canvas.window(0.3, 0.85, -0.4, 0.4)
    s, v = canvas.s[window] - 0.03 * f.yaw, canvas.v[window]
    half = 0.25 + 0.07 * f.smile + draw(-0.02, 0.02)
    x = (s / half).clamp(-1.3, 1.3)
    bow = 1 - x * x
    middle = v - 0.53 + 0.1 * f.smile * (x * x - 0.4)  # 0 along the line between the lips
    gap = ((f.open - 0.5) * 2).clamp(0, 1) * (0.13 + 0.03 * f.smile)
    full = 0.035 + 0.05 * f.lips
    taper = bow.clamp_min(0).sqrt()
    upper = full * 0.8 * taper * (1 - 0.35 * bell((x * 5).square()))
    lower = full * 1.15 * taper
    opening = 0.5 * gap * bow.clamp_min(0)
    ends = (s.abs() - half) * 0.8
    lips = torch.maximum(torch.maximum(-middle - opening - upper, middle - opening - lower), ends)
    red = draw(0, 1)
    colour = canvas.skin * (mix((0.86, 0.66, 0.64), (0.90, 0.40, 0.42), red * (1 - 0.6 * f.skin)))
    _, lit = within(canvas, window)
    sheen = 0.72 + 0.3 * lit + 0.18 * spot(s, middle - opening - 0.5 * full, 0.12, 0.02)
    canvas.layer(window, inside(lips), colour * sheen[:, None])
    hole = torch.maximum(middle.abs() - opening, ends)
    canvas.layer(
        window, inside(hole) * (gap > 0.01), mix((0.25, 0.06, 0.07), (0.25, 0.06, 0.07), red)
    )
    teeth = torch.maximum(hole + 0.01, middle - 0.25 * opening)
    shown = inside(teeth) * ((gap - 0.02) * 30).clamp(0, 1)
    canvas.layer(window, shown, mix((0.86, 0.84, 0.79), (0.97, 0.96, 0.93), draw(0, 1)))
    closed = bell((middle / 0.022).square()) * (ends < 0) * (gap <= 0.01)
    canvas.layer(window, 0.7 * closed, colour * 0.42)
    for at in (-1, 1):
        canvas.layer(window, 0.35 * spot(x - at * 1.03, middle, 0.12, 0.035), canvas.skin * 0.4)


def eyes(canvas, f, draw) -> None:
    """White, iris, pupil and a glint between two lids; a line and a crease above."""
    apart, half = draw(0.27, 0.32), draw(0.125, 0.15)
    slant = draw(-0.12, 0.12)
    high = half * (0.3 + 0.4 * f.eyes)
    shadow, white = canvas.skin * 0.3, mix((0.80, 0.78, 0.76), (0.97, 0.96, 0.95), draw(0, 1))
    hue = draw(0, 1)
    brown = mix((0.10, 0.06, 0.04), (0.36, 0.21, 0.10), draw(0, 1))
    light = mix((0.25, 0.42, 0.62), (0.34, 0.45, 0.28), draw(0, 1))
    iris = brown + (hue > 0.35 + 0.6 * f.skin).float()[:, None] * (light - brown)
    for at in (-1, 1):
        window = canvas.window(-0.3, 0.1, *sorted((0.08 * at, 0.5 * at)))
        v = canvas.v[window] + 0.1
        s = canvas.s[window] - at * apart * (1 - 0.12 * at * f.yaw)
        y = v - at * slant * s * 0.6
        x = (s / half).clamp(-1.6, 1.6)
        lid = high * (1 - x * x)
        shape = torch.maximum(-y - lid, y - 0.75 * lid)
        covered = inside(shape)
        canvas.layer(window, covered, white * (0.9 + 0.1 * at * f.light)[:, None])
        ball = ellipse(s - 0.05 * f.gaze - 0.02 * f.yaw, y + 0.1 * high, 0.075, 0.075)
        canvas.layer(window, covered * inside(ball), iris)
        canvas.layer(window, covered * inside(ball + 0.042), iris * 0.15)
        glint = spot(s - 0.05 * f.gaze - 0.03 * f.light, y + 0.04, 0.02, 0.02)
        canvas.layer(window, 0.9 * glint * covered, mix((1, 1, 1), (1, 1, 1), hue))
        line = bell(((y + lid) / 0.026).square()) * (x.abs() < 1.05)
        canvas.layer(window, 0.85 * line, shadow)
        canvas.layer(window, 0.3 * bell(((y + 1.5 * lid + 0.05) / 0.022).square()) * (x.abs() < 1),
                     shadow)  # fmt: skip
        canvas.layer(window, 0.25 * bell(((y - 0.8 * lid - 0.01) / 0.02).square()) * (x.abs() < 1),
                     shadow)  # fmt: skip


def brows(canvas, f, draw) -> None:
    """Two brows, thick towards the nose, in the colour of the hair or darker."""
    height = 0.33 + draw(-0.02, 0.04)
    thick, half, arch = draw(0.025, 0.055), draw(0.17, 0.21), draw(0.2, 0.9)
    dark = canvas.hair * 0.55 + canvas.skin * 0.12
    for at in (-1, 1):
        window = canvas.window(-0.5, -0.1, *sorted((0.06 * at, 0.56 * at)))
        v = canvas.v[window] + height
        s = canvas.s[window] - at * 0.31 * (1 - 0.12 * at * f.yaw)
        x = (s / half).clamp(-1.2, 1.2)
        middle = v + 0.06 * arch * (1 - x * x) + 0.28 * at * s * f.brows * 0.8
        shape = torch.maximum(middle.abs() - thick * (1 - 0.55 * at * x), (x.abs() - 1) * half)
        canvas.layer(window, 0.9 * inside(shape, 2 * EDGE), dark)


def hair(canvas, f, draw) -> None:
    """Hair over the head, down to a hairline: short, parted, or with a fringe."""
    window = canvas.window(-1.25, 0.45)
    u, v = canvas.u[window], canvas.v[window]
    style = f.hairstyle
    volume = draw(0.04, 0.16) + 0.06 * (style == 3)
    cap = ellipse(u, v + 0.06, canvas.across + 0.35 * volume + 0.03, 1.0 + volume)
    part = draw(-0.5, 0.5)
    short = -0.66 + draw(-0.08, 0.12) + 0.25 * (u / canvas.across).square() ** 2
    parted = -0.72 + 0.55 * (u - part).abs() + 0.3 * (u.abs() / canvas.across) ** 3
    fringe = -0.5 + draw(-0.12, 0.1) + 0.1 * (u * draw(6, 14) + part).sin() + 1.1 * (
        u.abs() / canvas.across - 0.62).clamp_min(0) * 2.2  # fmt: skip
    line = short.where(style == 1, parted.where(style == 2, fringe))
    temple = draw(0.0, 0.3)
    shape = torch.maximum(cap, torch.maximum(v - line, v - temple - 0.4 * (style == 3)))
    coverage = inside(shape, 2 * EDGE) * (style > 0)
    sheen = strands(canvas, window, draw) + 0.2 * f.light * u
    canvas.layer(window, coverage, canvas.hair * sheen[:, None])
    shadow = inside(torch.maximum(cap, v - line - 0.06), 4 * EDGE) * (style > 0) * (1 - coverage)
    canvas.layer(window, 0.25 * shadow, canvas.skin * 0.4)


def glasses(canvas, f, draw) -> None:
    """Round, square or dark glasses: rims, a bridge, and lenses that shade a little."""
    worn, dark = f.glasses > 0, (f.glasses == 3).float()
    rim = draw(0.0, 1)
    colour = mix((0.08, 0.07, 0.07), (0.45, 0.33, 0.22), (rim - 0.5).clamp_min(0))
    tint = mix((0.07, 0.07, 0.09), (0.22, 0.16, 0.12), draw(0, 1))
    thick = draw(0.02, 0.036)
    reach = draw(0.19, 0.23)
    for at in (-1, 1):
        window = canvas.window(-0.32, 0.2, *sorted((0.0, 0.8 * at)))
        s, v = canvas.s[window], canvas.v[window] + 0.08
        x = s - at * 0.3 * (1 - 0.12 * at * f.yaw)
        disc = ellipse(x, v, reach, reach)
        box = torch.maximum(x.abs() - reach, v.abs() - 0.72 * reach)
        drop = ellipse(x, v - 0.03, reach * 1.05, reach * 0.9)
        lens = disc.where(f.glasses == 1, box.where(f.glasses == 2, drop))
        canvas.layer(window, worn * inside(lens) * (0.1 + 0.85 * dark), tint)
        shine = spot(x + 0.08, v + 0.08 + 0.5 * x, 0.12, 0.05)
        canvas.layer(window, worn * inside(lens) * shine * (0.12 + 0.15 * dark), 1 - 0.2 * tint)
        canvas.layer(window, worn * inside(lens.abs() - thick), colour)
        arm = torch.maximum((v + 0.06).abs() - 0.018, reach - at * x)
        canvas.layer(window, worn * inside(arm) * within(canvas, window)[0], colour)
    window = canvas.window(-0.2, 0.05, -0.15, 0.15)
    s, v = canvas.s[window], canvas.v[window] + 0.08
    bridge = torch.maximum((v + 0.04 + 0.3 * s.square()).abs() - 0.018, s.abs() - 0.3 + reach)
    canvas.layer(window, worn * inside(bridge), colour)
