"""Figures of the course: tensors in, Axes out, one style that colour-blind readers can use."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from course_utils import figure_format
from course_utils.data import as_float

INK = "#222832"  # of words and axes: the book's colour of text, which a page changes to its own

# Okabe and Ito's colours, of even lightness on white and told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Ten digits need ten colours: Paul Tol's muted scheme. Scatter plots add the digit itself.
DIGIT_COLOURS = ("#332288", "#CC6677", "#117733", "#AA7700", "#3377AA",
                 "#882255", "#22807A", "#999933", "#AA4499", "#555555")  # fmt: skip


def style() -> None:
    """Set the style of every later figure: no box, words in ink, and how a notebook keeps it."""
    figure_format.install()
    plt.rcParams.update(
        {
            "figure.facecolor": "white",
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "font.size": 10,
            "axes.titlesize": 11,
            **dict.fromkeys(
                ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"),
                INK,
            ),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=COLOURS),
            "axes.grid": False,
            "image.cmap": "gray",
            "legend.frameon": False,
            "figure.constrained_layout.use": True,
        }
    )


def tile(x: torch.Tensor, ncols: int, gap: int = 2) -> torch.Tensor:
    """Return images (N, 1, H, W) or (N, 3, H, W) as one picture (rows, cols, channels).

    Pixels are clipped to [0, 1]; the gap between images is white.
    """
    x = as_float(x.detach().cpu()).clamp(0, 1)
    n, channels, height, width = x.shape
    nrows = -(-n // ncols)
    picture = torch.ones(channels, nrows * (height + gap) - gap, ncols * (width + gap) - gap)
    for i, image in enumerate(x):
        top, left = (i // ncols) * (height + gap), (i % ncols) * (width + gap)
        picture[:, top : top + height, left : left + width] = image
    return picture.permute(1, 2, 0)


def images(x: torch.Tensor, ncols: int = 10, title: str = "", ax: Axes | None = None) -> Axes:
    """Show images (N, C, H, W), uint8 or in [0, 1], as a sheet of `ncols` columns."""
    nrows = -(-len(x) // ncols)
    ax = ax or plt.subplots(figsize=(0.62 * ncols, 0.62 * nrows + (0.3 if title else 0)))[1]
    ax.imshow(tile(x, ncols).squeeze(-1).numpy(), vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def rows(named: dict[str, torch.Tensor], n: int = 10, ax: Axes | None = None, columns=()) -> Axes:
    """Show the first `n` images of each entry as a row, with its name at the left.

    `columns` are names of the columns, above the first row; none by default.
    """
    stacked = torch.cat([padded(as_float(x[:n].detach().cpu()), n) for x in named.values()])
    height = stacked.shape[-2] + 2
    ax = ax or plt.subplots(figsize=(0.62 * n + 1.6, 0.62 * len(named)))[1]
    ax.imshow(tile(stacked, n).squeeze(-1).numpy(), vmin=0, vmax=1, interpolation="nearest")
    ax.set_yticks([height * i + height / 2 - 1 for i in range(len(named))], list(named))
    width = stacked.shape[-1] + 2
    ax.set_xticks([width * i + width / 2 - 1 for i in range(len(columns))], list(columns))
    ax.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    return ax


def padded(x: torch.Tensor, n: int) -> torch.Tensor:
    """Return images (N, C, H, W) with white ones added until there are `n`."""
    return torch.cat([x, torch.ones(n - len(x), *x.shape[1:])])


def curves(
    named: dict[str, list[float]], xlabel: str, ylabel: str, start: int = 1, ax: Axes | None = None
) -> Axes:
    """Plot one line per entry against start, start + 1, ..."""
    ax = ax or plt.subplots(figsize=(6.2, 3.4))[1]
    for name, values in named.items():
        ax.plot(range(start, start + len(values)), values, label=name, lw=1.6)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return ax


def band(ax: Axes, histories: list[list[dict]], key: str, label: str, scale: float = 1.0) -> None:
    """Draw the mean over runs of `scale` times `key` by epoch, with all runs' range as a band."""
    values = scale * torch.tensor([[row[key] for row in history] for history in histories])
    epochs = range(1, values.shape[1] + 1)
    (line,) = ax.plot(epochs, values.mean(0), label=label, lw=1.8)
    ax.fill_between(epochs, values.amin(0), values.amax(0), color=line.get_color(), alpha=0.2, lw=0)


