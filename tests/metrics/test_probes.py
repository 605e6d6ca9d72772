"""Probes of codes and of generated images: against brute force and Newton's method."""

import pytest
import torch
from torch import nn

from course_utils import metrics
from course_utils.metrics import probes
from course_utils.runtime import CourseError


def blobs(n, seed, classes=3, spread=1.0):
    """Codes (n, 4) in clusters that overlap a little, with labels (n,)."""
    g = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, 4, generator=torch.Generator().manual_seed(99))
    y = torch.randint(classes, (n,), generator=g)
    return centres[y] + spread * torch.randn(n, 4, generator=g), y


def test_knn_accuracy_matches_brute_force():
    (train, y_train), (test, y_test) = blobs(150, 0), blobs(80, 1)
    order = torch.cdist(test.double(), train.double()).argsort(dim=1)
    nearest = y_train[order[:, 0]]
    assert metrics.knn_accuracy(train, y_train, test, y_test) == pytest.approx(
        float((nearest == y_test).double().mean())
    )
    votes = y_train[order[:, :7]].mode(dim=1).values  # smallest label on a tie, as scikit-learn
    assert metrics.knn_accuracy(train, y_train, test, y_test, k=7) == pytest.approx(
        float((votes == y_test).double().mean())
    )


def newton_logistic(x, y, classes, steps=12):
    """Multinomial logistic regression with an L2 penalty of 1/2, by Newton's method."""
    x = torch.cat([x, torch.ones(len(x), 1)], 1).double()
    penalty = torch.ones(x.shape[1], classes, dtype=torch.float64)
    penalty[-1] = 1e-9  # the intercept is free
    w = torch.zeros(x.shape[1], classes, dtype=torch.float64)

    def objective(w):
        nll = nn.functional.cross_entropy(x @ w.view_as(penalty), y, reduction="sum")
        return nll + 0.5 * (penalty * w.view_as(penalty).square()).sum()

    for _ in range(steps):
        gradient = torch.autograd.functional.jacobian(objective, w.flatten())
        hessian = torch.autograd.functional.hessian(objective, w.flatten())
        step = torch.linalg.lstsq(hessian, gradient[:, None]).solution
        w = (w.flatten() - step[:, 0]).view_as(penalty)
    return w


def test_linear_probe_matches_a_fit_by_newton():
    (train, y_train), (test, y_test) = blobs(200, 0, spread=2.0), blobs(300, 1, spread=2.0)
    mean, std = train.mean(0), train.std(0, correction=0)
    w = newton_logistic((train - mean) / std, y_train, 3)
    scores = torch.cat([(test - mean) / std, torch.ones(len(test), 1)], 1).double() @ w
    expected = float((scores.argmax(1) == y_test).double().mean())
    found = metrics.linear_probe_accuracy(train, y_train, test, y_test)
    assert found == pytest.approx(expected, abs=1 / 300 + 1e-9)
    assert 0.6 < found < 0.95


def test_linear_probe_does_not_care_about_the_scale_of_a_code():
    (train, y_train), (test, y_test) = blobs(200, 0), blobs(200, 1)
    scale = torch.tensor([1e-4, 1.0, 1e4, 10.0])
    plain = metrics.linear_probe_accuracy(train, y_train, test, y_test)
    scaled = metrics.linear_probe_accuracy(train * scale, y_train, test * scale, y_test)
    assert scaled == pytest.approx(plain, abs=0.011)


def test_same_class_closeness_matches_brute_force():
    codes, y = blobs(120, 0)
    codes[60], y[60] = codes[3], y[3]  # a copy is a neighbour like any other
    distance = torch.cdist(codes.double(), codes.double()).fill_diagonal_(torch.inf)
    neighbours = y[distance.argsort(dim=1)[:, :10]]
    expected = float((neighbours == y[:, None]).double().mean())
    assert metrics.same_class_closeness(codes, y) == pytest.approx(expected)
    twins = torch.arange(6.0)[:, None] ** 3
    assert metrics.same_class_closeness(twins, torch.arange(6), k=1) == 0  # never itself


