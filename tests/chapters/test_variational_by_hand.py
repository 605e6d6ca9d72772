"""What chapter 04 writes out by hand computes what the package computes."""

import math

import by_hand
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from course_utils import losses
from course_utils.data.dataset import Split
from course_utils.models import VAE

pytestmark = pytest.mark.notebook
NOTEBOOK = "04_variational_autoencoder"


@pytest.fixture(scope="module")
def written():
    """Return what the chapter writes out, by name."""
    return by_hand.written(
        NOTEBOOK, "Net", "negative_elbo", "train_step", "grid", "step", "PRIOR", "true_posterior",
        "bound_and_gap", "Autoregressive", "learn_before", "drawn_in_order",
    )  # fmt: skip


@pytest.fixture
def x():
    """Return nine images of noise."""
    return torch.rand(9, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def pair(written):
    """Return the notebook's network and the package's, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = written["Net"](), VAE()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_the_network_is_the_packages(pair, x):
    found = []
    for model in pair:
        torch.manual_seed(1)
        found.append(model(x))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    assert found[0][0].shape == x.shape and found[0][1].shape == (9, 20)


def test_the_loss_and_its_gradients_are_the_packages(written, pair, x):
    ours, theirs = pair
    torch.manual_seed(2)
    nll, kl = written["negative_elbo"](ours, x)
    torch.manual_seed(2)
    terms = losses.negative_elbo(theirs, x)
    torch.testing.assert_close(nll, terms["nll"])
    torch.testing.assert_close(kl, terms["kl"])
    (nll + kl).backward()
    terms["loss"].backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_a_step_is_a_step_of_the_package(written, pair, x, beta):
    ours, theirs = pair
    torch.manual_seed(3)
    written["train_step"](ours, x, torch.optim.Adam(ours.parameters(), lr=1e-3), beta)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    torch.manual_seed(3)
    losses.negative_elbo(theirs, x, beta=beta)["loss"].backward()
    optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)


@pytest.mark.parametrize(("name", "most"), [("Net", 25), ("negative_elbo", 10), ("train_step", 12)])
def test_the_model_and_the_loss_are_as_short_as_they_should_be(name, most):
    assert by_hand.length(by_hand.definitions(NOTEBOOK)[name]) <= most


def test_the_integrals_are_those_of_an_adaptive_rule(written):
    """log p(x), the bound and the divergence of the model with one latent variable, by scipy."""
    x, mean, sd = 1.5, 0.9, 0.3
    p, _ = quad(lambda z: norm.pdf(z) * norm.pdf(x, z * z, 0.3), -8, 8, points=[-1.2, 1.2])
    log_px, _ = written["true_posterior"](x)
    assert float(log_px) == pytest.approx(math.log(p), abs=1e-6)

    def weighed(z):
        return norm.logpdf(z) + norm.logpdf(x, z * z, 0.3) - norm.logpdf(z, mean, sd)

    expected, _ = quad(lambda z: norm.pdf(z, mean, sd) * weighed(z), mean - 8 * sd, mean + 8 * sd)
    found = [torch.tensor([v], dtype=torch.float64) for v in (mean, sd)]
    elbo, gap = written["bound_and_gap"](x, *found)
    assert float(elbo) == pytest.approx(expected, abs=1e-6)
    assert float(gap) == pytest.approx(math.log(p) - expected, abs=1e-6)


# ------------------------------------------------------------- a decoder that sees earlier pixels


@pytest.fixture
def told(written):
    """Return a network whose pixels depend strongly on those before them."""
    torch.manual_seed(4)
    model = written["Autoregressive"]()
    torch.nn.init.normal_(model.before.weight)
    return model


def test_a_pixel_is_told_the_pixels_before_it_and_no_others(told, x):
    one = x[:1].round()
    before = torch.func.jacrev(told.from_before)(one).reshape(784, 784)  # of logit i by pixel j
    lower = torch.ones(784, 784).tril(-1).bool()
    assert (before[~lower] == 0).all() and (before[lower] != 0).all()


def test_the_first_nine_pixels_have_probabilities_that_add_up_to_one(told):
    """Summed over all 512 images of nine pixels: with a pixel that saw itself it would not be."""
    count = torch.arange(512)
    x = torch.zeros(512, 784)
    x[:, :9] = (count[:, None] >> torch.arange(9)) & 1
    with torch.no_grad():
        of_code = told.decode(torch.randn(1, 20, generator=torch.Generator().manual_seed(5)))
        logits = (of_code + told.from_before(x.view(-1, 1, 28, 28))).flatten(1)[:, :9]
    log_p = torch.distributions.Bernoulli(logits=logits).log_prob(x[:, :9]).sum(1)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-5)


def test_what_earlier_pixels_say_is_added_to_what_the_code_says(written, told, x):
    torch.manual_seed(6)
    logits, mu, logvar = told(x)
    torch.manual_seed(6)
    of_code, *posterior = super(written["Autoregressive"], told).forward(x)
    seen = torch.stack([
        told.before.bias + told.before.weight.tril(-1) @ image.flatten() for image in x
    ])  # fmt: skip
    torch.testing.assert_close(logits, of_code + seen.view_as(x), rtol=1e-4, atol=1e-4)
    assert torch.equal(mu, posterior[0]) and torch.equal(logvar, posterior[1])


def test_a_network_takes_over_what_another_learnt_from_earlier_pixels(written, told):
    other = written["Autoregressive"](told.before)
    assert torch.equal(other.before.weight, told.before.weight)
    assert other.before.weight is not told.before.weight  # each trains its own


def test_learning_from_earlier_pixels_leaves_encoder_and_decoder_alone(written):
    torch.manual_seed(7)
    model = written["Autoregressive"]()
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    stripes = torch.zeros(256, 1, 28, 28, dtype=torch.uint8)
    stripes[:, :, :, ::2] = 255  # the pixel before says it all
    written["learn_before"](model, Split(stripes, torch.zeros(256).long()))
    changed = {n for n, value in model.state_dict().items() if not torch.equal(value, kept[n])}
    assert changed == {"before.weight", "before.bias"}


def test_images_are_drawn_in_order_as_the_network_says(written, told):
    """With huge logits nothing is left to chance: each pixel is what the ones before it say."""
    with torch.no_grad():
        told.before.weight *= 1e4
        told.before.bias *= 1e4
        z = torch.randn(3, 20)
        drawn = written["drawn_in_order"](told, z)
        expected = (told.decode(z) + told.from_before(drawn) > 0).float()
    assert torch.equal(drawn, expected)
    assert 0.2 < drawn.mean() < 0.8
