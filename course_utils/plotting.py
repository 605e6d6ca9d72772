"""Figures of the course: tensors in, Axes out, one style that colour-blind readers can use."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes

from course_utils.data import as_float

# Okabe and Ito's colours, of even lightness on white and told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Ten digits need ten colours: Paul Tol's muted scheme. Scatter plots add the digit itself.
DIGIT_COLOURS = ("#332288", "#CC6677", "#117733", "#AA7700", "#3377AA",
                 "#882255", "#22807A", "#999933", "#AA4499", "#555555")  # fmt: skip


def style() -> None:
    """Set the style of every later figure: white ground, no box, readable in dark pages too."""
    plt.rcParams.update(
        {
            "figure.facecolor": "white",
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "font.size": 10,
            "axes.titlesize": 11,
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
