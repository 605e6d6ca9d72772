"""On a graphics card: losses and metrics as on the CPU, and no step that waits for the card.

Skipped where there is none.
"""

import pytest
import torch
from small_models import SHAPE, lively, small_conditional, small_vae

from course_utils import losses, metrics, models
from course_utils.errors import CourseError
from course_utils.models import VAE, Autoencoder, Classifier, ConditionalAutoencoder

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card here")

AE = lively(Autoencoder((8,), 3, image_shape=SHAPE))
SIGMA = lively(VAE((8,), 3, image_shape=SHAPE, learn_variance=True))
MLP = lively(models.MLP((8,), n_classes=4, image_shape=SHAPE))
LOSSES = {  # whether the loss draws random numbers, which differ between devices
    "reconstruction": (losses.reconstruction, AE, {}, False),
    "masked": (losses.masked_reconstruction, AE, {}, False),
    "pm1": (losses.reconstruction_pm1, AE, {}, False),
    "cross entropy": (losses.cross_entropy_reconstruction, AE, {}, False),
    "sparse": (losses.sparse_reconstruction, AE, {}, False),
    "conditional": (losses.conditional_reconstruction, small_conditional(ConditionalAutoencoder),
                    {}, False),
    "elbo": (losses.negative_elbo, small_vae(), {}, True),
    "binarised elbo": (losses.negative_elbo, small_vae(), {"binarise": True}, True),
    "gaussian elbo": (losses.negative_elbo, SIGMA, {"likelihood": "gaussian"}, True),
    "conditional elbo": (losses.negative_elbo, lively(small_conditional()), {}, True),
    "iwae": (losses.iwae_loss, small_vae(), {"k": 3}, True),
    "classification": (losses.classification, MLP, {}, False),
    "shifted": (losses.classification, MLP, {"shift": 1}, False),
    "smoothed": (losses.smoothed_classification, MLP, {}, False),
    "one against rest": (losses.one_against_rest, MLP, {}, False),
    "denoising": (losses.denoising, AE, {"sigma": 0.1, "masked": 0.1}, True),
}  # fmt: skip


def batch(n):
    """Return images in [0, 1] and labels from 0 to 3, on the CPU."""
    x = torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(n) % 4


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_what_it_is_on_the_cpu(name):
    loss, model, options, draws = LOSSES[name]
    x, y = batch(4000 if draws else 40)
    expected = loss(model.cpu().eval(), x, y, **options)
    found = loss(model.cuda().eval(), x.cuda(), y.cuda(), **options)
    model.cpu()
    for term, value in expected.items():
        tolerance = 0.05 if draws else 1e-4  # draws: the mean of 4,000
        assert found[term].item() == pytest.approx(value.item(), rel=tolerance), term


@pytest.mark.parametrize("name", LOSSES)
def test_no_step_waits_for_the_card(name):
    """Torch raises where the processor would have to wait for a number."""
    loss, model, options, _ = LOSSES[name]
    x, y = (t.cuda() for t in batch(40))
    model.cuda().train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    try:
        for watched in (False, True):  # the first step makes the moments
            torch.cuda.set_sync_debug_mode("error" if watched else "default")
            loss(model, x, y, **options)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
    finally:
        torch.cuda.set_sync_debug_mode("default")
        model.cpu().eval()


def test_a_step_can_be_a_graph():
    """An objective captured once and replayed gives the gradients of a plain call."""
    model = lively(Autoencoder((8,), 3, image_shape=SHAPE)).cuda()
    objective = losses.Objective(model, losses.reconstruction)
    x = batch(40)[0].cuda()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # warm up, as capturing asks for
        for _ in range(3):
            model.zero_grad(set_to_none=True)
            objective(x)["loss"].backward()
    torch.cuda.current_stream().wait_stream(stream)
    expected = [p.grad.clone() for p in model.parameters()]
    graph = torch.cuda.CUDAGraph()
    model.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        objective(x)["loss"].backward()
    graph.replay()
    torch.cuda.synchronize()
    for p, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient)


def test_pixels_of_another_range_are_refused_on_the_card_too():
    x = 255 * batch(40)[0].cuda()
    with pytest.raises(CourseError, match="as bytes do"):
        losses.check_input(losses.negative_elbo, x)


METRICS = {
    "frechet": lambda f, g, x, y: metrics.frechet_distance(f, g),
    "kernel": lambda f, g, x, y: metrics.kernel_distance(f, g, 50).mean,
    "precision and recall": lambda f, g, x, y: metrics.precision_recall(f, g),
    "neighbours": lambda f, g, x, y: metrics.nearest_neighbours(f, g, 3).distances.cpu(),
    "memorisation": lambda f, g, x, y: metrics.memorisation(f, g, f[:9]).ratio,
    "closeness": lambda f, g, x, y: metrics.same_class_closeness(f, y),
    "knn": lambda f, g, x, y: metrics.knn_accuracy(f, y, g, y),
    "probe": lambda f, g, x, y: metrics.linear_probe_accuracy(f, y, g, y),
    "pca": lambda f, g, x, y: metrics.pca(x, 3).variances,
    "sharpness": lambda f, g, x, y: metrics.sharpness(x),
    "scores": lambda f, g, x, y: metrics.sample_scores(
        lambda b: b.flatten(1)[:, :3], x, 1 - x)["FD"],
    "shared": lambda f, g, x, y: metrics.shared_by_rows(f),
}  # fmt: skip


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_what_it_is_on_the_cpu(name):
    generator = torch.Generator().manual_seed(0)
    f, g = torch.randn(2, 200, 4, generator=generator)
    given = (f, 1.2 * g + 0.3, *batch(200))
    expected = METRICS[name](*given)
    found = METRICS[name](*(t.cuda() for t in given))
    assert torch.allclose(torch.as_tensor(found), torch.as_tensor(expected), rtol=1e-4)


def test_models_are_measured_where_they_are():
    referee, vae, told = Classifier().cuda().eval(), small_vae().cuda(), small_conditional().cuda()
    features = metrics.features_of(referee.features, torch.rand(6, 1, 28, 28))
    assert features.device.type == "cpu"
    x, y = batch(40)
    generator = torch.Generator("cuda").manual_seed(0)
    assert metrics.log_likelihood(vae, x.round(), 5, generator).shape == (40,)
    assert metrics.log_likelihood(told, x.round(), 5, y=y).isfinite().all()
    assert metrics.label_bounds(told, x.cuda()).shape == (40, 4)
    estimates = losses.gradients_of_mu(vae, x.cuda(), 4, "score_with_baseline")
    assert estimates.shape == (4, 40, 3)
