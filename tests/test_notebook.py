"""What a lesson shows beside figures: sources, tables, and the shapes that layers make."""

import pytest
import torch
from torch import nn

from course_utils import losses, notebook
from course_utils.models import Autoencoder


def hooks(model) -> int:
    """Return how many hooks listen to the layers of a model."""
    return sum(len(layer._forward_hooks) for layer in model.modules())


def test_shapes_lists_each_layer_with_what_it_makes():
    model = Autoencoder(widths=(5,), code_dim=2, image_shape=(1, 4, 4))
    lines = notebook.shapes(model, torch.rand(3, 1, 4, 4)).data.splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["layer", "kind", "output", "parameters"]
    assert cells[3] == ["`encoder.1`", "Linear", "3 × 5", "85"]
    assert cells[-1] == ["`decoder.3`", "Unflatten", "3 × 1 × 4 × 4", "0"]
    assert hooks(model) == 0


def test_a_model_that_fails_keeps_no_hooks():
    """Left behind, they would go on taking notes at each later call."""
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(2, 1))
    with pytest.raises(RuntimeError):
        notebook.shapes(model, torch.rand(1, 4))
    assert hooks(model) == 0


def test_source_is_that_of_the_package():
    text = notebook.source(losses.squared_error, losses.negative_elbo).data
    assert text.startswith("```python\ndef squared_error(") and text.endswith("\n```")
    assert "\n@wants(UNIT)\ndef negative_elbo(\n" in text  # not that of what looks at its input


def test_tables_show_four_significant_digits():
    text = notebook.table([{"a": 1 / 3, "b": "x"}, {"a": 2, "b": 1e6 / 7}]).data
    assert text.splitlines() == ["| a | b |", "| --- | --- |", "| 0.3333 | x |",
                                 "| 2 | 1.429e+05 |"]  # fmt: skip