def test_same_class_closeness_in_a_bank_matches_brute_force():
    (codes, y), (bank, bank_y) = blobs(60, 0), blobs(90, 1)
    order = torch.cdist(codes.double(), bank.double()).argsort(dim=1)
    expected = float((bank_y[order[:, :10]] == y[:, None]).double().mean())
    assert metrics.same_class_closeness(codes, y, 10, bank, bank_y) == pytest.approx(expected)
    with pytest.raises(CourseError, match=r"k is 91; it can be at most 90"):
        metrics.same_class_closeness(codes, y, 91, bank, bank_y)
    with pytest.raises(CourseError, match="bank_y cannot be read"):
        metrics.same_class_closeness(codes, y, 10, bank)


# ------------------------------------------------------------- classification accuracy score


def labelled_images(n, seed):
    """Images (n, 1, 6, 6) of a bright row: class = row, for three classes."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=g)
    x = 0.3 * torch.rand(n, 1, 6, 6, generator=g)
    x[torch.arange(n), 0, 2 * y] += 0.5
    return x, y


def test_cas_is_high_for_good_images_and_falls_with_wrong_labels():
    (fake, fake_y), (test, test_y) = labelled_images(300, 0), labelled_images(150, 1)
    score = metrics.classification_accuracy_score
    assert score(fake, fake_y, test, test_y) > 0.98
    assert score(fake, (fake_y + 1) % 3, test, test_y) < 0.05
    dropped = fake_y < 2  # a class that is never drawn is lost
    expected = float((test_y < 2).double().mean())
    assert score(fake[dropped], fake_y[dropped], test, test_y) == pytest.approx(expected, abs=0.03)


def test_cas_trains_on_generated_and_tests_on_real_images():
    (fake, fake_y), (test, test_y) = labelled_images(40, 0), labelled_images(30, 1)
    seen = {}

    class Fixed(nn.Module):
        def forward(self, x):
            assert not self.training and not torch.is_grad_enabled()
            seen["test"] = x
            return nn.functional.one_hot(torch.zeros(len(x), dtype=torch.long), 3).float()

    def fit(x, y):
        seen["train"] = x, y
        return Fixed()

    found = metrics.classification_accuracy_score(fake, fake_y, test, test_y, fit)
    assert found == pytest.approx(float((test_y == 0).double().mean()))
    assert torch.equal(seen["train"][0], fake) and torch.equal(seen["train"][1], fake_y)
    assert torch.equal(seen["test"], test)


def test_cas_is_reproducible_and_leaves_the_global_generator_alone():
    x, y = labelled_images(60, 0)
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first, second = (probes.fit_mlp(x, y, epochs=1) for _ in range(2))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(first(x), second(x))
    assert not torch.equal(first(x), probes.fit_mlp(x, y, epochs=1, seed=1)(x))


# ---------------------------------------------------------------------------------- bad input


def test_probes_refuse():
    codes, y = blobs(20, 0)
    for probe in (metrics.linear_probe_accuracy, metrics.knn_accuracy):
        with pytest.raises(CourseError, match=r"y_test has shape \(19,\); 20 rows"):
            probe(codes, y, codes, y[:19])
        with pytest.raises(CourseError, match=r"labels are whole numbers"):
            probe(codes, y.float(), codes, y)
        with pytest.raises(CourseError, match="4 and 2 numbers per row"):
            probe(codes, y, codes[:, :2], y)
        with pytest.raises(CourseError, match="every training label is 1"):
            probe(codes, torch.ones_like(y), codes, y)
        with pytest.raises(CourseError, match="codes_train holds 80 of 80"):
            probe(codes / 0 * 0, y, codes, y)
        with pytest.raises(CourseError, match="codes_train is empty"):
            probe(codes[:0], y[:0], codes, y)
    with pytest.raises(CourseError, match="k is 21; it can be at most 20"):
        metrics.knn_accuracy(codes, y, codes, y, k=21)
    with pytest.raises(CourseError, match="k is 20; it can be at most 19"):
        metrics.same_class_closeness(codes, y, k=20)


def test_cas_refuses():
    x, y = labelled_images(20, 0)
    score = metrics.classification_accuracy_score
    with pytest.raises(CourseError, match="images of different shapes"):
        score(x, y, x[:, :, :4], y)
    with pytest.raises(CourseError, match="a label is -1"):
        score(x, y - 1 - y.min(), x, y)
    with pytest.raises(CourseError, match=r"it must return scores \(B, classes\)"):
        score(x, y, x, y, lambda x, y: lambda x: x[:, 0, 0, 0])
