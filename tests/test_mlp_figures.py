"""The figures of chapter 07 show the numbers that they are given."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_utils import metrics, plotting


@pytest.fixture(autouse=True)
def closed():
    """Close what a test drew."""
    yield
    plt.close("all")


def test_maps_share_one_scale():
    weights = torch.linspace(-1, 2, 12 * 9).view(12, 3, 3)
    plotting.maps(weights, titles="abc", ncols=5)
    axes = plt.gcf().axes
    assert len(axes) == 15 and [ax.get_title() for ax in axes[:4]] == ["a", "b", "c", ""]
    shown = [ax.images[0] for ax in axes if ax.images]
    assert len(shown) == 12
    assert {image.get_clim() for image in shown} == {shown[0].get_clim()}
    low, high = shown[0].get_clim()
    assert low == -high and 1.9 < high <= 2
    assert torch.tensor(shown[4].get_array()).allclose(weights[4])


def test_regions_follow_the_score():
    points = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    ax = plt.subplots()[1]
    plotting.regions(lambda x: x[:, 0] - 0.5, points, torch.tensor([0.0, 1.0]), ax, "title")
    (yes,) = [p for p in ax.collections[0].get_paths() if len(p.vertices)][-1:]
    assert yes.vertices[:, 0].min() == pytest.approx(0.5, abs=0.02)  # shaded from x = 0.5 on
    drawn = [tuple(c.get_offsets()[0]) for c in ax.collections[1:]]
    assert drawn == [(0, 0), (1, 1)] and ax.get_title() == "title"


def test_scattered_shows_means_and_single_values():
    ax = plt.subplots()[1]
    plotting.scattered(ax, [1, 2], [[1.0, 3.0], [5.0]], "name")
    line, *dots = ax.lines
    assert line.get_ydata().tolist() == [2, 5] and line.get_label() == "name"
    assert [list(d.get_ydata()) for d in dots] == [[1, 3], [5]]
    assert {d.get_color() for d in dots} == {line.get_color()}


def test_reliability_leaves_thin_bins_out():
    p = torch.tensor([[0.9, 0.1]] * 20 + [[0.6, 0.4]] * 5)
    y = torch.tensor([0] * 15 + [1] * 10)
    ax = plotting.reliability({"net": metrics.reliability(p, y)}, least=10)
    assert ax.lines[1].get_xdata().tolist() == pytest.approx([0.9])
    assert ax.lines[1].get_ydata().tolist() == pytest.approx([0.75])


def test_confusions_count_errors_alone():
    y, read = torch.tensor([0, 0, 1, 2, 2, 2]), torch.tensor([1, 0, 1, 0, 0, 2])
    ax = plt.subplots()[1]
    plotting.confusions(y, read, ax, classes=3)
    assert ax.images[0].get_array().tolist() == [[0, 1, 0], [0, 0, 0], [2, 0, 0]]
    told = {(t.get_position(), t.get_text()) for t in ax.texts}
    assert told == {((1, 0), "1"), ((0, 2), "2")}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("read as", "label")


def test_captions_stand_in_their_images():
    ax = plt.subplots()[1]
    plotting.captioned(torch.rand(5, 1, 28, 28), list("abcde"), ax, ncols=4)
    places = {t.get_text(): t.get_position() for t in ax.texts}
    assert places["a"] == (1, 5) and places["b"] == (31, 5) and places["e"] == (1, 35)
