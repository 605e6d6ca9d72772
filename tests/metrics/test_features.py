"""Features of images: in eval mode, from bytes, refused where they are none."""

import pytest
import torch
from torch import nn

from course_utils import metrics
from course_utils.metrics import features
from course_utils.runtime import CourseError


class Referee(nn.Module):
    """A network whose features depend on its mode, and which remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(1), nn.Dropout(0.5)
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        assert not torch.is_grad_enabled()
        return self.drop(self.norm(x)).flatten(1)[:, :5]

    def codes(self, x):
        return self(x)


def images(n=30, seed=0):
    return torch.rand(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("method", ["forward", "codes"])
def test_features_are_taken_in_eval_mode_and_modes_are_restored(method):
    model = Referee().train()
    model.norm.eval()  # a layer frozen on purpose stays frozen
    fn = model if method == "forward" else model.codes
    first, second = (metrics.features_of(fn, images(), batch_size=7) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (30, 5)
    assert model.training and model.drop.training and not model.norm.training
    assert int(model.norm.num_batches_tracked) == 0


def test_modes_are_restored_when_the_network_fails():
    class Broken(nn.Linear):
        def forward(self, x):
            raise RuntimeError("out of memory")

    model = Broken(2, 2)
    with pytest.raises(RuntimeError, match="out of memory"):
        metrics.features_of(model, images())
    assert model.training
    assert torch.is_grad_enabled()


def test_real_and_fake_images_are_rounded_to_bytes():
    model = Referee()
    metrics.features_of(model, images())
    shown = model.seen[0] * 255
    assert torch.allclose(shown, shown.round(), atol=1e-4)
    assert torch.allclose(model.seen[0], images(), atol=0.5 / 255 + 1e-6)  # nearest, not floor
    as_bytes = (images() * 255).round().to(torch.uint8)
    assert torch.equal(metrics.features_of(model, as_bytes), metrics.features_of(model, images()))


def test_frechet_is_the_distance_of_features():
    def pooled(x):
        return x.mean((1, 3))

    def pooled_rows(x):
        return x[:, 0].mean(2)

    real, fake = images(40, seed=1), images(50, seed=2) ** 2
    expected = metrics.frechet_distance(
        metrics.features_of(pooled_rows, real), metrics.features_of(pooled_rows, fake)
    )
    assert metrics.frechet(pooled_rows, real, fake, batch_size=9) == pytest.approx(expected)
    assert metrics.frechet(pooled_rows, real, fake) > metrics.frechet(pooled_rows, real, real)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (images() * 255, "float images lie in"),
        (images() * 2 - 1, "tanh pixels"),
        (images()[0], r"images are \(N, C, H, W\)"),
        ((images() * 255).long(), "torch.int64; images are uint8"),
    ],
)
def test_features_of_refuses_images(x, message):
    with pytest.raises(CourseError, match=message):
        metrics.features_of(Referee(), x)


def test_features_of_refuses_features():
    with pytest.raises(CourseError, match=r"shape \(30, 1, 4, 4\) for 30 images"):
        metrics.features_of(lambda x: x, images())
    with pytest.raises(CourseError, match=r"shape \(1, 16\) for 30 images"):
        metrics.features_of(lambda x: x.view(30, 16).mean(0, keepdim=True), images())
    with pytest.raises(CourseError, match="returned tuple"):
        metrics.features_of(lambda x: (x, x), images())
    with pytest.raises(CourseError, match="NaN"):
        metrics.features_of(lambda x: x.flatten(1) / 0, images() * 0)


def test_module_behind_finds_networks_only():
    model = Referee()
    assert features.module_behind(model) is model
    assert features.module_behind(model.codes) is model
    assert features.module_behind("abc".upper) is None
    assert features.module_behind(lambda x: x) is None
