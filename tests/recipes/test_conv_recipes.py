"""Chapter 02's recipes: the tutorial's settings, and one change a recipe."""

from dataclasses import replace

import pytest
import torch

from course_utils import recipes
from course_utils.convolution import multiplications
from course_utils.recipes.recipe import Settings
from course_utils.train import parameter_count


def test_the_tutorials_settings():
    """As it prints them: Adam at 1e-3, weight decay of 1e-5, batches of 128, 40 epochs."""
    printed = Settings(epochs=40, batch_size=128, lr=1e-3, weight_decay=1e-5)
    assert recipes.get("conv_source").full == recipes.get("conv_mlp_32").full == printed
    assert recipes.get("conv_source_no_decay").full == replace(printed, weight_decay=0.0)


@pytest.mark.parametrize(
    ("name", "before", "changed"),
    [
        ("conv_source_no_decay", "conv_source", {"full", "quick"}),
        ("conv_cycle", "conv_source", {"full", "quick"}),
        ("conv_gaps", "conv_cycle", {"loss", "loss_args"}),
        ("conv_resize", "conv_cycle", {"model"}),
        ("conv_signed", "conv_cycle", {"model"}),
        ("conv_overlap", "conv_cycle", {"model_args"}),
        ("conv_linear_narrow", "conv_overlap", {"model_args"}),
        ("conv_linear", "conv_wide", {"model_args"}),
        ("conv_norm", "conv_linear", {"model_args"}),
        ("conv_norm_trained", "conv_norm", {"model_args", "loss", "full", "quick"}),
        ("conv_norm_trained", "conv_deep", {"model", "model_args"}),
        ("conv_late", "conv_deep", {"model_args"}),
        ("conv_small", "conv_deep", {"model_args"}),
    ],
)
def test_one_change_a_recipe(name, before, changed):
    one, other = recipes.get(name), recipes.get(before)
    parts = ("model", "model_args", "loss", "loss_args", "full", "quick", "fit", "score")
    assert {part for part in parts if getattr(one, part) != getattr(other, part)} == changed


def test_gaps_are_a_tenth_of_the_pixels():
    assert recipes.get("conv_gaps").loss_args == {"masked": 0.1}


def test_the_last_leap_is_taken_apart():
    """The row above trained like the last; the last row's shape at the size of the one above."""
    trained, above = recipes.get("conv_norm_trained"), recipes.get("conv_norm")
    assert trained.model_args == above.model_args | {"output": "sigmoid"}
    image = torch.zeros(1, 1, 28, 28)
    for of in (parameter_count, lambda model: multiplications(model, image)):
        assert 0.9 < of(recipes.get("conv_late").build()) / of(above.build()) < 1
