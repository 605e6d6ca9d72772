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


def test_measured_values_stand_in_order_with_their_spread():
    named = {"a": {"value": torch.tensor(2.0), "spread": 0.5}, "b": {"value": 3.0, "spread": None}}
    ax = plotting.measured(named, "nats per image")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"] and ax.yaxis_inverted()
    (points, _, (bars,)) = ax.containers[0]
    assert points.get_xdata().tolist() == [2.0, 3.0] and ax.get_xlabel() == "nats per image"
    ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
    assert ends == [[1.5, 2.5], [3.0, 3.0]]


def test_bands_span_all_runs_and_follow_their_mean():
    histories = [[{"loss": 1.0}, {"loss": 3.0}], [{"loss": 2.0}, {"loss": 5.0}]]
    ax = plt.subplots()[1]
    plotting.band(ax, histories, "loss", "runs", scale=2)
    assert ax.lines[0].get_xydata().tolist() == [[1, 3], [2, 8]]
    edges = ax.collections[0].get_paths()[0].vertices
    assert {tuple(v) for v in edges.tolist()} >= {(1, 2), (1, 4), (2, 6), (2, 10)}


def test_a_sheet_holds_every_image_at_its_place():
    x = torch.arange(5)[:, None, None, None].expand(5, 1, 3, 3) / 5
    picture = plotting.tile(x, ncols=3, gap=1)
    assert picture.shape == (7, 11, 1)
    for i in range(5):
        place = picture[4 * (i // 3) : 4 * (i // 3) + 3, 4 * (i % 3) : 4 * (i % 3) + 3]
        assert (place == x[i, 0, 0, 0]).all()
    assert (picture[4:, 8:] == 1).all() and (picture[3] == 1).all()  # white between and after


def test_a_table_is_shown_with_its_numbers():
    ax = plt.subplots()[1]
    plotting.heat(
        torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.04]]), ["a", "b"], list("xyz"), "dB", ax
    )
    said = {tuple(map(int, t.get_position())): t.get_text() for t in ax.texts}
    assert said[0, 0] == "1.0" and said[2, 0] == "3.0" and said[2, 1] == "6.0"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y", "z"]
    assert ax.texts[0].get_color() == "white" and ax.texts[-1].get_color() == "black"


def test_arrows_start_at_points_and_are_as_long_as_their_steps():
    ax = plt.subplots()[1]
    start, step = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[4.0, 0.0], [0.0, -8.0]])
    plotting.arrows(ax, start, step, scale=4)
    drawn = ax.collections[0]
    assert drawn.get_offsets().tolist() == start.tolist()
    assert [drawn.U.tolist(), drawn.V.tolist()] == step.T.tolist()
    assert drawn.scale == 4 and drawn.scale_units == drawn.angles == "xy"