def measured(named: dict[str, dict], xlabel: str, ax: Axes | None = None) -> Axes:
    """Draw one point per entry, its name at the left, with a bar of one standard deviation.

    Args:
        named: "value" and "spread" of each entry, as `claims.over_runs` gives them; a spread of
            None, of a single run, has no bar.
        xlabel: what is measured, and its unit.
    """
    ax = ax or plt.subplots(figsize=(6.2, 0.32 * len(named) + 0.7))[1]
    places = range(len(named))
    values = [float(entry["value"]) for entry in named.values()]
    bars = [float(entry.get("spread") or 0) for entry in named.values()]
    ax.errorbar(values, places, xerr=bars, fmt="o", ms=5, capsize=3, lw=1.4)
    ax.set_yticks(places, list(named))
    ax.set_ylim(len(named) - 0.5, -0.5)  # the first entry on top
    ax.set(xlabel=xlabel)
    return ax


def codes(z: torch.Tensor, y: torch.Tensor, ax: Axes | None = None, size: float = 28) -> Axes:
    """Scatter codes z (N, 2) or (N, 3), each point drawn as its digit y (N,), in its colour."""
    flat = z.shape[1] == 2
    if ax is None:
        projection = None if flat else "3d"
        ax = plt.figure(figsize=(5.6, 5)).add_subplot(projection=projection)
    z, y = z.detach().cpu(), y.cpu()
    for digit in y.unique().tolist():
        ax.scatter(*z[y == digit].T, marker=f"${digit}$", s=size, lw=0.2,
                   color=DIGIT_COLOURS[digit % 10])  # fmt: skip
    ax.set(xlabel="$z_1$", ylabel="$z_2$")
    if not flat:
        ax.set_zlabel("$z_3$")
    return ax


