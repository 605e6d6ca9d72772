"""The referee: a small classifier of digits, whose features the course measures images with."""

from __future__ import annotations

import torch
from torch import nn

from course_utils.models.autoencoder import ACTIVATIONS
from course_utils.models.inputs import check_images, one_of


class Classifier(nn.Module):
    """Images x (B, 1, 28, 28) in [0, 1] -> logits (B, n_classes).

    Three times convolution, batch norm, activation and pooling, 28 -> 14 -> 7 -> 3 pixels a side;
    then one hidden layer, the features.

    Args:
        channels: of the three convolutions.
        feature_dim: units of the hidden layer (D).
        kernel_size: of the convolutions, odd.
        activation: "relu", "tanh" or "gelu".
        dropout: share of the features that are dropped in training.
        n_classes: classes told apart.
    """

    image_shape = (1, 28, 28)

    def __init__(
        self,
        channels: tuple[int, int, int] = (16, 32, 48),
        feature_dim: int = 64,
        kernel_size: int = 3,
        activation: str = "relu",
        dropout: float = 0.2,
        n_classes: int = 10,
    ):
        super().__init__()
        one_of("activation", activation, ACTIVATIONS)
        act = ACTIVATIONS[activation]
        layers: list[nn.Module] = []
        for n_in, n_out in zip((1, *channels[:-1]), channels, strict=True):
            conv = nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(n_out), nn.MaxPool2d(2), act()]
        flat = channels[-1] * 3 * 3
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, feature_dim), act())
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(feature_dim, n_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features (B, D) of images x (B, 1, 28, 28): the last hidden layer."""
        check_images(self, x)
        return self.body(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.features(x)))
