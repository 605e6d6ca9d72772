"""The drawn digits and garments: repeatable, like MNIST, and neither too easy nor too hard."""

import time

import numpy as np
import pytest
import torch
from matplotlib.path import Path as Polygon
from torch import nn

from course_utils.data import drawn
from course_utils.runtime import CourseError

KINDS = [drawn.digits, drawn.garments]
both_kinds = pytest.mark.parametrize("draw", KINDS, ids=lambda draw: draw.__name__)


@pytest.fixture(scope="module")
def sample():
    """Two thousand digits as floats (2000, 28, 28) in [0, 1], and their labels."""
    x, y = drawn.digits(2000, seed=3)
    return x[:, 0].numpy() / 255, y.numpy()


@both_kinds
def test_shape_type_range_and_labels(draw):
    x, y = draw(700)
    assert x.shape == (700, 1, 28, 28) and x.dtype == torch.uint8
    assert y.shape == (700,) and y.dtype == torch.int64
    assert x.amin() == 0 and x.amax() > 240
    assert (x.flatten(1).amax(1) > 60).all(), "an image came out all but empty"
    assert torch.bincount(y, minlength=10).min() > 40  # 70 expected


@both_kinds
def test_none_is_allowed(draw):
    x, y = draw(0)
    assert x.shape == (0, 1, 28, 28) and y.shape == (0,)


@both_kinds
def test_the_seed_decides(draw):
    first, again, other = draw(50, seed=5), draw(50, seed=5), draw(50, seed=6)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@both_kinds
def test_the_first_images_do_not_depend_on_how_many_follow(draw):
    few, many = draw(100, seed=2), draw(1000, seed=2)
    assert all(torch.equal(a, b[:100]) for a, b in zip(few, many, strict=True))


def test_chunks_differ():
    x, _ = drawn.digits(2 * drawn.CHUNK)
    assert not torch.equal(x[: drawn.CHUNK], x[drawn.CHUNK :])


def test_global_random_state_is_left_alone():
    torch.manual_seed(1), np.random.seed(1)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(1), np.random.seed(1)
    drawn.digits(10)
    assert (torch.rand(1), np.random.rand()) == expected


def test_the_number_of_threads_does_not_matter():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(1):
        alone, _ = drawn.digits(1000)
    with threadpoolctl.threadpool_limits(4):
        together, _ = drawn.digits(1000)
    assert torch.equal(alone, together)


@both_kinds
@pytest.mark.parametrize("wrong", [-1, 2.5, "ten", None])
def test_a_wrong_number_is_refused(draw, wrong):
    with pytest.raises(CourseError, match=r"^n is .*whole number"):
        draw(wrong)
    with pytest.raises(CourseError, match=r"^seed is .*whole number"):
        draw(1, seed=wrong)


def test_digits_are_inked_and_centred_like_mnist(sample):
    x, _ = sample
    assert 0.11 < x.mean() < 0.15  # MNIST: 0.13
    assert 0.16 < (x > 0).mean() < 0.23  # MNIST: 0.19
    assert x[:, 0].max() == 0 or (x[:, 0] > 0.5).mean() < 0.001  # the edge stays black
    axis = np.arange(28)
    mass = x.sum((1, 2))
    for side in (1, 2):
        balance = x.sum(3 - side) @ axis / mass
        assert abs(balance.mean() - 14) < 0.1  # MNIST: 14.0
        assert abs(balance - 14).max() < 1.5


def test_digits_fill_a_box_of_twenty_pixels(sample):
    x, _ = sample
    extents = [
        1 + np.ptp(np.nonzero(image.max(axis) > 0.5)[0]) for image in x[:300] for axis in (0, 1)
    ]
    longest = np.array(extents).reshape(-1, 2).max(1)
    assert abs(np.median(longest) - 20) <= 1 and longest.min() >= 17 and longest.max() <= 21


def test_every_drawing_is_used():
    templates = drawn._digit_templates()
    _, style = templates.choose(np.random.default_rng(0))
    assert set(style) == set(range(len(templates.points)))


def test_curve_passes_through_its_points():
    open_curve = drawn._catmull_rom(4, 7, closed=False)  # samples at t = 0, 0.5, 1, ...
    assert np.allclose(open_curve[::2], np.eye(4))
    closed_curve = drawn._catmull_rom(5, 9, closed=True)  # the fifth point is the first again
    assert np.allclose(closed_curve[::2, :4], np.eye(4)[[0, 1, 2, 3, 0]])
    assert np.allclose(closed_curve.sum(1), 1)


