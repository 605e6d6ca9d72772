"""Variational and conditional autoencoders: sizes, what is drawn, and where the label goes."""

import math

import pytest
import torch
from torch import nn

from course_utils import claims, losses, recipes
from course_utils.models import VAE, ConditionalAutoencoder, ConditionalVAE, ConvVAE
from course_utils.models.conditional import one_hot
from course_utils.models.vae import sample_gaussian
from course_utils.train import parameter_count

VARIATIONAL = [lambda: VAE((30, 20), 5), ConvVAE, lambda: VAE(code_dim=2, activation="gelu")]


def enlarged(model, factor=3.0):
    """Return the model with weights large enough for outputs to differ, in eval mode."""
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(factor)
    return model.eval()


@pytest.fixture
def x(few):
    """Return 6 images in [0, 1]."""
    return few.x[:6] / 255


# ------------------------------------------------------------------------------------------- sizes


def test_the_default_is_the_network_of_source_004():
    model = VAE()
    by_hand = 784 * 400 + 400 + 2 * (400 * 20 + 20) + 20 * 400 + 400 + 400 * 784 + 784
    assert parameter_count(model) == 652_824 == by_hand


def test_the_convolutional_one_is_the_network_of_source_002():
    model = ConvVAE()
    assert parameter_count(model) == 3_418_665
    shapes = [
        (type(m).__name__, m.in_channels, m.out_channels, m.stride[0], m.kernel_size[0])
        for m in model.modules()
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    assert shapes == [
        ("Conv2d", 1, 32, 1, 3), ("Conv2d", 32, 64, 2, 3), ("Conv2d", 64, 128, 2, 3),
        ("ConvTranspose2d", 128, 64, 2, 3), ("ConvTranspose2d", 64, 32, 2, 3),
        ("ConvTranspose2d", 32, 1, 1, 3),
    ]  # fmt: skip


@pytest.mark.parametrize("build", VARIATIONAL)
def test_shapes(build, x):
    model = build()
    logits, mu, logvar = model(x)
    assert logits.shape == x.shape == model.reconstruct(x).shape
    assert mu.shape == logvar.shape == (6, model.code_dim)
    assert model.sample(4).shape == (4, 1, 28, 28)
    assert model.decode(mu).shape == x.shape


def test_other_image_shapes():
    model = VAE((10,), 3, image_shape=(3, 8, 6))
    assert model(torch.rand(2, 3, 8, 6))[0].shape == model.sample(2).shape == (2, 3, 8, 6)


def test_the_variance_is_a_parameter_only_where_asked():
    assert parameter_count(VAE(learn_variance=True)) == parameter_count(VAE()) + 1
    start = VAE(learn_variance=True).log_variance.exp().item() * 784
    assert start == pytest.approx(52.7, rel=0.01)  # MNIST around its mean image
    assert VAE().log_variance is None


def test_against_the_same_network_written_out(x):
    torch.manual_seed(0)
    model = enlarged(VAE((30,), 5))
    a, b, c, d = (m for m in model.modules() if isinstance(m, nn.Linear))
    h = (x.reshape(6, 784) @ a.weight.T + a.bias).clamp(min=0) @ b.weight.T + b.bias
    mu, logvar = model.encode(x)
    torch.testing.assert_close(torch.cat([mu, logvar], 1), h)
    recon = (mu @ c.weight.T + c.bias).clamp(min=0) @ d.weight.T + d.bias
    torch.testing.assert_close(model.decode(mu), recon.reshape(6, 1, 28, 28))
    torch.testing.assert_close(model.reconstruct(x), 1 / (1 + (-recon.reshape(6, 1, 28, 28)).exp()))


@torch.no_grad()
@pytest.mark.parametrize("build", VARIATIONAL)
def test_codes_and_logits_take_both_signs(build, x):
    """Neither has an activation: half the images would be lost, or pixels squashed twice."""
    torch.manual_seed(0)
    model = enlarged(build())
    outputs = (*model.encode(x), model.decode(10 * torch.randn(6, model.code_dim)))
    assert all(out.min() < 0 < out.max() for out in outputs)


@pytest.mark.parametrize("recipe", ["vae_2d", "cvae_decoder", "cvae_slant", "vae", "cvae_code"])
def test_decoders_for_the_page_are_small(recipe):
    """At most 1 MB in two bytes a weight."""
    weights = recipes.get(recipe).build().decoder.half().state_dict().values()
    assert 0 < sum(w.nbytes for w in weights) <= 1_000_000


# ---------------------------------------------------------------------------------- what is drawn


def test_draws_have_the_mean_and_variance_asked_for():
    mu, logvar = torch.tensor([0.0, -2.0, 3.0]), torch.tensor([0.0, 2.0, -3.0])
    torch.manual_seed(0)
    z = sample_gaussian(mu.expand(200_000, 3), logvar.expand(200_000, 3))
    torch.testing.assert_close(z.mean(0), mu, atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), logvar.exp(), rtol=0.02, atol=0)
    assert torch.corrcoef(z.T).fill_diagonal_(0).abs().max() < 0.01


