"""What codes and errors are good for: against pairs counted one by one, and entropies by hand."""

import math

import pytest
import torch

from course_utils import metrics
from course_utils.errors import CourseError


def agreement(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the normalised mutual information of two labellings, from their joint counts."""
    joint = torch.zeros(int(a.max()) + 1, int(b.max()) + 1, dtype=torch.float64)
    for i, j in zip(a.tolist(), b.tolist(), strict=True):
        joint[i, j] += 1 / len(a)

    def entropy(p):
        return -sum(x * math.log(x) for x in p.flatten().tolist() if x > 0)

    rows, columns = entropy(joint.sum(1)), entropy(joint.sum(0))
    return (rows + columns - entropy(joint)) / ((rows + columns) / 2)


def three_blobs(mixed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return codes (60, 2) in three groups, the groups, and labels of which `mixed` err."""
    group = torch.arange(60) % 3
    noise = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    y = group.clone()
    y[:mixed] = (y[:mixed] + 1) % 3
    return 50.0 * torch.stack([group, group**2], 1) + noise, group, y


@pytest.mark.parametrize("mixed", [0, 7, 25])
def test_agreement_is_that_of_the_groups(mixed):
    codes, group, y = three_blobs(mixed)
    found = metrics.grouping_agreement(codes, y, 3)
    assert found == pytest.approx(agreement(y, group))
    assert (found == pytest.approx(1)) == (mixed == 0)


def test_codes_that_know_nothing_agree_little():
    codes, _, _ = three_blobs(0)
    y = torch.randint(3, (60,), generator=torch.Generator().manual_seed(1))
    assert metrics.grouping_agreement(codes, y, 3) < 0.15


def test_the_seed_decides_where_groups_start():
    codes = torch.rand(60, 2, generator=torch.Generator().manual_seed(0))  # no groups at all
    y = torch.arange(60) % 3
    found = [metrics.grouping_agreement(codes, y, 7, seed) for seed in range(6)]
    assert found == [metrics.grouping_agreement(codes, y, 7, seed) for seed in range(6)]
    assert len(set(found)) > 1


def test_auroc_counts_pairs():
    g = torch.Generator().manual_seed(0)
    known = torch.randint(10, (40,), generator=g).float()  # with ties
    new = torch.randint(3, 14, (23,), generator=g).float()
    larger = (new[:, None] > known).double() + 0.5 * (new[:, None] == known).double()
    assert metrics.auroc(known, new) == pytest.approx(float(larger.mean()))
    assert metrics.auroc(new, known) == pytest.approx(1 - float(larger.mean()))


@pytest.mark.parametrize(
    ("known", "new", "expected"),
    [([0, 1], [2, 3], 1.0), ([2, 3], [0, 1], 0.0), ([1, 1], [1], 0.5), ([0, 2], [1], 0.5)],
)
def test_auroc_by_hand(known, new, expected):
    assert metrics.auroc(torch.tensor(known), torch.tensor(new)) == expected


def test_bad_input():
    codes, _, y = three_blobs(0)
    for groups in (0, 1, 61, 2.5):
        with pytest.raises(CourseError, match="groups"):
            metrics.grouping_agreement(codes, y, groups)
    for bad in (torch.zeros(0), torch.zeros(2, 2), torch.tensor([float("nan")])):
        with pytest.raises(CourseError, match="known"):
            metrics.auroc(bad, torch.ones(3))
        with pytest.raises(CourseError, match="new"):
            metrics.auroc(torch.ones(3), bad)
