"""What a code, or a set of generated images, is good for: accuracies of simple classifiers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.metrics.features import called, device_of, evaluating, module_behind
from course_utils.metrics.inputs import (
    as_images,
    as_labels,
    as_points,
    as_tensor,
    check_same_width,
    check_whole,
)


def linear_probe_accuracy(codes_train, y_train, codes_test, y_test) -> float:
    """Return the test accuracy, 0 to 1, of logistic regression on standardised codes.

    Args:
        codes_train, codes_test: (N, D) and (M, D).
        y_train, y_test: class labels (N,) and (M,).

    Source: Alain and Bengio 2016, arXiv 1610.01644. Raises CourseError for bad input.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return accuracy_of(probe, codes_train, y_train, codes_test, y_test)


def knn_accuracy(codes_train, y_train, codes_test, y_test, k: int = 1) -> float:
    """Return the test accuracy, 0 to 1, of the vote of the k nearest training codes.

    Args:
        codes_train, codes_test: (N, D) and (M, D); distances are Euclidean.
        y_train, y_test: class labels (N,) and (M,).
        k: neighbours that vote, at most N.

    Raises CourseError for bad input.
    """
    from sklearn.neighbors import KNeighborsClassifier

    check_whole(k, "k", len(as_points(codes_train, "codes_train")), " (the training codes)")
    probe = KNeighborsClassifier(n_neighbors=k, algorithm="brute")
    return accuracy_of(probe, codes_train, y_train, codes_test, y_test)


def accuracy_of(probe, codes_train, y_train, codes_test, y_test) -> float:
    """Fit a scikit-learn classifier to labelled codes and return its accuracy on others."""
    train, test = as_points(codes_train, "codes_train"), as_points(codes_test, "codes_test")
    check_same_width(train, test, "codes_train and codes_test")
    y_train = as_labels(y_train, len(train), "y_train")
    y_test = as_labels(y_test, len(test), "y_test")
    check_classes(y_train)
    probe.fit(train.cpu().numpy(), y_train.numpy())
    return float(probe.score(test.cpu().numpy(), y_test.numpy()))


def same_class_closeness(codes, y, k: int = 10, bank=None, bank_y=None) -> float:
    """Return the share, 0 to 1, of a code's k nearest codes that carry its label, averaged.

    Also called label precision at k. A code never counts as its own neighbour; codes that know
    nothing of the classes give the sum of the squared class shares: 0.1 for ten equal classes.

    Args:
        codes: (N, D); distances are Euclidean.
        y: class labels (N,).
        k: neighbours looked at, below N (at most M with a bank).
        bank, bank_y: codes (M, D) and labels (M,) among which to look instead, say the training
            set's; None looks among `codes`.

    Raises CourseError for bad input.
    """
    from sklearn.neighbors import NearestNeighbors

    codes = as_points(codes, "codes").cpu()
    y = as_labels(y, len(codes), "y")
    if bank is None:
        check_whole(k, "k", len(codes) - 1, " (the other codes)")
        queries, bank, bank_y = None, codes, y  # None: each code of the bank, without itself
    else:
        queries, bank = codes.numpy(), as_points(bank, "bank").cpu()
        check_same_width(codes, bank, "codes and bank")
        bank_y = as_labels(bank_y, len(bank), "bank_y")
        check_whole(k, "k", len(bank), " (the codes of the bank)")
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(bank.numpy())
    neighbours = torch.from_numpy(search.kneighbors(queries, return_distance=False))
    return float((bank_y[neighbours] == y[:, None]).double().mean())


def classification_accuracy_score(
    fake_x, fake_y, test_x, test_y, fit_classifier: Callable | None = None
) -> float:
    """Train a classifier on generated labelled images; return its accuracy, 0 to 1, on real ones.

    Images of the wrong class, and classes or styles never drawn, cost accuracy: set it against
    the same classifier trained on as many real images. Source: Ravuri and Vinyals 2019, arXiv
    1905.10887.

    Args:
        fake_x, fake_y: generated images (N, C, H, W) and the labels (N,) that were asked for.
        test_x, test_y: real images (M, C, H, W) and labels (M,), unseen by the generator.
        fit_classifier: (x (N, C, H, W) float32, y (N,) int64) -> a function, or nn.Module, from
            images (B, C, H, W) to scores (B, classes); None is `fit_mlp`, made for small images.

    Raises CourseError for bad input, or a classifier that does not return (B, classes).
    """
    fake_x, test_x = as_images(fake_x, "fake_x"), as_images(test_x, "test_x")
    fake_y = as_labels(fake_y, len(fake_x), "fake_y")
    test_y = as_labels(test_y, len(test_x), "test_y")
    if fake_x.shape[1:] != test_x.shape[1:]:
        shapes = f"{tuple(fake_x.shape[1:])} and {tuple(test_x.shape[1:])}"
        raise CourseError(f"fake_x and test_x hold images of different shapes: {shapes}")
    check_classes(fake_y)
    classifier = (fit_classifier or fit_mlp)(fake_x, fake_y.to(fake_x.device))
    return float((predict(classifier, test_x) == test_y).double().mean())


def predict(classifier: Callable, x: torch.Tensor, batch_size: int = 1000) -> torch.Tensor:
    """Return the labels (N,) with the highest score for images x (N, C, H, W), on the CPU."""
    module = module_behind(classifier)
    device = device_of(module, x.device)
    with evaluating(module):
        parts = [called(classifier, batch.to(device)) for batch in x.split(batch_size)]
    scores = as_tensor(torch.cat(parts).cpu(), "the classifier's scores")
    if scores.ndim != 2 or len(scores) != len(x):
        raise CourseError(
            f"the classifier returned shape {tuple(scores.shape)} for {len(x)} images; "
            "it must return scores (B, classes)"
        )
    return scores.argmax(1)


def fit_mlp(
    x: torch.Tensor, y: torch.Tensor, hidden_dim: int = 256, epochs: int = 10, seed: int = 0
) -> nn.Module:
    """Train a classifier with one hidden layer on images x (N, C, H, W) and labels y (N,).

    Adam, lr 1e-3, batches of 100; 95 % on MNIST's test set from 10,000 real images. The caller's
    random state is left as it was.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        first = nn.Linear(x[0].numel(), hidden_dim)
        last = nn.Linear(hidden_dim, int(y.max()) + 1)
        model = nn.Sequential(nn.Flatten(), first, nn.ReLU(), last).to(x.device)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).to(x.device).split(100):
                optimizer.zero_grad(set_to_none=True)
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
    return model


def check_classes(y: torch.Tensor) -> None:
    """Raise CourseError unless labels y (N,) start at 0 or above and name two classes or more."""
    if y.min() < 0:
        raise CourseError(f"a label is {int(y.min())}; labels count from 0")
    if y.min() == y.max():
        raise CourseError(f"every training label is {int(y[0])}; a classifier needs two classes")