def test_gradients_flow_through_the_draw():
    """dz/dmu = 1 and dz/dlogvar = (z - mu) / 2."""
    mu, logvar = torch.randn(2, 4, 3).double().requires_grad_().unbind(0)
    z = sample_gaussian(mu, logvar)
    to_mu, to_logvar = torch.autograd.grad(z.sum(), (mu, logvar))
    torch.testing.assert_close(to_mu, torch.ones_like(mu))
    torch.testing.assert_close(to_logvar, (z - mu) / 2)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("build", VARIATIONAL)
def test_forward_draws_in_every_mode(build, training, x):
    """The evidence lower bound is a mean over codes: eval mode must not replace it by one point."""
    model = build().train(training)
    with torch.no_grad():
        (first, mu, _), (second, again, _) = model(x), model(x)
    assert torch.equal(mu, again) and not torch.equal(first, second)


@pytest.mark.parametrize("build", VARIATIONAL)
def test_reconstruct_draws_nothing(build, x):
    model = build().eval()
    before = torch.get_rng_state()
    with torch.no_grad():
        recon = model.reconstruct(x)
        expected = model.decode(model.encode(x)[0]).sigmoid()
    assert torch.equal(recon, expected) and torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("build", VARIATIONAL)
def test_samples_are_decoded_draws_of_the_prior(build):
    torch.manual_seed(0)
    model, codes = build().eval(), []
    decode, model.decode = model.decode, lambda z: (codes.append(z), decode(z))[1]
    images = model.sample(400, torch.Generator().manual_seed(3))
    assert images.min() >= 0 and images.max() <= 1 and not images.requires_grad
    z = codes[0]  # 800 numbers or more: bounds of four standard errors
    assert abs(z.mean()) < 0.15 and abs(z.std() - 1) < 0.1 and z.abs().max() > 2
    torch.testing.assert_close(images[:9], decode(z[:9]).sigmoid())
    assert torch.equal(model.sample(3, torch.Generator().manual_seed(3)),
                       model.sample(3, torch.Generator().manual_seed(3)))  # fmt: skip
    assert not torch.equal(model.sample(3), model.sample(3))


@pytest.mark.parametrize("build", [*VARIATIONAL, ConditionalVAE])
def test_codes_are_float32_under_bf16(build, x, few):
    y = (few.y[:6],) if build is ConditionalVAE else ()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, mu, logvar = build()(x, *y)
    assert mu.dtype == logvar.dtype == torch.float32 and logits.dtype == torch.bfloat16


# ----------------------------------------------------------------------------- where the label goes


def inputs(network) -> list[int]:
    """Return how many numbers each layer of a `LabelledMLP` reads."""
    return [layer.in_features for layer in network.layers]