def maps(weights: torch.Tensor, titles=(), ncols: int = 10, limit: float | None = None) -> None:
    """Show signed weights (N, H, W) as squares, blue above zero and red below, on one scale.

    Args:
        weights: one square each.
        titles: above the squares; none by default.
        ncols: squares in a row.
        limit: where the colours end; None takes the 99.5th percentile of the absolute weights.
    """
    weights = weights.detach().cpu()
    limit = limit or float(weights.abs().flatten().sort().values[int(0.995 * weights.numel())])
    nrows = -(-len(weights) // ncols)
    size = (0.76 * ncols, 0.8 * nrows + (0.3 if titles else 0))
    axes = plt.subplots(nrows, ncols, figsize=size, squeeze=False)[1].flat
    for i, ax in enumerate(axes):
        ax.set_axis_off()
        if i < len(weights):
            ax.imshow(weights[i].numpy(), cmap="RdBu", vmin=-limit, vmax=limit)
        if i < len(titles):
            ax.set_title(titles[i])


def regions(score, points: torch.Tensor, y: torch.Tensor, ax: Axes, title: str = "") -> None:
    """Shade where a classifier of the plane says yes, and draw points that it should sort.

    Args:
        score: points (N, 2) -> scores (N,), above 0 for yes.
        points, y: (N, 2), and 1 for yes, 0 for no (N,).
        ax, title: where, and the words above.
    """
    low, high = points.amin() - 0.4, points.amax() + 0.4
    line = torch.linspace(float(low), float(high), 200)
    with torch.no_grad():
        yes = score(torch.cartesian_prod(line, line)) > 0
    ax.contourf(line, line, yes.float().view(200, 200).T, [-1, 0.5, 2], colors=["0.88", "#9fd0ee"])
    for value, colour, marker in ((0, "black", "s"), (1, COLOURS[1], "o")):
        ax.scatter(*points[y == value].T, color=colour, marker=marker, s=60, zorder=3)
    ax.set(title=title, aspect="equal", xlabel="first input", ylabel="second input")


def scattered(
    ax: Axes, x, values: list[list[float]], label: str, style: str = "o-", **line
) -> None:
    """Draw the mean of `values[i]` over `x[i]` as a line, and every single value as a small dot."""
    means = [sum(row) / len(row) for row in values]
    (drawn,) = ax.plot(x, means, style, label=label, ms=5, lw=1.6, **line)
    for place, row in zip(x, values, strict=True):
        ax.plot([place] * len(row), row, ".", ms=3, color=drawn.get_color())


def reliability(named: dict, least: int = 10) -> Axes:
    """Plot accuracy against confidence, a line per entry of `metrics.reliability`.

    Bins with fewer images than `least` are left out; on the dotted diagonal lies who is calibrated.
    """
    ax = plt.subplots(figsize=(4.8, 3.6))[1]
    ax.plot([0, 1], [0, 1], ls=":", color="0.5")
    for name, bins in named.items():
        many = bins.count >= least
        ax.plot(bins.confidence[many], bins.accuracy[many], "o-", ms=4, label=name)
    ax.set(xlabel="probability of the chosen digit", ylabel="share that is right")
    ax.legend(fontsize=8)
    return ax


def confusions(y: torch.Tensor, read: torch.Tensor, ax: Axes, classes: int = 10) -> None:
    """Draw how often images of one label (rows) are read as another (columns).

    Args:
        y, read: labels, and what was read, (N,); what is read rightly is left out.
        ax: where.
        classes: how many there are.
    """
    counts = torch.bincount(classes * y + read, minlength=classes**2).view(classes, classes)
    counts = counts * (1 - torch.eye(classes, dtype=counts.dtype))
    ax.imshow(counts.numpy(), cmap="Blues")
    for i, j in counts.nonzero().tolist():
        colour = "white" if counts[i, j] > 0.6 * counts.max() else "black"
        ax.text(j, i, int(counts[i, j]), ha="center", va="center", fontsize=7, color=colour)
    ax.set(xlabel="read as", ylabel="label", xticks=range(classes), yticks=range(classes))


def captioned(x: torch.Tensor, words: list[str], ax: Axes, ncols: int = 4) -> None:
    """Show images (N, C, H, W) as a sheet, each with a few words in its upper left corner."""
    images(x, ncols, ax=ax)
    step = x.shape[-1] + 2
    for i, word in enumerate(words):
        place = (step * (i % ncols) + 1, step * (i // ncols) + 5)
        text = ax.text(*place, word, color=COLOURS[4], fontsize=9)
        text.set_path_effects([withStroke(linewidth=2.5, foreground="black")])  # readable on ink


def heat(table: torch.Tensor, rows: list[str], columns: list[str], label: str, ax: Axes) -> None:
    """Draw a table of numbers (R, C) as coloured squares with the numbers in them.

    Args:
        table: one row for each name in `rows`, one column for each in `columns`.
        label: what is measured, and its unit.
        ax: where.
    """
    shade = ax.imshow(table.numpy(), cmap="viridis")
    middle = (table.amax() + table.amin()) / 2
    for i, row in enumerate(table.tolist()):
        for j, value in enumerate(row):
            ink = "black" if value > middle else "white"
            ax.text(j, i, f"{value:.1f}", ha="center", va="center", color=ink)
    ax.set_xticks(range(len(columns)), columns, fontsize=7)
    ax.set_yticks(range(len(rows)), rows, fontsize=8)
    ax.figure.colorbar(shade, ax=ax, label=label)


def arrows(ax: Axes, start: torch.Tensor, step: torch.Tensor, scale: float = 1.0) -> None:
    """Draw arrows in the plane from points (N, 2), along steps (N, 2) that are divided by scale."""
    ax.quiver(*start.T, *step.T, angles="xy", scale_units="xy", scale=scale, width=0.005,
              color=COLOURS[0], zorder=3)  # fmt: skip
    ax.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
