"""What chapter 03's second notebook writes out by hand computes what the package computes."""

import by_hand
import pytest
import torch
from torch import nn

from course_utils import losses, recipes
from course_utils.models import RBM, DenoisingMLP
from course_utils.recipes import dae

pytestmark = pytest.mark.notebook

NOTEBOOK = "03_sparse_and_stacked"
LINES = {"contrast": 12, "rbm_stack": 13, "sparse_loss": 10, "Units": 25}  # at most


@pytest.fixture(scope="module")
def definitions():
    """Return the functions and classes that the notebook defines, as syntax, by name."""
    return by_hand.definitions(NOTEBOOK)


@pytest.fixture(scope="module")
def written(definitions):
    """Return the same, executed."""
    return by_hand.written(NOTEBOOK, *definitions)


@pytest.fixture
def x():
    """Return sixty images of black and white pixels."""
    return torch.rand(60, 1, 28, 28, generator=torch.Generator().manual_seed(0)).round()


@pytest.mark.parametrize("name", LINES)
def test_what_is_written_out_is_short(definitions, name):
    assert by_hand.length(definitions[name]) <= LINES[name]


def test_both_parts_of_the_boltzmann_stack_are_twenty_five_lines(definitions):
    both = [definitions[name] for name in ("contrast", "rbm_stack")]
    assert sum(map(by_hand.length, both)) <= 25


@pytest.mark.parametrize(("n_in", "n_out"), [(784, 256), (256, 10)])
def test_the_first_weights_are_torchs_xavier(written, n_in, n_out):
    torch.manual_seed(0)
    ours = written["linear"](n_in, n_out)
    torch.manual_seed(0)
    theirs = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(theirs.weight)
    assert torch.allclose(ours.weight, theirs.weight)
    assert not ours.bias.any()


def test_the_signal_goes_through_ten_layers(written):
    """Weights that are all one deviation times an orthogonal-like matrix: linear, so known."""
    generator = torch.Generator().manual_seed(1)
    written["white"], written["push"] = torch.randn(2, 400, 256, generator=generator)
    torch.manual_seed(0)
    layers = written["signal"](lambda h: h, 1 / 16)  # 256 weights of variance 1/256: scale stays
    assert len(layers) == 10
    assert all(0.6 < float(part.std()) < 1.6 for pair in layers for part in pair)


def test_gradients_come_back_through_the_same_weights(written):
    generator = torch.Generator().manual_seed(1)
    written["white"], written["push"] = torch.randn(2, 50, 256, generator=generator)
    torch.manual_seed(0)
    layers = written["signal"](torch.tanh, 0.1)
    torch.manual_seed(0)
    weights = [0.1 * torch.randn(256, 256) for _ in range(10)]
    back = written["push"]
    for (h, gradient), w in zip(reversed(layers), reversed(weights), strict=True):
        torch.testing.assert_close(gradient, back, atol=1e-4, rtol=1e-3)
        back = (back * (1 - h.square())) @ w.T


@pytest.fixture
def pair(written):
    """Return the notebook's network of hidden units and the package's, with the same weights."""
    ours, theirs = written["Units"](), recipes.get("sparse_a0").build()
    with torch.no_grad():
        for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(its)
    return ours, theirs


def test_the_network_is_the_packages(pair, x):
    ours, theirs = pair
    assert torch.allclose(ours(x).sigmoid(), theirs.reconstruct(x), atol=1e-6)
    assert torch.allclose(ours.encode(x), theirs.encode(x), atol=1e-6)


@pytest.mark.parametrize("prices", [(0.0, 0.0), (0.3, 0.0), (0.0, 0.002), (0.1, 0.1)])
def test_the_loss_is_the_packages(written, pair, x, prices):
    ours, theirs = pair
    loss = written["sparse_loss"](ours, x, None, *prices)["loss"]
    expected = losses.sparse_denoising(theirs, x, activations=prices[0], weights=prices[1])
    torch.testing.assert_close(loss, expected["loss"])


def test_units_in_use_are_counted(written):
    class Known:
        """Says 0.5, 2, 0 of the first image and 0, 1, 0 of the second."""

        def encode(self, x):
            return torch.tensor([[0.5, 2.0, 0.0], [0.0, 1.0, 0.0]])

    assert written["in_use"](Known(), None) == 1.5


