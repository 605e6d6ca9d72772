"""Priors p(z|y), and the conditional VAEs that hold one: against torch.distributions."""

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from course_utils.errors import CourseError
from course_utils.models import ConditionalVAE, ConvMixtureVAE, MixtureVAE
from course_utils.models.learned_prior import MixturePrior, StandardPrior, Told


def lively_prior(n_parts=3):
    """Return a prior of four classes over codes of five numbers whose parts all differ."""
    torch.manual_seed(1)
    prior = MixturePrior(4, n_parts, 5)
    with torch.no_grad():
        for p in prior.parameters():
            p.normal_()
    return prior


def of_class(prior, label) -> MixtureSameFamily:
    """Return torch's own mixture for one class."""
    parts = Normal(prior.mean[label], (prior.logvar[label] / 2).exp())
    return MixtureSameFamily(Categorical(logits=prior.logits[label]), Independent(parts, 1))


@pytest.fixture
def zy():
    """Return codes (40, 5) and labels (40,) of four classes."""
    torch.manual_seed(2)
    return 2 * torch.randn(40, 5), torch.arange(40) % 4


# ------------------------------------------------------------------------------------------ priors


@pytest.mark.parametrize("n_parts", [1, 3])
def test_density_is_that_of_torch_distributions(zy, n_parts):
    prior, (z, y) = lively_prior(n_parts), zy
    expected = torch.stack([of_class(prior, k).log_prob(v) for v, k in zip(*zy, strict=True)])
    torch.testing.assert_close(prior.log_prob(z, y), expected)


