"""How a notebook keeps a figure: a plot as a drawing (SVG), images and crowded plots as PNG.

Images in colour, faces that is, are kept as JPEG: a PNG of the same sheet is five times as large.

A drawing is sharp at any size, and the book gives it the colours of the page, light or dark
(`book/_ext/plots.py`); everywhere else (Jupyter, Colab, GitHub) it shows as it is stored, dark on
white. `plotting.style` switches this on; nothing else is needed.
"""

from __future__ import annotations

import re

from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

LARGEST = 150_000  # characters of a drawing: beyond, a PNG of the same figure is smaller
JPEG = {"quality": 86, "subsampling": 0, "optimize": True}  # colours as sharp as light
# the same figure gives the same file: no date, no name of a program, ids that are no accident
METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
SALT = "course"

DROPPED = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
DEFINED = re.compile(r'(?<=<)(\w+) id="([^"]*)"')
REFERRED = re.compile(r'(?:url\(#|href="#)([^")]*)')
PLACES = re.compile(r'(?<= )(d|x|y|points)="([^"]*)"')
DECIMALS = re.compile(r"-?\d+\.\d{3,}")
# points of a cloud that differ in nothing but their places
CLOUD = re.compile(
    r'<use xlink:href="#(\w+)" x="[^"]*" y="[^"]*" style="([^"]*)"/>\n'
    r'(?:<use xlink:href="#\1" x="[^"]*" y="[^"]*" style="\2"/>\n)+'
)


def is_plot(figure: Figure) -> bool:
    """Tell whether a figure is made of lines, points and words, not of pixels."""
    return not any(
        axes.images or any(isinstance(part, QuadMesh) for part in axes.collections)
        for axes in figure.axes
    )


def is_photograph(figure: Figure) -> bool:
    """Tell whether a figure shows images in three colours."""
    return any(image.get_array().ndim == 3 for axes in figure.axes for image in axes.images)


def as_svg(figure: Figure) -> str:
    """Return a figure as an SVG element, the same for the same figure."""
    import matplotlib
    from IPython.core.pylabtools import print_figure

    with matplotlib.rc_context({"svg.hashsalt": SALT, "svg.fonttype": "path"}):
        return shortened(print_figure(figure, "svg", metadata=METADATA) or "")


def shortened(svg: str) -> str:
    """Return an SVG file as one element: no prologue, no unused names, hundredths of a point."""
    svg = DROPPED.sub("", svg)
    used = set(REFERRED.findall(svg))
    svg = DEFINED.sub(lambda m: m[0] if m[2] in used else m[1], svg)
    svg = PLACES.sub(lambda m: f'{m[1]}="{DECIMALS.sub(rounded, m[2])}"', svg)
    svg = "\n".join(filter(None, map(str.strip, svg.splitlines())))
    return CLOUD.sub(styled_once, svg)


def styled_once(cloud: re.Match) -> str:
    """Return points of one style as a group that says it once."""
    style = f' style="{cloud[2]}"'
    return f"<g{style}>\n{cloud[0].replace(style, '')}</g>\n"


def rounded(number: re.Match) -> str:
    """Return a coordinate with two decimals at most."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def bundle(figure: Figure, include=None, exclude=None) -> dict[str, str]:
    """Return what a notebook keeps of a figure: one picture, by its MIME type."""
    from IPython.core.pylabtools import print_figure

    if not figure.axes and not figure.lines:
        return {}  # an empty figure is not shown
    if is_plot(figure) and len(svg := as_svg(figure)) <= LARGEST:
        return {"image/svg+xml": svg}
    if is_photograph(figure):
        return {"image/jpeg": print_figure(figure, "jpeg", base64=True, pil_kwargs=JPEG)}
    return {"image/png": print_figure(figure, "png", base64=True)}


def install() -> None:
    """Let the kernel in which this is called keep figures so; elsewhere do nothing."""
    from IPython import get_ipython
    from matplotlib import pyplot

    shell = get_ipython()
    if shell is None:
        return
    pyplot.switch_backend(pyplot.get_backend())  # loads it: it registers its own PNGs but once
    for formatter in shell.display_formatter.formatters.values():
        formatter.pop(Figure, None)
    shell.display_formatter.mimebundle_formatter.for_type(Figure, bundle)
    if "inline" in pyplot.get_backend():
        # after each cell pyplot would draw every figure once more, for a window that is not there
        pyplot.uninstall_repl_displayhook()
