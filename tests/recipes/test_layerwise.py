"""One machine of a stack: what its seed decides, and how much it learns."""

from functools import partial

import torch

from course_utils import losses
from course_utils.models import RBM
from course_utils.recipes.layerwise import train_machine
from course_utils.recipes.recipe import Settings

STILL = Settings(epochs=9, batch_size=20, lr=1e-12, optimizer="sgd")  # leaves weights as they began


def trained(seed: int, loss=losses.contrastive_divergence, epochs: int = 1) -> RBM:
    """Return a machine after its training on 50 rows of 6 numbers."""
    h = torch.rand(50, 6, generator=torch.Generator().manual_seed(0))
    return train_machine(partial(RBM, 4, (6,)), loss, h, STILL, seed, epochs)


def test_the_seed_decides_how_the_weights_begin():
    first, again, other = trained(3), trained(3), trained(4)
    assert first.weight.equal(again.weight)
    assert (first.weight - other.weight).abs().max() > 1e-3


def test_it_sees_all_rows_once_in_each_of_its_own_epochs_and_no_label():
    seen = []

    def noted(machine, x, y):
        seen.append((x, y))
        return losses.contrastive_divergence(machine, x, y)

    trained(0, noted, epochs=3)  # not those of the settings
    assert [len(x) for x, _ in seen] == [20, 20, 10] * 3
    rows = torch.cat([x for x, _ in seen]).view(3, 50, 6)
    assert rows.sort(dim=1).values.eq(rows[0].sort(dim=0).values).all()
    assert not any(y.any() for _, y in seen)
