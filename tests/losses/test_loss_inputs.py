"""What losses are given: one sentence says what came, what is wanted, and how to mend it."""

import functools
import inspect
import math

import pytest
import torch
from small_models import SHAPE, lively, small_vae

from course_utils import losses, train
from course_utils.data.loader import Batches
from course_utils.errors import CourseError
from course_utils.losses import inputs
from course_utils.models import VAE, Autoencoder


@pytest.fixture
def x():
    """Return 12 grey images of 4 x 4 that reach from 0 to 1."""
    x = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(1))
    x[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    return x


@losses.wants(inputs.SIGNED)
def signed(model, x, y=None):
    """Stand for a loss of images from -1 to 1."""


@losses.wants(inputs.BINARY)
def binary(model, x, y=None):
    """Stand for a loss of black and white images."""


def anything(model, x, y=None):
    """Stand for a loss that does not say what it wants."""


# ---------------------------------------------------------------- once, at the start of a training

WRONG_PIXELS = {
    "from 0 to 255": (lambda x: 255 * x, r"from 0 to 255, as bytes do; .*\[0, 1\]: give x / 255"),
    "from -1 to 1": (lambda x: 2 * x - 1, r"from -1 to 1, .*tanh do; .*give \(x \+ 1\) / 2"),
    "standardised": (lambda x: (x - 0.1307) / 0.3081, r"-0.424 to 2.82, as standardised .* \* std"),
    "over the edge": (lambda x: 1.1 * x - 0.05, r"a little beyond, .* give x.clamp\(0, 1\)"),
    "above one": (lambda x: 1.1 * x, r"from 0 to 1.1, a little beyond, .* give x.clamp\(0, 1\)"),
    "bytes": (lambda x: (255 * x).byte(), r"images are uint8; .* \[0, 1\]: give x / 255"),
    "whole": (lambda x: x.round().long(), "int64; the loss takes floats.*give x.float"),
    "divided twice": (lambda x: x / 255, r"0 to 0.00392, as if divided by 255 twice.*x \* 255"),
    "nan": (lambda x: x.where(x > 0, math.nan), "NaN or infinite"),
    "inf": (lambda x: x.where(x > 0, math.inf), "NaN or infinite"),
    "empty": (lambda x: x[:0], r"images are empty, of shape \(0, 1, 4, 4\)"),
    "an array": (lambda x: x.numpy(), "are a ndarray; losses take tensors"),
    "a list": (lambda x: x.tolist(), "are a list; losses take tensors"),
}


@pytest.mark.parametrize("case", WRONG_PIXELS)
def test_pixels_in_another_range_are_named_with_their_cure(case, x):
    spoil, message = WRONG_PIXELS[case]
    with pytest.raises(CourseError, match=message):
        losses.check_input(losses.negative_elbo, spoil(x))


@pytest.mark.parametrize(
    ("loss", "right", "wrong", "message"),
    [
        (signed, lambda x: 2 * x - 1, lambda x: x, r"none of them negative; .*give 2 \* x - 1"),
        (signed, lambda x: 2 * x - 1, lambda x: 255 * x, r"as bytes do.* give x / 127.5 - 1"),
        (binary, torch.round, lambda x: x, r"grey; the loss takes 0 or 1: give torch.bernoulli"),
        (anything, lambda x: 1e30 * x, lambda x: x / 0, "NaN or infinite"),
        (losses.negative_elbo, lambda x: x, lambda x: 3 * x, "give x / 255"),
        (
            anything,
            lambda x: 255 * x,
            lambda x: (255 * x).round(),
            "whole numbers from 0 to 255",
        ),
        (anything, lambda x: x.round(), lambda x: 9 * x.round(), "whole numbers from 0 to 9"),
        (losses.negative_elbo, torch.zeros_like, lambda x: x - 1, r"\(x \+ 1\) / 2"),
    ],
)
def test_each_loss_says_what_it_wants(loss, right, wrong, message, x):
    losses.check_input(loss, right(x))
    with pytest.raises(CourseError, match=message):
        losses.check_input(loss, wrong(x))


def test_standardised_pixels_are_right_where_a_model_can_reach_them(x):
    """A sigmoid cannot; a linear output can."""
    standardised = 3 * x - 1
    linear = Autoencoder(output="linear", image_shape=SHAPE)
    losses.check_input(losses.reconstruction, standardised, linear)
    for model in (None, Autoencoder(image_shape=SHAPE)):
        with pytest.raises(CourseError, match="as standardised ones do"):
            losses.check_input(losses.reconstruction, standardised, model)
    with pytest.raises(CourseError, match="as standardised ones do"):
        losses.check_input(losses.cross_entropy_reconstruction, standardised, linear)


def test_a_loss_is_recognised_through_what_carries_it(x):
    class Recipe:
        loss = staticmethod(losses.negative_elbo)

        def loss_fn(self, model, x, y):
            return self.loss(model, x, y)

    carriers = (
        losses.negative_elbo,
        functools.partial(losses.negative_elbo, beta=2.0),
        losses.Objective(small_vae(), losses.negative_elbo),
        Recipe().loss_fn,
    )
    assert [losses.wanted_by(c) for c in carriers] == [inputs.UNIT] * 4
    assert losses.wanted_by(lambda model, x, y: {}) == inputs.FINITE


def test_every_loss_that_is_trained_with_says_what_it_wants():
    functions = [f for f in vars(losses).values() if inspect.isfunction(f)]
    starts = [list(inspect.signature(f).parameters)[:3] for f in functions]
    takes_a_model = [f for f, s in zip(functions, starts, strict=True) if s == ["model", "x", "y"]]
    assert len(takes_a_model) >= 10
    assert [f.__name__ for f in takes_a_model if not hasattr(f, "wants")] == []


def test_a_loss_that_declares_its_pixels_looks_in_every_call(x):
    """Also where squared error alone would take any number."""
    model = lively(Autoencoder((8,), 3, image_shape=SHAPE))
    with pytest.raises(CourseError, match="from 0 to 255, as bytes do"):
        losses.reconstruction(model, 255 * x)
    linear = lively(Autoencoder((8,), 3, output="linear", image_shape=SHAPE))
    assert losses.reconstruction(linear, 255 * x)["loss"].isfinite()


# ------------------------------------------------------------------------------------ in every call


@pytest.mark.parametrize("nll", [losses.bernoulli_nll, losses.nll_of_each])
@pytest.mark.parametrize("case", sorted(WRONG_PIXELS.keys() - {"divided twice"}))
def test_a_bernoulli_likelihood_refuses_what_is_no_probability(nll, case, x):
    """So no objective of pixels can fall below zero."""
    with pytest.raises(CourseError):
        nll(torch.zeros(12, *SHAPE), WRONG_PIXELS[case][0](x))


@pytest.mark.parametrize("likelihood", [{}, {"binarise": True}])
@pytest.mark.parametrize("loss", [losses.negative_elbo, losses.iwae_loss])
@pytest.mark.parametrize("case", ["from 0 to 255", "from -1 to 1", "standardised"])
def test_objectives_refuse_other_ranges(loss, case, likelihood, x):
    with pytest.raises(CourseError, match="pixels run from"):
        loss(small_vae(), WRONG_PIXELS[case][0](x), **likelihood)


def test_squared_error_takes_any_floats_and_no_bytes(x):
    recon = torch.zeros_like(x)
    expected = (255 * x.double()).square().sum() / 12
    assert losses.squared_error(recon, 255 * x).item() == pytest.approx(expected.item())
    with pytest.raises(CourseError, match=r"x are uint8; .*give x / 255"):
        losses.squared_error(recon, (255 * x).byte())
    with pytest.raises(CourseError, match="x are empty"):
        losses.squared_error(recon[:0], x[:0])
    with pytest.raises(CourseError, match="NaN or infinite"):
        losses.squared_error(recon, x / 0)
    with pytest.raises(CourseError, match=r"\(12, 1, 4, 4\) and \(11, 1, 4, 4\); they must be"):
        losses.bernoulli_nll(recon, x[:11])


def test_what_a_diverged_model_gives_is_not_taken_for_bad_pixels(x):
    """`fit` watches for it, and says that the run diverged."""
    recon = torch.full_like(x, math.nan)
    assert losses.squared_error(recon, x).isnan() and losses.bernoulli_nll(recon, x).isnan()


def test_looking_stops_neither_vmap_nor_a_device_that_would_have_to_be_waited_for(x):
    logits = torch.zeros(3, 12, *SHAPE)
    each = torch.func.vmap(losses.bernoulli_nll)(logits, torch.stack([x, x, x]))
    assert each.allclose(losses.bernoulli_nll(logits[0], x).expand(3))
    assert inputs.extremes(torch.zeros(2, device="meta")) is None
    assert losses.squared_error(*torch.empty(2, 5, 3, device="meta")).shape == ()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (torch.tensor([0, 10]), "labels run from 0 to 10; this model knows 0 to 9"),
        (torch.tensor([-1, 2]), "labels run from -1 to 2"),
        (torch.tensor([0.0, 1.0]), r"torch.float32 \(2,\); this loss takes int64 \(2,\)"),
        (torch.tensor([1]), r"int64 \(1,\); this loss takes int64 \(2,\)"),
        (None, "labels are NoneType"),
        ([0, 1], "labels are list"),
    ],
)
@pytest.mark.parametrize(
    "loss", [losses.classification, losses.smoothed_classification, losses.one_against_rest]
)
def test_labels_of_no_class_are_refused(loss, y, message):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 10))
    with pytest.raises(CourseError, match=message):
        loss(model, torch.rand(2, *SHAPE), y)


