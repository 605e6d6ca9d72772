"""The convolutional conditional VAE: what a told layer is, shapes, and who is told."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import codes, losses
from course_utils.errors import CourseError
from course_utils.models.conditional import one_hot
from course_utils.models.face_cvae import ConditionalFaceVAE, Told

Y = torch.tensor([0, 3, 1, 2, 3])


def lively(model):
    """Return the model with biases of classes that differ, in eval mode."""
    torch.manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight)
    return model.eval()


@pytest.fixture
def model():
    """Return a narrow network that is told one of four labels."""
    torch.manual_seed(0)
    return lively(ConditionalFaceVAE(code_dim=5, width=4))


@pytest.fixture
def x():
    """Return 5 faces in [0, 1]."""
    return torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(2))


def test_a_told_layer_is_a_layer_that_reads_the_one_hot_label():
    torch.manual_seed(0)
    told = lively(Told(nn.Linear(6, 7), 7, 4))
    h = torch.randn(5, 6)
    weight = torch.cat([told.layer.weight, told.bias.weight.T], dim=1)  # (7, 6 + 4)
    joined = F.linear(torch.cat([h, one_hot(Y, 4)], dim=1), weight, told.layer.bias)
    torch.testing.assert_close(told(h, Y), joined)


def test_a_told_convolution_is_one_of_planes_up_to_the_border():
    torch.manual_seed(0)
    told = lively(Told(nn.Conv2d(2, 3, 3, padding=1), 3, 4))
    x = torch.randn(5, 2, 8, 8)
    planes = one_hot(Y, 4)[:, :, None, None].expand(-1, -1, 8, 8)
    of_planes = torch.zeros(3, 4, 3, 3)
    of_planes[:, :, 1, 1] = told.bias.weight.T
    spread = told.bias.weight.T[:, :, None, None].expand(-1, -1, 3, 3) / 9
    for weight, inside in ((of_planes, slice(None)), (spread, slice(1, -1))):
        both = torch.cat([told.layer.weight, weight], dim=1)
        joined = F.conv2d(torch.cat([x, planes], dim=1), both, told.layer.bias, padding=1)
        difference = (told(x, Y) - joined).abs()
        assert difference[..., inside, inside].max() < 1e-5
    assert difference.max() > 0.1  # at the border planes end


def test_shapes_and_that_a_label_changes_what_comes_out(model, x):
    mu, logvar = model.encode(x, Y)
    assert mu.shape == logvar.shape == (5, 5)
    logits, _, _ = model(x, Y)
    assert logits.shape == x.shape and model.conditional
    assert not torch.allclose(model.encode(x, (Y + 1) % 4)[0], mu)
    z = torch.randn(5, 5)
    faces = codes.as_every_class(model, z)
    assert faces.shape == (5, 4, 3, 64, 64) and faces.min() >= 0 and faces.max() <= 1
    assert all(not torch.allclose(faces[:, 0], faces[:, i]) for i in (1, 2, 3))
    torch.testing.assert_close(faces[torch.arange(5), Y], codes.decoded(model, z, Y))


def test_at_first_all_labels_are_alike(x):
    torch.manual_seed(0)
    model = ConditionalFaceVAE(code_dim=5, width=4).eval()
    assert model.encode(x, Y)[0].equal(model.encode(x, 0 * Y)[0])


def test_one_that_is_told_nothing_takes_no_label(x):
    model = ConditionalFaceVAE(n_classes=0, code_dim=5, width=4).eval()
    assert not model.conditional and model.encode(x)[0].shape == (5, 5)
    assert not any(isinstance(layer, nn.Embedding) for layer in model.modules())
    loss = losses.conditional_negative_elbo(model, x, Y, likelihood="gaussian")["loss"]
    assert loss.isfinite()
    with pytest.raises(CourseError, match="cannot be told labels"):
        model.encode(x, Y)


def test_wrong_labels_are_refused(model, x):
    with pytest.raises(CourseError, match="has to be told labels"):
        model.encode(x)
    with pytest.raises(CourseError, match="labels run from 0 to 4; this model knows 0 to 3"):
        model.decode(torch.randn(5, 5), torch.arange(5))
    with pytest.raises(CourseError, match="4 labels for 5 rows"):
        model.encode(x, Y[:4])


def test_samples_are_what_their_label_and_code_give(model):
    generator = torch.Generator().manual_seed(4)
    samples = model.sample(Y, generator)
    z = torch.randn(5, 5, generator=torch.Generator().manual_seed(4))
    assert samples.equal(codes.decoded(model, z, Y))


def test_the_loss_is_that_of_torch_distributions(model, x):
    from torch.distributions import Normal, kl_divergence

    torch.manual_seed(7)
    loss = losses.conditional_negative_elbo(model, x, Y, likelihood="gaussian")["loss"]
    torch.manual_seed(7)
    mu, logvar = model.encode(x, Y)
    q = Normal(mu, (logvar / 2).exp())
    recon = model.decode(q.mean + q.stddev * torch.randn_like(mu), Y).sigmoid()
    pixels = Normal(recon, (model.log_variance / 2).exp())
    kl = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    by_hand = (kl - pixels.log_prob(x).sum((1, 2, 3))).mean()
    torch.testing.assert_close(loss, by_hand, rtol=1e-5, atol=1e-2)


def test_every_layer_of_encoder_and_decoder_is_told(x):
    """With the biases of one layer alone, the label still changes what comes out."""
    torch.manual_seed(0)
    model = ConditionalFaceVAE(code_dim=5, width=4).eval()
    z = torch.randn(5, 5)
    told = [layer for layer in model.modules() if isinstance(layer, Told)]
    assert len(told) == 9
    for layer in told:
        nn.init.normal_(layer.bias.weight)
        outputs = [(model.encode(x, y)[0], model.decode(z, y)) for y in (Y, (Y + 1) % 4)]
        changed = [not torch.allclose(*pair) for pair in zip(*outputs, strict=True)]
        assert changed == [layer in model.encoder.layers, layer not in model.encoder.layers]
        nn.init.zeros_(layer.bias.weight)
