"""What chapter 05 writes out by hand computes what the package computes."""

import math

import by_hand
import pytest
import torch

from course_utils import losses
from course_utils.models import ConditionalVAE, MixtureVAE

pytestmark = pytest.mark.notebook
NOTEBOOK = "05_conditional_autoencoder"


@pytest.fixture(scope="module")
def written():
    """Return what the chapter defines by hand, by name."""
    return by_hand.written(
        NOTEBOOK, "Conditional", "loss_fn", "Mixture", "log_normal", "loss_with_prior"
    )


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


def test_drawn_pixels_are_black_or_white_with_the_probability_of_their_grey():
    speckled = by_hand.written(NOTEBOOK, "speckled")["speckled"]
    mean = torch.linspace(0, 1, 5).repeat(20_000, 1)
    drawn = speckled(mean)
    assert drawn.unique().tolist() == [0.0, 1.0]
    torch.testing.assert_close(drawn.mean(0), mean[0], atol=0.02, rtol=0)
    assert torch.equal(drawn, speckled(mean))  # the same draw in each run


@pytest.mark.parametrize(("name", "most"), [("Conditional", 25), ("Mixture", 25), ("loss_fn", 10),
                                            ("loss_with_prior", 10)])  # fmt: skip
def test_lengths(name, most):
    assert by_hand.length(by_hand.definitions(NOTEBOOK)[name]) <= most
