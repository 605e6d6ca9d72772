"""Plots of notebooks stand in the page itself and take its colours, light or dark.

A notebook keeps a plot as an SVG drawing, dark on white (`course_utils/figure_format.py`). Here it
becomes a part of the page, without its white ground. Each of its colours turns into a custom
property that the dark theme sets to a counterpart: ink to the page's ink, white to the page's
ground, greys to greys in between, and the colours of data to lighter ones of the same hue. Wide
ones, of several panels, scroll on a phone instead of shrinking until nobody can read their words.
"""

from __future__ import annotations

import hashlib
import re
from html import escape
from pathlib import Path

from docutils import nodes

# what matplotlib leaves out because it is the default, and what `plotting.style` calls ink
INK = ("#000000", "#222832")
PAGE = {"#ffffff": "--pst-color-background"} | dict.fromkeys(INK, "--pst-color-text-base")
COLOUR = re.compile(r"(?<=[:\s\"])#[0-9a-fA-F]{6}\b")
NAME = re.compile(r'(id="|url\(#|href="#)([^")]*)')
GROUND = re.compile(r"<g>\s*<path d=\"[^\"]*\" style=\"fill: #ffffff\"/>\s*</g>")
DARK_GROUND, DARK_INK = 0.21, 0.87  # OKLab lightness of the theme's #14181e and #ced6dd
WIDE = 480.0  # points, as matplotlib writes a width; one panel has up to 460
GREY, TINT = 0.03, 0.11  # chroma below which a colour counts as grey, and a light one as a tint


def inline(svg: str, alt: str) -> str:
    """Return a stored drawing as an element of a page, described by `alt`."""
    key = hashlib.sha256(svg.encode()).hexdigest()[:8]
    colours = sorted({colour.lower() for colour in COLOUR.findall(svg)} - set(PAGE))
    svg = GROUND.sub("", svg, count=1)
    svg = NAME.sub(rf"\1p{key}-\2", svg).replace("xlink:href", "href")
    svg = COLOUR.sub(lambda found: variable(found[0].lower()), svg)
    svg = svg.replace("*{", f"#p{key} *{{", 1)  # its rule for joins is not one for the page
    label = escape(alt, quote=True)
    # matplotlib leaves out a fill that is black, so the whole is filled with ink unless a part says
    fill = variable(INK[0])
    opening = f'<svg id="p{key}" class="course-plot" role="img" aria-label="{label}" '
    opening += f'style="fill: {fill}" '
    svg = re.sub(r"<svg ", opening, svg, count=1)
    svg = re.sub(r"</svg>\s*$", f"{dark_style(key, colours)}</svg>", svg)
    return f'<div class="wide-plot">{svg}</div>' if is_wide(svg) else svg


def is_wide(svg: str) -> bool:
    """Tell whether the words of a drawing would be too small on a phone, were it to fit there."""
    width = re.search(r'<svg [^>]*\bwidth="([\d.]+)pt"', svg)
    return width is not None and float(width[1]) > WIDE


def variable(colour: str) -> str:
    """Return what stands for a colour in the page."""
    return f"var({PAGE.get(colour, '--c' + colour[1:])}, {colour})"


def dark_style(key: str, colours: list[str]) -> str:
    """Return the rule by which the dark theme sets the colours of one drawing."""
    if not colours:
        return ""
    values = "".join(f"--c{colour[1:]}:{in_the_dark(colour)};" for colour in colours)
    return f'<style>html[data-theme="dark"] #p{key}{{{values}}}</style>'


def in_the_dark(colour: str) -> str:
    """Return the counterpart of "#rrggbb" on a dark ground: as clear as the colour is on white."""
    lightness, a, b = oklab(colour)
    chroma = (a * a + b * b) ** 0.5
    mirrored = DARK_GROUND + (1 - lightness) * (DARK_INK - DARK_GROUND) / 0.73
    if chroma < GREY:
        lightness = mirrored
    elif lightness > 0.8 and chroma < TINT:
        lightness = mirrored + 0.08
    else:
        lightness = max(lightness, 0.55 + 0.3 * lightness)
    return srgb(min(lightness, 0.95), a, b)


def oklab(colour: str) -> tuple[float, float, float]:
    """Return "#rrggbb" in OKLab (Björn Ottosson, 2020): lightness in [0, 1], and two of hue."""
    r, g, b = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def srgb(lightness: float, a: float, b: float) -> str:
    """Return a colour of OKLab as "#rrggbb", paler where the screen has none so strong."""
    for strength in (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0):
        channels = linear_rgb(lightness, strength * a, strength * b)
        if all(-0.002 <= channel <= 1.002 for channel in channels):
            break
    return "#" + "".join(f"{round(255 * gamma(channel)):02x}" for channel in channels)


def linear_rgb(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """Return the linear channels of a colour of OKLab, outside of [0, 1] where there is none."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def linear(value: float) -> float:
    """Return a channel of sRGB in [0, 1] as a share of light."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def gamma(value: float) -> float:
    """Return a share of light as a channel of sRGB in [0, 1]."""
    value = min(max(value, 0.0), 1.0)
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def put_into_the_page(app, doctree: nodes.document, docname: str) -> None:
    """Replace the images of a page that are stored drawings of its notebook."""
    if app.builder.format != "html":
        return
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.suffix == ".svg" and "jupyter_execute" in path.parts:
            svg = path.read_text(encoding="utf-8")
            image.replace_self(nodes.raw("", inline(svg, image.get("alt", "")), format="html"))


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", put_into_the_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
