"""Principal component analysis of pixels: the yardstick of every autoencoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from course_utils.errors import CourseError
from course_utils.metrics.inputs import as_images, check_same_width, check_whole


@dataclass(frozen=True)
class PrincipalComponents:
    """Components of images with P pixels, the largest variance first; one fit serves every k.

    mean (P,) and directions (K, P) are float64 on the CPU, variances (K,) in squared pixels.
    """

    mean: torch.Tensor
    directions: torch.Tensor
    variances: torch.Tensor

    def encode(self, x, k: int | None = None) -> torch.Tensor:
        """Return the first k coordinates (N, k) of images (N, C, H, W); None is all that there are.

        Raises CourseError for images of another size, or a k beyond the components.
        """
        flat = flatten(x, "x")
        check_same_width(self.directions, flat, "the components and x")
        return (flat - self.mean) @ self.first(k).T

    def reconstruct(self, x, k: int | None = None) -> torch.Tensor:
        """Return images (N, C, H, W) as k components keep them; they may leave [0, 1] a little."""
        z = self.encode(x, k)
        return (self.mean + z @ self.first(k)).float().view(as_images(x, "x").shape)

    def squared_error(self, x, k: int | None = None) -> float:
        """Return the squared error per image on [0, 1] of k components, averaged over images."""
        lost = (flatten(x, "x") - self.mean).square().sum(1) - self.encode(x, k).square().sum(1)
        return float(lost.mean())  # Pythagoras: the directions are orthonormal

    def first(self, k: int | None) -> torch.Tensor:
        """Return the first k directions (k, P)."""
        if k is None:
            return self.directions
        check_whole(k, "k", len(self.directions), " (the components fitted)")
        return self.directions[:k]


def pca(x_train, k: int | None = None) -> PrincipalComponents:
    """Fit principal components to the flattened pixels in [0, 1] of training images.

    Deterministic: scikit-learn's PCA by eigenvectors of the covariance. 55,000 MNIST images take
    a few seconds, and `components.squared_error(x, k)` then answers for every k.

    Args:
        x_train: images (N, C, H, W), uint8 or float in [0, 1].
        k: components to keep; None keeps min(N - 1, C*H*W).

    Raises CourseError for bad images, or more components than they have.
    """
    from sklearn.decomposition import PCA

    flat = flatten(x_train, "x_train")
    most = min(len(flat) - 1, flat.shape[1])  # the mean takes one
    if most < 1:
        raise CourseError("x_train holds one image; components need at least two")
    k = most if k is None else k
    check_whole(k, "k", most, " (the pixels, or the images less one)")
    fitted = PCA(n_components=k, svd_solver="covariance_eigh").fit(flat.numpy())
    mean, directions, variances = (
        torch.from_numpy(a.copy())
        for a in (fitted.mean_, fitted.components_, fitted.explained_variance_)
    )
    return PrincipalComponents(mean, directions, variances)


def flatten(x, name: str) -> torch.Tensor:
    """Return images (N, C, H, W) as float64 (N, C*H*W) in [0, 1], on the CPU."""
    return as_images(x, name).flatten(1).cpu().double()
