"""An objective is its loss: for a plain call, torch.func, DistributedDataParallel and a graph."""

import pytest
import torch
from small_models import SHAPE, lively, small_conditional, small_vae
from torch.nn.parallel import DistributedDataParallel

from course_utils import losses
from course_utils.models import MLP, VAE, Autoencoder
from course_utils.runtime import CourseError


def seeded(function, *arguments):
    """Return what the function makes with the random numbers that follow `manual_seed(5)`."""
    torch.manual_seed(5)
    return function(*arguments)


def test_an_objective_gives_the_terms_of_its_loss(model, x):
    objective = losses.Objective(model, losses.negative_elbo, beta=4.0)
    torch.manual_seed(5)
    expected = losses.negative_elbo(model, x, beta=4.0)
    assert seeded(objective, x) == expected
    assert seeded(objective, x, torch.zeros(12, dtype=torch.int64)) == expected


def test_the_model_inside_is_the_model_itself(model):
    objective = losses.Objective(model, losses.negative_elbo)
    assert objective.model is model
    assert list(objective.state_dict()) == [f"model.{name}" for name in model.state_dict()]
    objective.eval()
    assert not model.training


def test_labels_reach_the_loss(x):
    y = torch.arange(12) % 3

    def label_sum(model, x, y):
        return {"loss": y.sum()}

    assert losses.Objective(Autoencoder(), label_sum)(x, y)["loss"] == y.sum()


def mlp():
    """Return a small classifier of four classes."""
    return lively(MLP((8,), n_classes=4, image_shape=SHAPE))


def autoencoder(kind=Autoencoder, **arguments):
    """Return a small autoencoder."""
    return lively(kind((8,), 3, image_shape=SHAPE, **arguments))


LOSSES = {
    "reconstruction": (losses.reconstruction, autoencoder(), {}),
    "masked": (losses.masked_reconstruction, autoencoder().train(), {}),
    "elbo": (losses.negative_elbo, small_vae(), {"binarise": True}),
    "gaussian elbo": (losses.negative_elbo, autoencoder(VAE, learn_variance=True),
                      {"likelihood": "gaussian"}),
    "conditional elbo": (losses.negative_elbo, lively(small_conditional()), {}),
    "iwae": (losses.iwae_loss, small_vae(), {"k": 2}),
    "classification": (losses.classification, mlp().train(), {"shift": 1}),
    "smoothed": (losses.smoothed_classification, mlp(), {}),
    "one against rest": (losses.one_against_rest, mlp(), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_torch_func_takes_the_gradients_of_many_seeds_at_once(name, x):
    """Weights, images and labels of three seeds side by side, as a card trains them."""
    loss, model, options = LOSSES[name]
    objective = losses.Objective(model, loss, **options)
    xs, ys = torch.stack([x, x.flip(0), x]), torch.stack([torch.arange(12) % 4] * 3)
    weights = {n: torch.stack([p.detach()] * 3) for n, p in objective.named_parameters()}

    def loss_of(weights, x, y):
        return torch.func.functional_call(objective, weights, (x, y))["loss"]

    gradients = torch.func.vmap(torch.func.grad(loss_of), randomness="different")(weights, xs, ys)
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    if name in ("reconstruction", "smoothed", "one against rest"):  # nothing is drawn
        objective.zero_grad()
        objective(xs[1], ys[1])["loss"].backward()
        for n, p in objective.named_parameters():
            torch.testing.assert_close(gradients[n][1], p.grad, rtol=1e-4, atol=1e-5)


def test_distributed_data_parallel_takes_it(model, x, tmp_path):
    """Its wrapper hides `encode` and `pixels`; within an objective nothing asks the wrapper."""
    plain = seeded(losses.Objective(model, losses.negative_elbo), x)
    plain["loss"].backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(losses.Objective(model, losses.negative_elbo))
        terms = seeded(wrapped, x)
        terms["loss"].backward()
    finally:
        torch.distributed.destroy_process_group()
    assert terms == plain
    for p, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient)


def test_options_that_a_loss_does_not_have_are_refused_at_once(model):
    with pytest.raises(CourseError, match=r"negative_elbo.*'betta'"):
        losses.Objective(model, losses.negative_elbo, betta=4.0)
