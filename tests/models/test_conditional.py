"""Conditional autoencoders: where the label goes."""

import pytest
import torch
from small_models import enlarged

from course_utils.models import VAE, ConditionalAutoencoder, ConditionalVAE
from course_utils.models.conditional import one_hot
from course_utils.runtime import CourseError


@pytest.fixture
def x(few):
    """Return 6 images in [0, 1]."""
    return few.x[:6] / 255


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
    with pytest.raises(CourseError, match=message):
        model.sample(y)


def test_who_is_told_labels_is_no_vae():
    """Chapter 05 asks `isinstance(model, VAE)` for the one that nobody is told anything."""
    assert not isinstance(ConditionalVAE(), VAE)
    assert ConditionalVAE.conditional and not VAE.conditional
