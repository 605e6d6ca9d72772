"""Stored drawings become part of the page, in the colours of its theme."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
from bs4 import BeautifulSoup
from looking import DESKTOP, window
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course_utils import figure_format, plotting

ROOT = Path(__file__).resolve().parents[2]
EXTENSIONS = ROOT / "book" / "_ext"
sys.path.insert(0, str(EXTENSIONS))

import plots  # noqa: E402

GROUND = {"light": "#ffffff", "dark": "#14181e"}


def drawing() -> str:
    """Return a plot as a notebook keeps it, with a bar of black, which matplotlib does not name."""
    with plt.rc_context():
        plotting.style()
        ax = plotting.curves({"a": [1, 2, 3], "b": [2, 2, 1]}, "epoch", "loss")
        ax.bar([1, 2], [1, 1], color="black")
        ax.text(1, 2, "boxed", bbox={"facecolor": "white", "edgecolor": "0.7"})
        svg = figure_format.as_svg(ax.figure)
    plt.close("all")
    return svg


def luminance(colour: str) -> float:
    """Return the relative luminance of "#rrggbb", as WCAG defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", sorted({*plotting.COLOURS, *plotting.DIGIT_COLOURS, "#222832"}))
def test_colours_of_data_are_clear_on_both_grounds(colour):
    """At least as in WCAG's rule for graphics, 3 to 1; on white those that are clear there."""
    assert contrast(plots.in_the_dark(colour.lower()), GROUND["dark"]) >= 4.5


def test_colours_in_the_dark_stay_apart_and_keep_their_hue():
    palette = [c.lower() for c in plotting.COLOURS]
    dark = [plots.in_the_dark(c) for c in palette]
    assert len(set(dark)) == len(palette)
    for before, after in zip(palette[:-1], dark, strict=False):  # the last is black
        (_, a, b), (_, c, d) = plots.oklab(before), plots.oklab(after)
        assert (a * c + b * d) / ((a * a + b * b) * (c * c + d * d)) ** 0.5 > 0.98


def test_greys_change_places_and_tints_become_shades():
    greys = [plots.in_the_dark(c) for c in ("#000000", "#444444", "#888888", "#cccccc", "#f8f8f8")]
    assert [luminance(c) for c in greys] == sorted(map(luminance, greys), reverse=True)
    assert contrast(plots.in_the_dark("#9fd0ee"), "#ced6dd") > 4.5  # words on a pale region


def test_colours_go_to_oklab_and_back():
    """Ottosson's own check: red is (0.628, 0.225, 0.126); the rest by going there and back."""
    assert plots.oklab("#ff0000") == pytest.approx((0.628, 0.225, 0.126), abs=1e-3)
    for colour in ("#0072b2", "#d55e00", "#cc79a7", "#332288", "#808080"):
        assert plots.srgb(*plots.oklab(colour)) == colour


def test_a_drawing_in_a_page_names_only_variables():
    page = plots.inline(drawing(), 'what is "seen" <here>')
    svg = BeautifulSoup(page, "html.parser").svg
    assert svg["aria-label"] == 'what is "seen" <here>' and svg["role"] == "img"
    for part in svg.find_all(style=True):
        bare = part["style"].replace("var(", "").split(")")
        assert all("#" not in piece or "--" in piece or "url(" in piece for piece in bare), part
    ids = {tag["id"] for tag in svg.find_all(id=True)}
    assert {u["href"][1:] for u in svg.find_all("use")} <= ids
    assert all(name.startswith(svg["id"]) for name in ids)


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """Return a built book of one notebook: a table, a drawing, its alternative text and caption."""
    folder = tmp_path_factory.mktemp("book")
    words = {"image": {"alt": "Two lines and a bar."}, "figure": {"caption": "A *plot*."}}
    outputs = [
        new_output("display_data", data={"text/plain": "<T>", "text/markdown": "|a|\n|-|\n|1|"}),
        new_output("display_data", data={"text/plain": "<F>", "image/svg+xml": drawing()}),
    ]
    cell = new_code_cell("plot()", outputs=outputs, metadata={"mystnb": words})
    nb = new_notebook(cells=[nbformat.v4.new_markdown_cell("# Page\n\nWords."), cell])
    nbformat.write(nb, folder / "index.ipynb")
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['myst_nb', 'plots', 'captions']\nnb_execution_mode = 'off'\n"
        "nb_render_markdown_format = 'gfm'\nnumfig = True\n"
        "html_theme = 'sphinx_book_theme'\nexclude_patterns = ['out']\n"
        "html_theme_options = {'logo': {'text': 'Plots'}}\n"
        f"html_static_path = [{str(ROOT / 'book' / '_static')!r}]\n"
        "html_css_files = ['custom.css']\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(folder), str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


def test_the_page_holds_the_drawing_with_its_words(book):
    page = BeautifulSoup((book / "index.html").read_text(encoding="utf-8"), "html.parser")
    figure = page.select_one("div.cell_output figure")
    assert figure.svg["aria-label"] == "Two lines and a bar."
    assert figure.select_one(".caption-text").get_text() == "A plot."
    assert not page.select("div.cell_output img")


def test_the_caption_belongs_to_the_drawing_and_not_to_the_table_above_it(book):
    page = BeautifulSoup((book / "index.html").read_text(encoding="utf-8"), "html.parser")
    (caption,) = page.select("figcaption")
    assert caption.select_one(".caption-number").get_text() == "Fig. 1 "
    assert page.select_one("div.cell_output table").find_parent("figure") is None


@pytest.mark.parametrize(("width", "wide"), [(648, True), (460.8, False)])
def test_only_a_drawing_of_several_panels_is_wide(width, wide):
    """On a phone it scrolls, so that its words can be read."""
    drawn = plots.inline(f'<svg width="{width}pt" height="200pt"><g/></svg>', "A plot.")
    assert drawn.startswith('<div class="wide-plot"><svg ') is wide
    assert drawn.count("</div>") == wide


LOOK = """() => {
  const svg = document.querySelector("svg.course-plot");
  const seen = new Set();
  for (const e of svg.querySelectorAll(":not(defs) > path")) {
    const style = getComputedStyle(e);
    seen.add(style.fill).add(style.stroke);
  }
  return [...seen];
}"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_it_in_the_theme(book, browser, scheme):
    """The lines, the axes and the unnamed black of a bar; nothing white, but for the box."""
    ink = {"light": "rgb(34, 40, 50)", "dark": "rgb(206, 214, 221)"}[scheme]
    line = plots.in_the_dark("#0072b2") if scheme == "dark" else "#0072b2"
    with window(browser, book.as_uri(), DESKTOP, scheme) as visitor:
        visitor.page.goto(f"{book.as_uri()}/index.html")
        seen = visitor.page.evaluate(LOOK)
    rgb = "rgb({}, {}, {})".format(*(int(line[i : i + 2], 16) for i in (1, 3, 5)))
    assert {ink, rgb} <= set(seen)
    assert "rgb(0, 0, 0)" not in seen
    assert scheme == "light" or "rgb(255, 255, 255)" not in seen


CAPTION = """() => ["figcaption .caption-text", "article p"].map(place => {
  const style = getComputedStyle(document.querySelector(place));
  return [style.color, style.fontWeight];
})"""


@pytest.mark.browser
def test_a_caption_is_as_clear_as_the_text(book, browser):
    with window(browser, book.as_uri(), DESKTOP, "dark") as visitor:
        visitor.page.goto(f"{book.as_uri()}/index.html")
        caption, text = visitor.page.evaluate(CAPTION)
    assert caption == text