@pytest.mark.parametrize("kind", [ConditionalAutoencoder, ConditionalVAE])
@pytest.mark.parametrize(
    ("condition", "encoder", "decoder"),
    [
        ("code", [784, 30, 20], [5 + 4, 20, 30]),
        ("decoder", [784, 30, 20], [5 + 4, 20 + 4, 30 + 4]),
        ("both", [784 + 4, 30 + 4, 20 + 4], [5 + 4, 20 + 4, 30 + 4]),
    ],
)
def test_layers_that_read_the_label(kind, condition, encoder, decoder):
    model = kind((30, 20), 5, n_classes=4, condition=condition)
    assert inputs(model.encoder) == encoder and inputs(model.decoder) == decoder


CONDITIONAL = [
    (kind, condition)
    for kind in (ConditionalAutoencoder, ConditionalVAE)
    for condition in ("code", "decoder", "both")
]


@pytest.fixture(params=CONDITIONAL, ids=lambda p: f"{p[0].__name__}-{p[1]}")
def conditional(request):
    """Return a conditional model for four classes, and its condition."""
    kind, condition = request.param
    torch.manual_seed(0)
    return enlarged(kind((30, 20), 5, n_classes=4, condition=condition)), condition


def mean_code(model, x, y):
    """Return the code of x, or its mean."""
    found = model.encode(x, y)
    return found[0] if isinstance(found, tuple) else found


def silence(network, layers):
    """Zero the weights by which the named layers of a `LabelledMLP` read the label."""
    with torch.no_grad():
        for i in layers:
            network.layers[i].weight[:, -4:] = 0


@torch.no_grad()
def test_each_layer_that_is_fed_the_label_uses_it(conditional):
    """With the other layers deaf, another label still gives another image; with all deaf, none."""
    model, condition = conditional
    z, y = torch.randn(6, 5), torch.arange(6) % 4
    fed = [0] if condition == "code" else [0, 1, 2]
    kept = {name: t.clone() for name, t in model.state_dict().items()}
    for layer in fed:
        model.load_state_dict(kept)
        silence(model.decoder, [i for i in fed if i != layer])
        changed = (model.decode(z, y) - model.decode(z, (y + 1) % 4)).abs().amax(dim=(1, 2, 3))
        assert (changed > 1e-3).all(), layer
    model.load_state_dict(kept)
    silence(model.decoder, fed)
    assert torch.equal(model.decode(z, y), model.decode(z, (y + 1) % 4))


@torch.no_grad()
def test_the_encoder_hears_the_label_under_both_only(conditional, x):
    """Otherwise the code would be another for another label, behind the reader's back."""
    model, condition = conditional
    y = torch.arange(6) % 4
    same = torch.equal(mean_code(model, x, y), mean_code(model, x, (y + 1) % 4))
    assert same == (condition != "both")
    if condition == "both":
        for layer in range(3):
            other = ConditionalVAE((30, 20), 5, n_classes=4, condition="both")
            silence(other.encoder, [i for i in range(3) if i != layer])
            first, second = (mean_code(other, x, labels) for labels in (y, (y + 1) % 4))
            assert ((first - second).abs().amax(1) > 1e-5).all(), layer


@torch.no_grad()
def test_the_conditional_networks_written_out(conditional, x):
    """Codes and logits have no activation; hidden layers have one, and read what they are fed."""
    model, condition = conditional
    y = torch.arange(6) % 4
    label = torch.eye(4)[y]

    def written_out(network, h, fed):
        for i, layer in enumerate(network.layers):
            h = torch.cat([h, label], 1) if i in fed else h
            h = h @ layer.weight.T + layer.bias
            h = h.clamp(min=0) if i < 2 else h
        return h

    z = written_out(model.encoder, x.reshape(6, 784), (0, 1, 2) if condition == "both" else ())
    found = model.encode(x, y)
    torch.testing.assert_close(torch.cat(found, 1) if isinstance(found, tuple) else found, z)
    codes = torch.randn(6, 5)
    logits = written_out(model.decoder, codes, (0,) if condition == "code" else (0, 1, 2))
    torch.testing.assert_close(model.decode(codes, y), logits.reshape(6, 1, 28, 28))
    assert z.min() < 0 and logits.min() < 0


