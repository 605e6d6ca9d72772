"""What a notebook shows beside figures: the package's source, tables of shapes, results, sounds."""

from __future__ import annotations

import base64
import html
import inspect
import io
import math
import wave as wave_files

import torch
from IPython.display import HTML, Markdown
from torch import nn

from course_utils.errors import CourseError
from course_utils.plotting import tile


def source(*objects, folded: bool = False) -> Markdown:
    """Return the source of functions or classes, as the package has it at this moment.

    Folded, it is one line until somebody opens it.
    """
    text = "\n\n".join(inspect.getsource(o).rstrip() for o in objects)
    code = f"```python\n{text}\n```"
    if not folded:
        return Markdown(code)
    names = ", ".join(f"<code>{o.__name__}</code>" for o in objects)
    return Markdown(f"<details><summary>Source of {names}</summary>\n\n{code}\n\n</details>")


def table(rows: list[dict]) -> Markdown:
    """Return rows, dicts that share their keys, as a table; see `cell` for what stands in it."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([cell(row[n]) for n in names] for row in rows)]
    return Markdown("\n".join("| " + " | ".join(line) + " |" for line in lines))


def strip(x: torch.Tensor, words: str, n: int = 8) -> str:
    """Return the first n images as a picture that stands in a cell of a table.

    Args:
        x: images (N, 1, H, W) or (N, 3, H, W), uint8 or in [0, 1].
        words: what is to be seen, for screen readers.
        n: how many, at most; 28 pixels of a digit are kept as they are.
    """
    from PIL import Image

    picture = (tile(x[:n], n) * 255).round().to(torch.uint8).squeeze(-1).numpy()
    written = io.BytesIO()
    Image.fromarray(picture).save(written, format="png", optimize=True)
    safe = words.replace("[", "(").replace("]", ")").replace("|", "/")
    return f"![{safe}](data:image/png;base64,{base64.b64encode(written.getvalue()).decode()})"


def cell(value) -> str:
    """Return a table cell.

    Floats have four significant digits. What `claims.over_runs` returns is written as "97.2 ± 2.1",
    see `with_spread`. Everything else stands as it prints.
    """
    if isinstance(value, dict):
        mean, spread = value["value"], value["spread"]
        return with_spread(mean, spread) if spread else f"{mean:.4g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def with_spread(mean: float, spread: float) -> str:
    """Return a mean with its spread, which is not zero: "97.2 ± 2.1".

    The spread has two significant digits, and the mean as many decimals. Past six decimals both
    are written with a power of ten, and past six significant digits the mean is cut there: more
    of them nobody reads.
    """
    decimals = max(0, 1 - math.floor(math.log10(spread)))
    if decimals <= 6:
        return f"{mean:.{decimals}f} ± {spread:.{decimals}f}"
    before_point = math.floor(math.log10(abs(mean))) + 1 if mean else 0
    digits = min(max(2, before_point + decimals), 6)
    return f"{mean:#.{digits}g}".rstrip(".") + f" ± {spread:.1e}"


def shapes(model: nn.Module, *inputs: torch.Tensor, blocks: bool = False) -> Markdown:
    """Return a table of what each layer of `model` makes of `inputs`: shapes and parameters.

    Args:
        model: called as `model(*inputs)`.
        inputs: what goes in, a batch of one will do.
        blocks: one row for each part that the model names, not for each of their layers.
    """
    rows: list[dict] = []

    def note(part: nn.Module, name: str, made: torch.Tensor) -> None:
        size = " × ".join(map(str, made.shape))
        count = sum(p.numel() for p in part.parameters())
        kinds = (type(layer).__name__ for layer in part.modules() if not list(layer.children()))
        rows.append({"layer": f"`{name}`", "kind": ", ".join(dict.fromkeys(kinds)),
                     "output": size, "parameters": f"{count:,}"})  # fmt: skip

    parts = model.named_children() if blocks else leaves(model)
    hooks = [
        part.register_forward_hook(lambda part, _, made, name=name: note(part, name, made))
        for name, part in parts
    ]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:  # a model that fails must not go on taking notes
        for hook in hooks:
            hook.remove()
    return table(rows)


def leaves(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the layers that hold no others, with their names."""
    return [(name, part) for name, part in model.named_modules() if not list(part.children())]


def sound(wave: torch.Tensor, rate: int, words: str) -> HTML:
    """Return a sound that is heard in the page, with its words above the player.

    Args:
        wave: samples (N,), any scale: the loudest becomes full.
        rate: samples a second; 8,000 Hz and 16 bits make 21 kB of a second.
        words: what is heard, for eyes and for screen readers.

    Raises CourseError for anything but one channel of finite samples.
    """
    if wave.ndim != 1 or not len(wave) or not wave.isfinite().all():
        raise CourseError(f"wave has shape {tuple(wave.shape)}; give finite samples (N,)")
    loudest = max(float(wave.abs().max()), 1e-9)
    samples = (wave / loudest * 32767).round().to(torch.int16).cpu().numpy()
    written = io.BytesIO()
    with wave_files.open(written, mode="wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    data = base64.b64encode(written.getvalue()).decode()
    said = html.escape(words)
    return HTML(
        f"<p>{said}</p>\n"
        f'<audio controls aria-label="{said}" src="data:audio/wav;base64,{data}"></audio>'
    )
