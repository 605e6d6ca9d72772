"""What the page on conditional faces writes out does what the package does."""

import by_hand
import pytest
import torch
from torch import nn

from course_utils import losses
from course_utils.models.face_cvae import ConditionalFaceVAE

PAGE = "conditional_faces"
LINES = {"Told": 12, "FaceVAE": 25, "loss_of": 10, "discrepancy": 10}  # at most


@pytest.fixture(scope="module")
def written():
    """Return what the notebook defines, executed without the rest of it."""
    return by_hand.written(PAGE, *LINES)


@pytest.fixture
def both(written):
    """Return the page's network and the package's from one seed, with classes that differ."""
    made = []
    for build in (written["FaceVAE"], ConditionalFaceVAE):
        torch.manual_seed(3)
        model = build(code_dim=6, width=4)
        torch.manual_seed(4)
        for layer in model.modules():
            if isinstance(layer, nn.Embedding):
                nn.init.normal_(layer.weight)
        made.append(model)
    return made


@pytest.mark.parametrize("name", LINES)
def test_it_is_short_enough_to_be_read(name):
    assert by_hand.length(by_hand.definitions(PAGE)[name]) <= LINES[name]


def test_the_network_is_that_of_the_package(both):
    ours, theirs = ({n: p for n, p in m.named_parameters() if n != "log_variance"} for m in both)
    assert [v.tolist() for v in ours.values()] == [v.tolist() for v in theirs.values()]
    assert both[0].log_variance.equal(both[1].log_variance)
    x, y, z = torch.rand(5, 3, 64, 64), torch.tensor([0, 3, 1, 2, 3]), torch.randn(5, 6)
    for a, b in zip(both[0].encode(x, y), both[1].encode(x, y), strict=True):
        assert a.equal(b)
    assert both[0].decode(z, y).equal(both[1].decode(z, y))


def test_the_loss_is_that_of_the_package(written, both):
    x, y = torch.rand(5, 3, 64, 64), torch.tensor([0, 3, 1, 2, 3])
    torch.manual_seed(1)
    ours = written["loss_of"](both[0], x, y)
    torch.manual_seed(1)
    theirs = losses.conditional_negative_elbo(both[1], x, y, likelihood="gaussian")["loss"]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-2)


def test_the_discrepancy_is_that_of_the_package(written):
    z, y = torch.randn(20, 6), torch.arange(4).repeat(5)
    torch.testing.assert_close(written["discrepancy"](z, y), losses.label_discrepancy(z, y, 4))
