"""The referees, and how they are trained: they are the committed files, and they know digits."""

import pytest
import torch

from course_utils import metrics, recipes
from course_utils.models import Classifier
from course_utils.recipes import referee as referees
from course_utils.runtime import CourseError
from course_utils.train import parameter_count

WIDTHS = {"referee": 64, "referee_2": 80}
FLOOR = {"real": 0.99, "drawn": 0.9}  # accuracy on the quick test images: 0.995 and 0.964


@pytest.fixture(params=list(referees.SHA256))
def name(request):
    """Return the name of a referee."""
    return request.param


def test_features_are_the_last_hidden_layer(name, few):
    model = referees.load_referee(name)
    x = few.x[:20] / 255
    features = model.features(x)
    assert features.shape == (20, WIDTHS[name])
    torch.testing.assert_close(model.head(features), model(x))  # in eval mode, no dropout


def test_a_referee_is_ready_and_frozen(name):
    model = referees.load_referee(name)
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    assert referees.load_referee(name) is model


def test_a_referee_knows_digits(name, digits):
    model = referees.load_referee(name)
    x, y = digits.test.x[:1000] / 255, digits.test.y[:1000]
    accuracy = (model(x).argmax(1) == y).float().mean().item()
    assert accuracy >= FLOOR[digits.source]


def test_referees_differ(few):
    logits = [referees.load_referee(name)(few.x[:20] / 255) for name in referees.SHA256]
    assert all(not torch.allclose(logits[0], other, atol=0.1) for other in logits[1:])


def test_features_serve_the_metrics(digits):
    """More noise, a larger distance; and it agrees across the referees."""
    real, other = digits.test.x[:500], digits.test.x[500:1000]
    torch.manual_seed(0)
    for name in referees.SHA256:
        features = referees.load_referee(name).features
        floor = metrics.frechet(features, real, other)
        some, much = (
            metrics.frechet(features, real, (other / 255 + s * torch.rand(other.shape)).clamp(0, 1))
            for s in (0.3, 0.8)
        )
        assert floor < some < much


def test_the_files_are_small(name):
    path = referees.ASSETS / f"{name}.safetensors"
    assert path.stat().st_size < 250_000
    assert parameter_count(recipes.get(name).build()) < 60_000


def test_an_unknown_referee_is_refused():
    with pytest.raises(CourseError, match=r"'judge' is unknown; choose one of: referee"):
        referees.load_referee("judge")


def test_another_file_is_refused(tmp_path, monkeypatch, name):
    """One weight changed by a hair is another referee."""
    from course_utils import checkpoint

    tensors, info = checkpoint.load(referees.ASSETS / f"{name}.safetensors")
    tensors["head.bias"][0] += 1e-6
    checkpoint.save(tmp_path / f"{name}.safetensors", tensors, info)
    monkeypatch.setattr(referees, "ASSETS", tmp_path)
    with pytest.raises(CourseError, match="is not the referee of this course; restore it"):
        referees.load_referee(name)


def test_an_absent_file_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(referees, "ASSETS", tmp_path / "gone")
    with pytest.raises(CourseError, match="is not there"):
        referees.load_referee(name)


def test_the_recipes_train_the_networks_that_are_kept(name):
    """The recipe, the file and the documented width of the features agree."""
    assert recipes.get(name).build().head.in_features == WIDTHS[name]


def test_a_quick_run_learns(runs):
    made = recipes.run("referee", profile="quick", progress=False)
    assert made.metrics["test_accuracy"] > 0.4
    assert not torch.equal(made.model.head.weight, referees.load_referee().head.weight)


def test_shapes_and_names():
    model = Classifier((4, 6, 8), 10, kernel_size=5, activation="tanh", n_classes=3)
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 3)
    assert model.features(torch.rand(2, 1, 28, 28)).shape == (2, 10)
    with pytest.raises(CourseError, match=r"relux.*choose one of: relu"):
        Classifier(activation="relux")
