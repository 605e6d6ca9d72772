"""Blockiness: by hand, by a loop, and of pictures whose blocks are known."""

import pytest
import torch

from course_utils import metrics
from course_utils.errors import CourseError


def by_loop(x, period, first):
    """Return blockiness, place by place."""
    at_edges, inside = [], []
    for axis in (2, 3):
        on, off = [], []
        for place in range(1, x.shape[axis]):
            a, b = x.select(axis, place - 1), x.select(axis, place)
            (on if (place - first) % period == 0 else off).append((a - b).abs().mean())
        at_edges.append(torch.stack(on).mean())
        inside.append(torch.stack(off).mean())
    return float(sum(at_edges) / sum(inside))


@pytest.mark.parametrize(("period", "first"), [(2, 1), (2, 2), (3, 1), (4, 3)])
def test_it_is_what_a_loop_over_places_finds(period, first):
    x = torch.rand(3, 1, 9, 12, dtype=torch.float64)
    assert metrics.blockiness(x, period, first) == pytest.approx(
        by_loop(x.float(), period, first), rel=1e-4
    )


def test_blocks_are_found_where_they_are_and_nowhere_else():
    torch.manual_seed(0)
    blocks = torch.rand(20, 1, 15, 15).repeat_interleave(2, 2).repeat_interleave(2, 3)
    x = (blocks[..., 1:-1, 1:-1] + 0.1 * torch.rand(20, 1, 28, 28)).clamp(0, 1)
    assert metrics.blockiness(x, 2, first=1) > 5
    assert metrics.blockiness(x, 2, first=2) < 0.2


def test_smooth_pictures_have_no_blocks():
    x = torch.linspace(0, 1, 28).expand(1, 1, 28, 28)
    x = (x + x.transpose(2, 3)) / 2
    assert metrics.blockiness(x) == pytest.approx(1)


def test_bad_input_is_refused():
    x = torch.rand(1, 1, 4, 4)
    with pytest.raises(CourseError, match="first is 3; it can be at most 2"):
        metrics.blockiness(x, 2, 3)
    with pytest.raises(CourseError, match="period is 0"):
        metrics.blockiness(x, 0)
    with pytest.raises(CourseError, match="blocks of 4 pixels cannot be told"):
        metrics.blockiness(x, 4, 2)
    with pytest.raises(CourseError, match="flat"):
        metrics.blockiness(torch.ones(1, 1, 8, 8))
