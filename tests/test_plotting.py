"""Figures: what they show is what they were given."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils import plotting


@pytest.fixture(autouse=True)
def no_figures_are_left():
    """Close what a test has drawn."""
    yield
    plt.close("all")


def test_rows_name_their_columns():
    ax = plotting.rows({"a": torch.rand(3, 1, 28, 28)}, n=3, columns="xyz")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y", "z"]
    assert ax.get_xticks().tolist() == [14, 44, 74]
