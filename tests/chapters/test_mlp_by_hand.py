"""What chapter 07 writes out by hand computes what the package computes."""

import by_hand
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import recipes
from course_utils.models import MLP

pytestmark = pytest.mark.notebook


def written(notebook: str, name: str, *beside: str):
    """Return what a notebook writes out under a name, which may call what is named beside it."""
    return by_hand.written(notebook, name, *beside)[name]


@pytest.fixture
def x():
    """Return twenty images of noise."""
    return torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_cross_entropy():
    loss = written("07_mlp_dropout", "cross_entropy")
    torch.manual_seed(0)
    for scale in (1, 100, 1e4):
        logits, y = scale * torch.randn(50, 10), torch.randint(0, 10, (50,))
        assert loss(logits, y).item() == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-5)


def test_dropout():
    dropout = written("07_mlp_dropout", "dropout")
    torch.manual_seed(0)
    ours, theirs = dropout(torch.ones(100_000), 0.25), F.dropout(torch.ones(100_000), 0.25)
    assert set(ours.tolist()) == set(theirs.tolist())  # 0 and 4/3
    assert (ours == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)


def test_perceptron(x):
    """The source's network, in eval mode and, without dropout, in training too."""
    torch.manual_seed(0)
    ours = written("07_mlp_dropout", "Perceptron", "dropout")()
    theirs = recipes.get("mlp").build()
    shapes = sorted(p.numel() for p in ours.parameters())
    assert shapes == sorted(p.numel() for p in theirs.parameters())
    spread = (ours.W1.std() / theirs.body[1].weight.std()).item()
    assert spread == pytest.approx(1, abs=0.01) and ours.W1.abs().max() <= 0.2
    assert not ours.W2.any() and not theirs.head.weight.any()
    with torch.no_grad():
        ours.W2.normal_()
        theirs.body[1].weight.copy_(ours.W1.T)
        theirs.body[1].bias.copy_(ours.b1)
        theirs.head.weight.copy_(ours.W2.T)
        theirs.head.bias.copy_(ours.b2)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-4)
    ours.share = 0.0
    assert torch.allclose(ours.train()(x), theirs(x), atol=1e-4)


@pytest.mark.parametrize("start", [0.1, 1e-10])
def test_adagrad(start):
    adagrad = written("07_mlp_dropout", "adagrad")
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(3))]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    sums = [torch.full_like(p, start) for p in ours]
    optimizer = torch.optim.Adagrad(theirs, lr=0.3, initial_accumulator_value=start)
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        adagrad(ours, sums, 0.3)
        optimizer.step()
    for p, q in zip(ours, theirs, strict=True):
        assert torch.allclose(p, q, atol=1e-5)


def test_the_best_network(x):
    """In training with the noise taken out, and in eval mode."""
    torch.manual_seed(0)
    ours = written("07_best_mlp", "Noisy")()
    theirs = MLP(recipes.get("mlp_minute").model_args["widths"], "gelu", batch_norm=True)
    own, other = list(ours.parameters()), list(theirs.parameters())
    assert [p.shape for p in own] == [p.shape for p in other]
    with torch.no_grad():
        for p, q in zip(own, other, strict=True):
            q.copy_(p)
    sigma, ours.sigma = ours.sigma, 0.0
    assert torch.allclose(ours.train()(x), theirs.train()(x), atol=1e-4)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-4)
    assert sigma == recipes.get("mlp_minute").model_args["noise"]
    ours.sigma = sigma
    torch.manual_seed(0)
    noisy = x + sigma * torch.randn(20, 784).view_as(x)
    torch.manual_seed(0)
    assert torch.allclose(ours.train()(x), theirs.train()(noisy), atol=1e-3)
    assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-3)  # and no noise when testing


def test_smoothed():
    smoothed = written("07_best_mlp", "smoothed")
    torch.manual_seed(0)
    logits, y = torch.randn(50, 10), torch.randint(0, 10, (50,))
    for share in (0.0, 0.1, 0.5):
        expected = F.cross_entropy(logits, y, label_smoothing=share).item()
        assert smoothed(logits, y, share).item() == pytest.approx(expected, rel=1e-5)