def test_gradients_are_those_of_torch_distributions(zy):
    prior, (z, y) = lively_prior(), zy
    ours = torch.autograd.grad(prior.log_prob(z, y).sum(), list(prior.parameters()))
    expected = sum(of_class(prior, k).log_prob(z[y == k]).sum() for k in range(4))
    theirs = torch.autograd.grad(expected, list(prior.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_samples_have_the_moments_of_their_class():
    prior = lively_prior()
    y = torch.arange(4).repeat_interleave(20_000)
    z = prior.sample(y, torch.Generator().manual_seed(0)).view(4, 20_000, 5)
    for label in range(4):
        mixture = of_class(prior, label)
        error = mixture.variance.sqrt() / 20_000**0.5
        assert ((z[label].mean(0) - mixture.mean).abs() < 5 * error).all()
        torch.testing.assert_close(z[label].var(0), mixture.variance, rtol=0.1, atol=0.02)


def test_a_generator_decides_the_draw_and_the_global_state_is_left(zy):
    prior, y = lively_prior(), zy[1]
    before = torch.get_rng_state()
    first, again = (prior.sample(y, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again) and torch.equal(before, torch.get_rng_state())


def test_the_standard_prior(zy):
    z, y = zy
    prior = StandardPrior(4, 5)
    torch.testing.assert_close(prior.log_prob(z, y), Normal(0.0, 1.0).log_prob(z).sum(1))
    generator, same = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    assert torch.equal(prior.sample(y, generator), torch.randn(40, 5, generator=same))


def test_a_mixture_needs_a_part():
    with pytest.raises(CourseError, match="one part at least"):
        MixturePrior(4, -1, 5)


@pytest.mark.parametrize("prior", [lively_prior(), StandardPrior(4, 5)])
@pytest.mark.parametrize("y", [torch.tensor([0, 4]), torch.tensor([0.0]), torch.tensor([[1]])])
def test_labels_that_a_prior_does_not_know(prior, y):
    with pytest.raises(CourseError, match="labels"):
        prior.sample(y)


# ------------------------------------------------------------------------------------------ models


MODELS = [
    lambda: MixtureVAE(3, (30, 20), 5, n_classes=4),
    lambda: MixtureVAE(0, (30, 20), 5, n_classes=4),
    lambda: ConvMixtureVAE(3, 5, n_classes=4, widths=(4, 6, 20)),
    lambda: ConvMixtureVAE(0, 5, n_classes=4, widths=(4, 6, 20)),
]


@pytest.fixture(params=MODELS)
def model(request):
    """Return a small conditional VAE of four classes with lively weights, in eval mode."""
    torch.manual_seed(0)
    built = request.param()
    with torch.no_grad():
        for p in built.parameters():
            p.mul_(3)
    return built.eval()


@pytest.fixture
def xy():
    """Return 8 images and labels of four classes."""
    x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(8) % 4


def test_shapes(model, xy):
    x, y = xy
    logits, mu, logvar = model(x, y)
    assert logits.shape == x.shape == model.reconstruct(x, y).shape
    assert mu.shape == logvar.shape == (8, 5) and model.log_prior(mu, y).shape == (8,)
    assert logits.min() < 0 < logits.max() and mu.min() < 0 < mu.max()


@torch.no_grad()
def test_samples_are_decoded_codes_of_the_prior(model, xy):
    y = xy[1]
    images = model.sample(y, torch.Generator().manual_seed(0))
    z = model.prior.sample(y, torch.Generator().manual_seed(0))
    torch.testing.assert_close(images, torch.sigmoid(model.decode(z, y)))
    other = model.sample((y + 1) % 4, torch.Generator().manual_seed(0))
    assert ((images - other).abs().amax((1, 2, 3)) > 1e-4).all()


@torch.no_grad()
def test_every_image_gets_its_own_label_and_only_that(model, xy):
    x, y = xy
    other = y.clone()
    other[2] = (other[2] + 1) % 4
    for one, two in zip((*model.encode(x, y), model.decode(model.encode(x, y)[0], y)),
                        (*model.encode(x, other), model.decode(model.encode(x, y)[0], other)),
                        strict=True):  # fmt: skip
        changed = (one - two).abs().flatten(1).amax(1) > 1e-5
        assert changed.tolist() == [i == 2 for i in range(8)]


def test_the_dense_one_has_the_networks_of_the_conditional_vae(xy):
    """With the same weights, encoder and decoder give the same numbers: only the prior is new."""
    ours, theirs = MixtureVAE(3), ConditionalVAE(condition="both")
    found = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert not found.missing_keys and all(k.startswith("prior.") for k in found.unexpected_keys)
    for one, other in zip(ours.encode(*xy), theirs.encode(*xy), strict=True):
        torch.testing.assert_close(one, other)
    z = torch.randn(8, 10)
    torch.testing.assert_close(ours.decode(z, xy[1]), theirs.decode(z, xy[1]))


@torch.no_grad()
def test_the_convolutional_one_written_out(xy):
    """Every layer, and the bias of each class behind it, from the weights."""
    x, y = xy
    model = ConvMixtureVAE(0, 5, n_classes=4, widths=(4, 6, 20))
    (c1, c2, (_, f1), f2), b = model.encoder.layers, [e.weight for e in model.encoder.biases]
    h = F.conv2d(x, c1.weight, c1.bias, 2, 1) + b[0][y][:, :, None, None]
    h = F.conv2d(h.relu(), c2.weight, c2.bias, 2, 1) + b[1][y][:, :, None, None]
    h = h.relu().flatten(1) @ f1.weight.T + f1.bias + b[2][y]
    h = h.relu() @ f2.weight.T + f2.bias + b[3][y]
    torch.testing.assert_close(torch.cat(model.encode(x, y), 1), h)
    (f1, f2, (_, c1), c2), b = model.decoder.layers, [e.weight for e in model.decoder.biases]
    z = torch.randn(8, 5)
    h = (z @ f1.weight.T + f1.bias + b[0][y]).relu()
    h = (h @ f2.weight.T + f2.bias + b[1][y]).relu().view(8, 6, 7, 7)
    h = F.conv_transpose2d(h, c1.weight, c1.bias, 2, 1) + b[2][y][:, :, None, None]
    h = F.conv_transpose2d(h.relu(), c2.weight, c2.bias, 2, 1) + b[3][y][:, :, None, None]
    torch.testing.assert_close(model.decode(z, y), h)


def test_a_label_is_what_a_one_hot_input_would_be():
    """A layer with a bias for each class equals one that reads the one-hot label beside."""
    torch.manual_seed(0)
    told = Told((torch.nn.Linear(5, 7), 7), n_classes=4)
    h, y = torch.randn(8, 5), torch.arange(8) % 4
    weight = torch.cat([told.layers[0].weight, told.biases[0].weight.T], 1)
    expected = torch.cat([h, F.one_hot(y, 4).float()], 1) @ weight.T + told.layers[0].bias
    torch.testing.assert_close(told(h, y), expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, y: m.encode(x), "told labels"),
        (lambda m, x, y: m.encode((255 * x).byte(), y), "floats"),
        (lambda m, x, y: m.encode(x, y + 1), "labels run from 1 to 4"),
        (lambda m, x, y: m.decode(torch.zeros(8, 4), y), r"\(B, 5\)"),
        (lambda m, x, y: m.log_prior(torch.zeros(8, 4), y), r"\(B, 5\)"),
        (lambda m, x, y: m.log_prior(torch.zeros(8, 5), y[:3]), "3 labels for 8 rows"),
        (lambda m, x, y: m.log_prior(torch.zeros(8, 5), y + 1), "labels run from 1 to 4"),
        (lambda m, x, y: m.sample(y + 1), "labels run from 1 to 4"),
        (lambda m, x, y: m.sample(y.float()), "labels are torch.float32"),
    ],
)
def test_bad_input_is_refused(model, xy, call, message):
    with pytest.raises(CourseError, match=message):
        call(model, *xy)