def test_a_layer_restores_as_the_packages_does(written, x):
    h = x.flatten(1)
    torch.manual_seed(0)
    up, down = written["linear"](784, 30), written["linear"](30, 784)
    theirs = DenoisingMLP((30,), "sigmoid", "sigmoid", "xavier", (784,))
    with torch.no_grad():
        layers = [m for m in theirs.modules() if isinstance(m, nn.Linear)]
        for mine, its in zip((up, down), layers, strict=True):
            its.weight.copy_(mine.weight)
            its.bias.copy_(mine.bias)
    torch.manual_seed(1)
    loss = written["restoring_loss"](up, down, h)
    torch.manual_seed(1)
    torch.testing.assert_close(loss, dae.masked_quarter(theirs, h)["loss"])


@pytest.mark.parametrize("name", ["denoising_stack", "rbm_stack"])
def test_each_layer_learns_what_the_one_below_says(written, x, name, monkeypatch):
    """The second layer is given the first one's units, and both have learnt."""
    heard = []
    step = "restoring_loss" if name == "denoising_stack" else "contrast"
    original, place = written[step], 2 if name == "denoising_stack" else 3

    def noted(*args):
        heard.append(args[place])
        return original(*args)

    monkeypatch.setitem(written, step, noted)
    torch.manual_seed(0)
    layers = written[name](x, (20, 10), 30)
    first = layers[0]
    weight, bias = first if name == "rbm_stack" else (first.weight, first.bias)
    said = torch.sigmoid(x.flatten(1) @ weight.T + bias).detach()
    assert [rows.shape[1] for rows in heard] == [784] * 30 + [20] * 30
    assert all((row - said).abs().sum(1).min() < 1e-4 for row in heard[-1][:20])


def test_contrastive_divergence_is_the_packages_gradient(written, x):
    """A step by hand is a step of SGD on the package's loss, with the same dream."""
    torch.manual_seed(0)
    machine = RBM(15, (784,))
    with torch.no_grad():
        machine.visible_bias.normal_()
        machine.hidden_bias.normal_()
    W, b, c = (
        p.detach().clone() for p in (machine.weight, machine.visible_bias, machine.hidden_bias)
    )
    torch.manual_seed(1)
    written["contrast"](W, b, c, x.flatten(1), 0.5)
    torch.manual_seed(1)
    losses.contrastive_divergence(machine, x.flatten(1))["loss"].backward()
    torch.optim.SGD(machine.parameters(), lr=0.5).step()
    for ours, theirs in ((W, machine.weight), (b, machine.visible_bias), (c, machine.hidden_bias)):
        torch.testing.assert_close(ours, theirs.detach(), atol=1e-5, rtol=1e-4)


def test_a_stack_starts_from_the_layers_it_is_given(written, x):
    written["widths"] = (20, 20, 20)
    layers = [(torch.randn(20, 784), torch.randn(20)), (torch.randn(20, 20), torch.randn(20))]
    plain, net = written["stack"](), written["stack"](layers)
    linear = [m for m in net if isinstance(m, nn.Linear)]
    assert torch.equal(linear[0].weight, layers[0][0]) and torch.equal(linear[1].bias, layers[1][1])
    assert torch.equal(linear[3].weight, [m for m in plain if isinstance(m, nn.Linear)][3].weight)


def test_few_units_draw_what_the_strongest_contribute(written, x):
    run = type("run", (), {"model": recipes.get("sparse_a0").build()})
    with torch.no_grad():
        run.model.decoder[0].weight.mul_(torch.linspace(0.1, 3, 256))  # some draw much, some little
        every = run.model.reconstruct(x)
    assert torch.allclose(written["drawn"](run, x, 256), every, atol=1e-6)
    z = run.model.encode(x[:1])[0]
    order = (z * run.model.decoder[0].weight.norm(dim=0)).argsort(descending=True)
    kept = torch.zeros_like(z)
    kept[order[:3]] = z[order[:3]]
    expected = run.model.pixels(run.model.decode(kept[None])).detach()
    assert torch.allclose(written["drawn"](run, x[:1], 3), expected, atol=1e-6)


def test_said_over_drawn_is_one_where_units_agree(written):
    """Two units that draw the same add up; two that draw opposites take all but a little back."""
    model = recipes.get("sparse_a0").build()
    written["digits"] = None
    written["features"] = lambda run, x: torch.tensor([[1.0, 1.0]])

    class Images:
        test = type("split", (), {"x": torch.zeros(1, 1, 28, 28)})

    written["digits"] = Images()
    for columns, expected in (([[1.0, 1.0]], 1.0), ([[1.0, -0.5]], 3.0)):
        model.decoder[0].weight = nn.Parameter(torch.tensor(columns))
        run = type("run", (), {"model": model})
        assert written["said_over_drawn"](run) == pytest.approx(expected)
