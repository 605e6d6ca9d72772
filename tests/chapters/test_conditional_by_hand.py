"""What chapter 05 writes out by hand computes what the package computes."""

import math

import nbformat
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_tools.chapters.cells import code_cells
from course_tools.chapters.rules import FOLDER
from course_utils import losses
from course_utils.models import ConditionalVAE, MixtureVAE

pytestmark = pytest.mark.notebook
NOTEBOOK = FOLDER / "05_conditional_autoencoder.ipynb"
BY_HAND = ("Conditional", "loss_fn", "Mixture", "log_normal", "loss_with_prior")


@pytest.fixture(scope="module")
def written():
    """Return what the chapter defines by hand, by name."""
    names = {"torch": torch, "nn": nn, "F": F, "math": math}
    for cell in code_cells(nbformat.read(NOTEBOOK, as_version=4)):
        for part in cell.source.split("\n\n\n"):  # two empty lines after each definition
            if part.startswith(tuple(f"{kind} {name}" for name in BY_HAND
                                     for kind in ("def", "class"))):  # fmt: skip
                exec(part, names)
    return names


@pytest.fixture
def xy():
    """Return 20 images of noise and labels."""
    x = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return x, torch.arange(20) % 10


def pair(written, theirs):
    """Return the chapter's network and the package's, with the same weights."""
    ours = written["Conditional"]()
    assert [p.shape for p in ours.parameters()] == [
        p.shape for n, p in theirs.named_parameters() if not n.startswith("prior.")
    ]
    with torch.no_grad():
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=False):
            p.copy_(q)
    return ours


def test_network(written, xy):
    torch.manual_seed(0)
    theirs = ConditionalVAE(condition="both")
    ours = pair(written, theirs)
    torch.manual_seed(1)
    own = ours(*xy)
    torch.manual_seed(1)
    for one, other in zip(own, theirs(*xy), strict=True):
        torch.testing.assert_close(one, other)


def test_loss_and_its_gradients(written, xy):
    torch.manual_seed(0)
    theirs = ConditionalVAE(condition="both")
    ours = pair(written, theirs)
    torch.manual_seed(1)
    one = written["loss_fn"](ours, *xy)
    torch.manual_seed(1)
    other = losses.conditional_negative_elbo(theirs, *xy)["loss"]
    assert one.item() == pytest.approx(other.item(), rel=1e-6)
    one.backward()
    other.backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-5)


def test_a_network_of_zeros_costs_log_2_a_pixel(written, xy):
    net = written["Conditional"]().requires_grad_(False)
    for p in net.parameters():
        p.zero_()
    assert written["loss_fn"](net, *xy).item() == pytest.approx(784 * math.log(2), rel=1e-6)


def priors(written):
    """Return a model of the package, and the chapter's mixture with the numbers of its prior."""
    torch.manual_seed(0)
    model = MixtureVAE(7)
    with torch.no_grad():
        for p in model.prior.parameters():
            p.normal_()
    prior = written["Mixture"](7)
    prior.load_state_dict(model.prior.state_dict())
    return model, prior


def test_mixture(written, xy):
    (model, prior), y = priors(written), xy[1]
    z = torch.randn(20, 10)
    torch.testing.assert_close(prior.log_prob(z, y), model.prior.log_prob(z, y))
    torch.manual_seed(2)
    own = prior.sample(y)
    torch.manual_seed(2)
    torch.testing.assert_close(own, model.prior.sample(y))


def test_loss_with_prior(written, xy):
    model, prior = priors(written)
    torch.manual_seed(3)
    one = written["loss_with_prior"](model.encode, model.decode, prior, *xy)
    torch.manual_seed(3)
    other = losses.prior_negative_elbo(model, *xy)["loss"]
    assert one.item() == pytest.approx(other.item(), rel=1e-6)


@pytest.mark.parametrize(("name", "most"), [("Conditional", 25), ("Mixture", 25), ("loss_fn", 10),
                                            ("loss_with_prior", 10)])  # fmt: skip
def test_lengths(name, most):
    cells = code_cells(nbformat.read(NOTEBOOK, as_version=4))
    parts = [part for cell in cells for part in cell.source.split("\n\n\n")]
    part = next(p for p in parts if p.startswith((f"class {name}(", f"def {name}(")))
    assert len(part.splitlines()) <= most
