"""What a notebook shows beside figures: the package's own source, shape tables, result tables."""

from __future__ import annotations

import inspect

import torch
from IPython.display import Markdown
from torch import nn


def source(*objects) -> Markdown:
    """Return the source of functions or classes, as the package has it at this moment."""
    text = "\n\n".join(inspect.getsource(o).rstrip() for o in objects)
    return Markdown(f"```python\n{text}\n```")


def table(rows: list[dict]) -> Markdown:
    """Return rows, dicts that share their keys, as a table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([cell(row[n]) for n in names] for row in rows)]
    return Markdown("\n".join("| " + " | ".join(line) + " |" for line in lines))


def cell(value) -> str:
    """Return a table cell: floats with four significant digits, everything else as it prints."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shapes(model: nn.Module, *inputs: torch.Tensor) -> Markdown:
    """Return a table of what each layer of `model` makes of `inputs`: shapes and parameters."""
    rows: list[dict] = []

    def note(layer: nn.Module, name: str, made: torch.Tensor) -> None:
        size = " × ".join(map(str, made.shape))
        count = sum(p.numel() for p in layer.parameters())
        rows.append({"layer": f"`{name}`", "kind": type(layer).__name__,
                     "output": size, "parameters": f"{count:,}"})  # fmt: skip

    hooks = [
        layer.register_forward_hook(lambda layer, _, made, name=name: note(layer, name, made))
        for name, layer in model.named_modules()
        if not list(layer.children())
    ]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:  # a model that fails must not go on taking notes
        for hook in hooks:
            hook.remove()
    return table(rows)
