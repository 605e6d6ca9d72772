"""What holds for every autoencoder: initial weights, labels, wrong input, layers of one's own."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.models import (
    VAE,
    Autoencoder,
    Classifier,
    ConditionalAutoencoder,
    ConditionalVAE,
    ConvVAE,
)

UNTOLD, TOLD = (Autoencoder, VAE, ConvVAE), (ConditionalAutoencoder, ConditionalVAE)


@pytest.fixture
def x():
    """Return 6 images in [0, 1]."""
    return torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def labels_for(model, n):
    """Return what a model is told beside n images: labels, or nothing."""
    return (torch.arange(n) % 10,) if model.conditional else ()


# ------------------------------------------------------------------------------- initial weights


def linear_layers(sizes, told=0) -> list[torch.Tensor]:
    """Make linear layers in order; return their weights. `told` numbers come beside each input."""
    pairs = itertools.pairwise(sizes)
    return [p for a, b in pairs for p in nn.Linear(a + told, b).parameters()]


@pytest.mark.parametrize(
    ("build", "down", "up", "told"),
    [
        (Autoencoder, (784, 128, 64, 12, 3), (3, 12, 64, 128, 784), 0),
        (VAE, (784, 400, 40), (20, 400, 784), 0),
        (ConditionalAutoencoder, (784, 400, 200, 10), (10, 200, 400, 784), 10),
        (ConditionalVAE, (784, 400, 200, 20), (10, 200, 400, 784), 10),
    ],
)
def test_a_seed_gives_the_weights_that_it_always_gave(build, down, up, told):
    """Layers draw their weights from the image inwards and out again, and nothing draws between."""
    torch.manual_seed(3)
    model = build()
    torch.manual_seed(3)
    written_out = [*linear_layers(down), *linear_layers(up, told)]
    assert all(map(torch.equal, model.parameters(), written_out))
    after = torch.rand(1)
    torch.manual_seed(3)
    build()
    assert torch.equal(torch.rand(1), after)


def test_the_convolutional_network_makes_its_own_layers_only():
    """Layers that were made and thrown away would cost time, and move the random numbers on."""
    torch.manual_seed(3)
    model = ConvVAE()
    torch.manual_seed(3)
    assert torch.equal(model.encoder[0].weight, nn.Conv2d(1, 32, 3, padding=1).weight)


def names(*numbers, network="{}.{}"):
    """Return the names of weights and biases of numbered layers."""
    return [f"{network.format(part, i)}.{kind}"
            for part, which in zip(("encoder", "decoder"), numbers, strict=True)
            for i in which for kind in ("weight", "bias")]  # fmt: skip


def test_weights_keep_their_names():
    """Kept runs and the referees are read by these."""
    assert list(Autoencoder().state_dict()) == names((1, 3, 5, 7), (0, 2, 4, 6))
    assert list(VAE().state_dict()) == names((1, 3), (0, 2))
    assert list(ConvVAE().state_dict()) == names((0, 2, 4, 7, 9), (0, 2, 5, 7, 9))
    for build in TOLD:
        expected = names((0, 1, 2), (0, 1, 2), network="{}.layers.{}")
        assert list(build().state_dict()) == expected
    learned = set(VAE(learn_variance=True).state_dict()) - set(VAE().state_dict())
    assert learned == {"log_variance"}


def test_layers_of_ones_own(x):
    """The networks that are handed in are the ones that work, and nothing else is made."""
    encoder = nn.Sequential(nn.Conv2d(1, 2, 28), nn.Flatten())
    decoder = nn.Sequential(nn.Unflatten(1, (1, 1, 1)), nn.ConvTranspose2d(1, 1, 28))
    before = torch.get_rng_state()
    model = VAE(code_dim=1, encoder=encoder, decoder=decoder, learn_variance=True)
    assert torch.equal(before, torch.get_rng_state())
    logits, mu, logvar = model(x)
    assert logits.shape == x.shape and torch.equal(torch.cat([mu, logvar], 1), encoder(x))
    plain = Autoencoder(code_dim=2, encoder=encoder, decoder=nn.Unflatten(1, (1, 1, 2)))
    assert torch.equal(plain.encode(x), encoder(x))


# ---------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("build", UNTOLD)
def test_labels_that_a_model_cannot_use_are_refused(build, x):
    model, y = build(), torch.zeros(6, dtype=torch.int64)
    z = torch.zeros(6, model.code_dim)
    calls = (lambda: model(x, y), lambda: model.encode(x, y), lambda: model.decode(z, y),
             lambda: model.reconstruct(x, y))  # fmt: skip
    for call in calls:
        with pytest.raises(CourseError, match=f"a {build.__name__} cannot be told labels: leave y"):
            call()


@pytest.mark.parametrize("build", TOLD)
def test_labels_that_a_model_needs_are_asked_for(build, x):
    model = build()
    z = torch.zeros(6, model.code_dim)
    calls = (lambda: model(x), lambda: model.encode(x), lambda: model.decode(z),
             lambda: model.reconstruct(x))  # fmt: skip
    for call in calls:
        with pytest.raises(CourseError, match=f"a {build.__name__} has to be told labels: give y"):
            call()
    with pytest.raises(CourseError, match="4 labels for 6 rows"):
        model(x, torch.zeros(4, dtype=torch.int64))
    with pytest.raises(CourseError, match="labels are a list; models take tensors"):
        model(x, [0] * 6)


# ----------------------------------------------------------------------------------- wrong input

WRONG_IMAGES = {
    "rows": (torch.rand(2, 784), r"shape \(2, 784\); this model takes \(B, 1, 28, 28\)"),
    "narrow": (torch.rand(2, 1, 28, 27), "images have shape"),
    "no batch": (torch.rand(1, 28, 28), "images have shape"),
    "bytes": (torch.zeros(2, 1, 28, 28, dtype=torch.uint8), "uint8; .* floats .* give x / 255"),
    "doubles": (torch.rand(2, 1, 28, 28).double(), r"float64; .* give \.to\(torch.float32\)"),
    "an array": (np.zeros((2, 1, 28, 28), np.float32), "are a ndarray; models take tensors"),
    "a list": ([0.0], "are a list; models take tensors"),
    "elsewhere": (torch.rand(2, 1, 28, 28, device="meta"), r"rest on meta, .* give \.to\(cpu\)"),
}


@pytest.mark.parametrize("case", WRONG_IMAGES)
@pytest.mark.parametrize("build", [*UNTOLD, *TOLD, Classifier])
def test_wrong_images_are_refused_in_words(build, case):
    """At the door, by what was given and what is wanted."""
    model, (wrong, message) = build(), WRONG_IMAGES[case]
    y = (torch.zeros(2, dtype=torch.int64),) if build in TOLD else ()
    with pytest.raises(CourseError, match=message):
        model(wrong, *y)


@pytest.mark.parametrize("build", [*UNTOLD, *TOLD])
def test_wrong_codes_are_refused_in_words(build):
    model = build()
    y = labels_for(model, 2)
    for z in (torch.rand(2, model.code_dim + 1), torch.rand(model.code_dim)):
        with pytest.raises(CourseError, match=rf"codes have shape .*\(B, {model.code_dim}\)"):
            model.decode(z, *y)
    for z, message in (
        (torch.zeros(2, model.code_dim, dtype=torch.int64), r"int64; .* give z.float\(\)"),
        (torch.zeros(2, model.code_dim).double(), r"float64; .* give \.to\(torch.float32\)"),
        (np.zeros((2, model.code_dim)), "codes are a ndarray"),
    ):
        with pytest.raises(CourseError, match=message):
            model.decode(z, *y)


@pytest.mark.parametrize("build", [*UNTOLD, *TOLD])
def test_autocast_chooses_the_precision_itself(build, x):
    model = build().eval()
    y = labels_for(model, 6)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        in_bf16 = model.reconstruct(x.bfloat16(), *y)
    assert (in_bf16 - model.reconstruct(x, *y)).abs().max() < 0.02


@pytest.mark.parametrize("build", [Autoencoder, VAE, Classifier, *TOLD])
def test_unknown_words_are_refused(build):
    word = {"condition": "all"} if build in TOLD else {"activation": "relux"}
    with pytest.raises(CourseError, match=r"(all|relux)' is unknown; choose one of: "):
        build(**word)