@torch.no_grad()
def test_every_image_gets_its_own_label_and_only_that(conditional):
    model, _ = conditional
    z, y = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 0, 1])
    whole = model.decode(z, y)
    alone = torch.cat([model.decode(z[i : i + 1], y[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(whole, alone)
    other = y.clone()
    other[2] = 0
    changed = (model.decode(z, other) - whole).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert changed.tolist() == [False, False, True, False, False, False]


@torch.no_grad()
def test_conditional_forward_and_reconstruct(conditional, x):
    model, _ = conditional
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    out = model(x, y)
    assert out[0].shape == x.shape == model.reconstruct(x, y).shape
    z = mean_code(model, x, y)
    assert torch.equal(model.reconstruct(x, y), model.decode(z, y).sigmoid())
    assert not torch.equal(model.reconstruct(x, y), model.reconstruct(x, 3 - y))
    if isinstance(model, ConditionalVAE):
        assert len(out) == 3 and not torch.equal(out[0], model(x, y)[0])  # draws, in eval mode
    else:
        assert torch.equal(out[0], model.decode(z, y)) and torch.equal(out[1], z)


@torch.no_grad()
def test_conditional_samples(x):
    torch.manual_seed(0)
    model = enlarged(ConditionalVAE((30, 20), 5, n_classes=4))
    y = torch.arange(4).repeat(500)
    images = model.sample(y, torch.Generator().manual_seed(0))
    assert images.shape == (2000, 1, 28, 28) and images.min() >= 0 and images.max() <= 1
    assert torch.equal(images, model.sample(y, torch.Generator().manual_seed(0)))
    z = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(images, model.decode(z, y).sigmoid())


def test_one_hot_is_a_row_of_the_identity():
    y = torch.tensor([3, 0, 2], dtype=torch.uint8)
    assert torch.equal(one_hot(y, 4), torch.eye(4)[[3, 0, 2]])
    assert one_hot(y, 4).dtype == torch.float32


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.tensor([0, 4]), "labels run from 0 to 4; this model knows 0 to 3"),
        (torch.tensor([-1, 2]), "labels run from -1 to 2"),
        (torch.tensor([[0, 1]]), "must be int64"),
        (torch.tensor([0.0, 1.0]), "labels are torch.float32"),
        (torch.tensor([True, False]), "labels are torch.bool"),
    ],
)
def test_bad_labels_are_refused(y, message):
    model = ConditionalVAE((8,), 2, n_classes=4)
    with pytest.raises(ValueError, match=message):
        model.sample(y)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: VAE(activation="relux"), "relux.*choose one of relu"),
        (lambda: ConditionalVAE(condition="all"), "all.*choose one of code, decoder, both"),
        (lambda: ConditionalAutoencoder(activation="x"), "x.*choose one of relu"),
    ],
)
def test_unknown_names_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


# ------------------------------------------------------------------------------------- quick runs


@pytest.mark.parametrize("name", ["vae", "conv_vae", "iwae_binary", "cvae_both"])
def test_quick_runs_learn(name, runs):
    """A quick run is kept, loads again, and beats what an untrained network scores."""
    made = recipes.run(name, profile="quick", progress=False)
    assert made.metrics["test_loss"] < 0.6 * 784 * math.log(2)  # every pixel undecided
    assert all(math.isfinite(value) for value in made.metrics.values())
    assert made.metrics == recipes.run(name, profile="quick").metrics


def test_an_untrained_network_misses_the_bound_of_the_chapter(digits):
    """So the claim that is judged in every profile can fail."""
    claim = claims.load()["vae.learns"]
    x, y = digits.test.x[:200] / 255, digits.test.y[:200]
    average = (digits.train.x.float().mean(0) / 255).clamp(1e-6, 1 - 1e-6)
    ignorant = losses.bernoulli_nll(average.logit().expand_as(x), x)
    torch.manual_seed(0)
    untrained = losses.negative_elbo(VAE(), x, y)["loss"].detach()
    assert claim.judged == "always" and not claim.met(float(untrained / ignorant))
