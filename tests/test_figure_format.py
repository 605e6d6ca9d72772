"""A notebook keeps plots as drawings, and images as pixels; the same every time."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from nbclient import NotebookClient

from course_utils import figure_format, plotting


@pytest.fixture(autouse=True)
def no_figures_are_left():
    """Draw in the course's style, and close what a test has drawn."""
    with plt.rc_context():
        plotting.style()
        yield
    plt.close("all")


def plot():
    """Return a figure of two lines."""
    return plotting.curves({"training": [3, 2, 1.5], "test": [3, 2.5, 2.4]}, "epoch", "loss").figure


def cloud(n: int):
    """Return a figure of n codes."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, 2, generator=generator)
    return plotting.codes(z, torch.arange(n) % 10).figure


def test_a_plot_is_kept_as_a_drawing_and_a_sheet_as_pixels():
    assert list(figure_format.bundle(plot())) == ["image/svg+xml"]
    sheet = plotting.images(torch.rand(4, 1, 8, 8)).figure
    assert list(figure_format.bundle(sheet)) == ["image/png"]
    both, (left, right) = plt.subplots(1, 2)
    left.plot([1, 2])
    right.imshow(torch.rand(3, 3).numpy())
    assert list(figure_format.bundle(both)) == ["image/png"]
    grid, ax = plt.subplots()
    ax.pcolormesh(torch.rand(3, 3).numpy())
    assert list(figure_format.bundle(grid)) == ["image/png"]
    assert figure_format.bundle(plt.figure()) == {}


def test_images_in_colour_are_kept_as_jpeg_at_a_fraction_of_the_size():
    """Smooth ones with a little noise, as photographs are; they come no further apart than that."""
    import base64
    import io

    from IPython.core.pylabtools import print_figure
    from PIL import Image, ImageChops, ImageStat

    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(16, 3, 4, 4, generator=generator)
    faces = torch.nn.functional.interpolate(coarse, 64, mode="bicubic").clamp(0, 1)
    faces = faces + 0.02 * torch.randn(faces.shape, generator=generator)
    figure = plotting.rows({"one": faces[:8], "two": faces[8:]}, n=8).figure
    kept = figure_format.bundle(figure)
    assert list(kept) == ["image/jpeg"]
    png = print_figure(figure, "png", base64=True)
    assert len(kept["image/jpeg"]) < len(png) / 3
    shown = [Image.open(io.BytesIO(base64.b64decode(d))).convert("RGB")
             for d in (kept["image/jpeg"], png)]  # fmt: skip
    assert shown[0].size == shown[1].size
    assert max(ImageStat.Stat(ImageChops.difference(*shown)).mean) < 5  # levels of 255


def test_a_crowd_of_points_is_kept_as_pixels():
    few, many = (figure_format.bundle(cloud(n)) for n in (500, 5000))
    assert list(few) == ["image/svg+xml"] and list(many) == ["image/png"]
    assert len(few["image/svg+xml"]) <= figure_format.LARGEST


def test_the_same_figure_is_the_same_drawing_without_a_date():
    first, second = figure_format.as_svg(plot()), figure_format.as_svg(plot())
    assert first == second
    assert not re.search(r"20\d\d-\d\d-\d\d|[Mm]atplotlib|<!--|<\?xml", first)


def test_a_drawing_that_is_shortened_draws_the_same():
    """Every point stands where matplotlib puts it, to a hundredth, and no name leads nowhere."""
    from IPython.core.pylabtools import print_figure

    with plt.rc_context({"svg.hashsalt": figure_format.SALT, "svg.fonttype": "path"}):
        whole = print_figure(cloud(200), "svg")
    short = figure_format.shortened(whole)
    assert len(short) < 0.6 * len(whole)
    link, svg = "{http://www.w3.org/1999/xlink}href", "{http://www.w3.org/2000/svg}"
    trees = [ET.fromstring(text) for text in (whole, short)]
    uses = [[u for u in tree.iter(f"{svg}use") if u.get("x")] for tree in trees]
    assert len(uses[0]) == len(uses[1]) > 200
    for before, after in zip(*uses, strict=True):
        assert before.get(link) == after.get(link)
        for place in "xy":
            assert abs(float(before.get(place)) - float(after.get(place))) <= 0.0051
    styles = [styled(tree, svg) for tree in trees]
    assert styles[0] == styles[1]
    names = {e.get("id") for e in trees[1].iter() if e.get("id")}
    assert {u.get(link)[1:] for u in trees[1].iter(f"{svg}use")} <= names


def styled(tree, svg: str) -> list[str]:
    """Return the style of each point, its own or that of its group."""
    parents = {child: parent for parent in tree.iter() for child in parent}
    uses = [u for u in tree.iter(f"{svg}use") if u.get("x")]
    return [u.get("style") or parents[u].get("style") for u in uses]


def test_a_kernel_keeps_figures_so_from_the_first_cell_on():
    """With nothing but the set-up that every notebook has; empty figures leave nothing."""
    nb = nbformat.v4.new_notebook()
    cells = (
        "import matplotlib.pyplot as plt\nfrom course_utils import plotting\nplotting.style()\n"
        "plotting.curves({'a': [1, 2]}, 'x', 'y');",
        "plt.imshow([[0, 1], [1, 0]]);",
        "fig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()",
    )
    nb.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    NotebookClient(nb, timeout=60, kernel_name="python3").execute()
    kinds = [[set(output.get("data", ())) for output in cell.outputs] for cell in nb.cells]
    svg, png = {"text/plain", "image/svg+xml"}, {"text/plain", "image/png"}
    assert kinds == [[svg], [png], [svg]]


IN_A_NOTEBOOK = """
import matplotlib
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
matplotlib.use("module://matplotlib_inline.backend_inline")
from matplotlib import pyplot
from course_utils import plotting

pyplot.switch_backend(pyplot.get_backend())
for _ in range(2):
    print([call.__name__ for call in shell.events.callbacks["post_execute"]])
    plotting.style()
    plotting.style()  # a cell may be run again
"""


def test_in_a_notebook_no_figure_is_drawn_for_a_window():
    """Pyplot would draw each figure after its cell, and throw the drawing away."""
    command = [sys.executable, "-W", "error", "-c", IN_A_NOTEBOOK]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = done.stdout.splitlines()
    assert "_draw_all_if_interactive" in before and "_draw_all_if_interactive" not in after