@pytest.mark.parametrize(
    ("x", "most"),
    [(torch.rand(2, 4, 4), 1), (torch.zeros(2, 1, 4, 4).byte(), 1), (torch.rand(2, *SHAPE), 1.0)],
)
def test_shifts_of_no_images_are_refused(x, most):
    with pytest.raises(CourseError):
        losses.shifted(x, most)


# ------------------------------------------------------------------------------ a learned variance


def test_blank_images_do_not_carry_a_learned_variance_away():
    """Known by heart, they would be given an ever higher density; it counts no lower than bytes."""
    blank = torch.zeros(64, *SHAPE)
    torch.manual_seed(0)
    model = VAE((8,), 2, image_shape=SHAPE, learn_variance=True)
    with torch.no_grad():
        model.decoder[-2].bias.fill_(-40)  # black, as training would make it in the end
        model.log_variance.fill_(-60.0)
    terms = losses.negative_elbo(model, blank, likelihood="gaussian")
    least = math.log(1 / 12 / 255**2)
    expected = 16 * 0.5 * (least + math.log(2 * math.pi))
    assert terms["nll"].item() == pytest.approx(expected, rel=1e-4)
    terms["loss"].backward()
    assert model.log_variance.grad == 0  # no reason to fall any further


def test_training_on_blank_images_ends(runs):
    batches = Batches(torch.zeros(64, *SHAPE, dtype=torch.uint8), torch.zeros(64).long(), 8)
    torch.manual_seed(0)
    model = lively(VAE((8,), 2, image_shape=SHAPE, learn_variance=True))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    loss = functools.partial(losses.negative_elbo, likelihood="gaussian")
    history = train.fit(model, loss, batches, epochs=40, optimizer=optimizer, progress=False)
    bound = 16 * 0.5 * (math.log(1 / 12 / 255**2) + math.log(2 * math.pi))
    assert min(row["train_nll"] for row in history) >= bound
    assert all(math.isfinite(value) for row in history for value in row.values())