def test_a_straight_line_is_reproduced():
    basis = drawn._catmull_rom(5, 33, closed=False)
    line = np.stack([np.arange(5.0), 3 * np.arange(5.0) + 1], axis=1)
    x, y = (basis @ line)[8:25].T  # the two end pieces run straight, but at another pace
    assert np.allclose(x, np.linspace(1, 3, 17)) and np.allclose(y, 3 * x + 1)


def test_paths_are_parsed():
    assert drawn._strokes("0,0 1,2! 3,.5 / 4,4 5,5") == [
        [(0, 0), (1, 2)],
        [(1, 2), (3, 0.5)],
        [(4, 4), (5, 5)],
    ]
    assert drawn._mirrored("5,0 7,1! 5,9") == "5,0 7,1! 5,9 3.0,1! 5.0,0"


def stroke(start, end):
    """Return one straight path (1, SAMPLES, 2) with the pen down throughout."""
    path = np.linspace(start, end, drawn.SAMPLES)[None]
    return path, np.ones((1, drawn.SAMPLES - 1))


@pytest.mark.parametrize("radius", [0.7, 1.3, 2.0])
def test_the_pen_measures_distance(radius):
    ink = drawn._ink(*stroke((3.0, 9.3), (25.0, 20.3)), radius, blur=1.2)[0]
    rows, columns = np.mgrid[:28, :28] + 0.5
    along, across = np.array([2, 1]) / 5**0.5, np.array([-1, 2]) / 5**0.5
    offset = np.stack([columns - 3, rows - 9.3], axis=-1)
    inner = (offset @ along > 3) & (offset @ along < 22 * 5**0.5 / 2 - 3)  # away from both ends
    exact = np.clip((radius - abs(offset @ across)) / 1.2 + 0.5, 0, 1)
    assert np.abs(ink - exact)[inner].max() < 0.01


def test_a_lifted_pen_leaves_no_ink():
    path, pen_down = stroke((3.0, 14.0), (25.0, 14.0))
    assert drawn._ink(path, 0 * pen_down, radius=2, blur=1).max() == 0


def test_filling_agrees_with_matplotlib():
    rng = np.random.default_rng(0)
    angle = np.sort(rng.uniform(0, 2 * np.pi, (3, 40)))
    reach = rng.uniform(4, 12, (3, 40))  # star-shaped outlines
    outlines = 14 + np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=-1)
    fine = (np.arange(280) + 0.5) / 10
    grid = np.stack(np.meshgrid(fine, fine), axis=-1).reshape(-1, 2)
    for outline, filled in zip(outlines, drawn._fill(outlines), strict=True):
        inside = Polygon(outline).contains_points(grid).reshape(28, 10, 28, 10).mean((1, 3))
        assert np.abs(filled - inside).max() < 0.3  # 3 scanlines a pixel against 10
        assert np.abs(filled - inside).mean() < 0.01


def accuracy(model, n_train, epochs, lr=5e-3, n_test=2000, batch_size=128, seed=0):
    """Train a classifier of digits; return the fraction of other digits that it gets right."""
    x, y = drawn.digits(n_train, seed=seed)
    x_test, y_test = drawn.digits(n_test, seed=seed + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    steps = epochs * -(-n_train // batch_size)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    for _ in range(epochs):
        for batch in torch.randperm(n_train).split(batch_size):
            loss = nn.functional.cross_entropy(model(x[batch] / 255), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    with torch.no_grad():
        guess = torch.cat([model(part / 255).argmax(1) for part in x_test.split(500)])
    return (guess == y_test).double().mean().item()


def linear_classifier():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def small_cnn():
    return nn.Sequential(
        *(nn.Conv2d(1, 24, 5, stride=2, padding=2), nn.ReLU()),  # 28x28 => 14x14
        *(nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.ReLU()),  # 14x14 => 7x7
        *(nn.Flatten(), nn.Linear(48 * 7 * 7, 96), nn.ReLU(), nn.Linear(96, 10)),
    )


def test_a_line_separates_most_digits_but_not_all():
    torch.manual_seed(0)
    assert 0.80 < accuracy(linear_classifier(), n_train=6000, epochs=8) < 0.97


@pytest.mark.slow
def test_sixty_thousand_digits_take_less_than_twenty_seconds():
    start = time.process_time()  # of the processor, so that a busy machine does not count
    drawn.digits(60_000)
    assert time.process_time() - start < 20


@pytest.mark.slow
def test_a_linear_classifier_stays_below_97_percent():
    torch.manual_seed(0)
    assert 0.90 < accuracy(linear_classifier(), n_train=60_000, epochs=10, n_test=10_000) < 0.97


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_cnn_passes_99_percent():
    torch.manual_seed(0)
    assert accuracy(small_cnn(), n_train=60_000, epochs=3, lr=3e-3, n_test=10_000) > 0.99
