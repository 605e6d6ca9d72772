"""The multilayer perceptron: what its words mean, and that it knows nothing of neighbours."""

import math

import pytest
import torch
from torch import nn

from course_utils.models import MLP
from course_utils.models.mlp import ACTIVATIONS, INITS, GaussianNoise, initialised
from course_utils.runtime import CourseError


@pytest.fixture
def x():
    """Return eight images of noise."""
    return torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_without_hidden_layers_it_is_softmax_regression(x):
    """The oracle: scikit-learn's logistic regression, given the same coefficients."""
    from sklearn.linear_model import LogisticRegression

    torch.manual_seed(0)
    model = MLP(widths=())
    oracle = LogisticRegression()
    oracle.classes_ = torch.arange(10).numpy()
    oracle.coef_ = model.head.weight.detach().double().numpy()
    oracle.intercept_ = model.head.bias.detach().double().numpy()
    ours = model(x).softmax(1).detach().double()
    assert torch.allclose(
        ours, torch.tensor(oracle.predict_proba(x.flatten(1).double())), atol=1e-6
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_hidden_layer_is_two_matrix_products(activation, x):
    torch.manual_seed(0)
    model = MLP(
        (20,), activation, dropout=0.5, noise=0.3, hidden_noise=0.2, input_dropout=0.1
    ).eval()
    first = next(m for m in model.body if isinstance(m, nn.Linear))
    hidden = ACTIVATIONS[activation]().eval()(x.flatten(1) @ first.weight.T + first.bias)
    expected = hidden @ model.head.weight.T + model.head.bias
    assert torch.allclose(model(x), expected, atol=1e-6)
    assert torch.allclose(model.features(x), hidden, atol=1e-6)


def test_the_order_of_the_layers():
    model = MLP((20, 10), "gelu", 0.25, 0.1, 0.5, 0.3, batch_norm=True)
    block = ["Linear", "BatchNorm1d", "GELU", "GaussianNoise", "Dropout"]
    kinds = [type(layer).__name__ for layer in model.body]
    assert kinds == ["Flatten", "GaussianNoise", "Dropout", *block, *block]
    assert [m.p for m in model.body if isinstance(m, nn.Dropout)] == [0.1, 0.25, 0.25]
    assert [m.sigma for m in model.body if isinstance(m, GaussianNoise)] == [0.5, 0.3, 0.3]


def test_a_permutation_of_the_pixels_is_a_permutation_of_the_first_weights(x):
    torch.manual_seed(0)
    model, other = MLP((20,)), MLP((20,))
    other.load_state_dict(model.state_dict())
    order = torch.randperm(784)
    with torch.no_grad():
        other.body[1].weight.copy_(model.body[1].weight[:, order])
    shuffled = x.flatten(1)[:, order].view_as(x)
    assert torch.allclose(other(shuffled), model(x), atol=1e-5)


def test_noise_is_normal_in_training_and_absent_in_eval_mode():
    layer, zeros = GaussianNoise(0.5), torch.zeros(200, 500)
    torch.manual_seed(0)
    noise = layer(zeros)
    assert noise.std().item() == pytest.approx(0.5, rel=0.01)
    inside = (noise.abs() < 0.5).float().mean().item()
    assert inside == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.01)
    assert layer.eval()(zeros).equal(zeros)


@pytest.mark.parametrize("how", INITS)
def test_initial_weights(how):
    torch.manual_seed(0)
    layer = initialised(nn.Linear(400, 200), how)
    spread = {
        "torch": 1 / math.sqrt(3 * 400), "truncated_normal": 0.1 * 0.8796, "zeros": 0,
        "xavier": math.sqrt(2 / 600), "he": math.sqrt(2 / 400),
    }[how]  # fmt: skip
    assert layer.weight.std().item() == pytest.approx(spread, rel=0.02)
    assert bool(layer.bias.any()) == (how == "torch")
    if how == "truncated_normal":
        assert layer.weight.abs().max() <= 0.2


def test_hidden_and_last_layer_have_their_own_initial_weights():
    model = MLP((5, 5), hidden_init="truncated_normal", head_init="zeros")
    hidden = [m for m in model.body if isinstance(m, nn.Linear)]
    assert all(m.weight.any() for m in hidden) and not model.head.weight.any()
    other = MLP((5, 5), hidden_init="zeros", head_init="truncated_normal")
    assert not any(m.weight.any() for m in other.body if isinstance(m, nn.Linear))
    assert other.head.weight.any()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"activation": "swish"}, "activation 'swish'"),
        ({"hidden_init": "orthogonal"}, "init 'orthogonal'"),
        ({"head_init": "ones"}, "init 'ones'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"input_dropout": -0.1}, "input_dropout is -0.1"),
        ({"noise": -0.5}, "sigma is -0.5"),
        ({"hidden_noise": math.inf}, "sigma is inf"),
        ({"widths": (300, 0)}, "widths are"),
        ({"widths": (30.0,)}, "widths are"),
    ],
)
def test_what_makes_no_network_is_refused(options, word):
    with pytest.raises(CourseError, match=word):
        MLP(**options)


def test_images_of_another_shape_and_bytes_are_refused(x):
    model = MLP((5,))
    for wrong in (x.flatten(1), x[:, :, :27], (255 * x).byte()):
        with pytest.raises((CourseError, ValueError), match="this model takes"):
            model(wrong)
