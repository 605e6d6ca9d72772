"""The face referee: a small convolutional network that reads the factors of a drawn face."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from course_utils.models.autoencoder import ACTIVATIONS


class FactorNet(nn.Module):
    """Images x (B, 3, 64, 64) in [0, 1] -> predictions (B, n_outputs) of factors.

    A convolution with stride 2, then three times convolution, batch norm, activation and pooling,
    64 -> 32 -> 16 -> 8 -> 4 pixels a side; then one hidden layer, the features.

    Args:
        n_outputs: numbers predicted.
        channels: of the four convolutions.
        feature_dim: units of the hidden layer (D).
        kernel_size: of the last three convolutions, odd.
        activation: "relu", "tanh" or "gelu".
    """

    def __init__(self, n_outputs: int = 24, channels=(24, 48, 80, 112), feature_dim: int = 64,
                 kernel_size: int = 3, activation: str = "relu"):  # fmt: skip
        super().__init__()
        act = ACTIVATIONS[activation]
        layers: list[nn.Module] = [nn.Conv2d(3, channels[0], 4, 2, 1, bias=False),
                                   nn.BatchNorm2d(channels[0]), act()]  # fmt: skip
        for n_in, n_out in pairwise(channels):
            conv = nn.Conv2d(n_in, n_out, kernel_size, padding=kernel_size // 2, bias=False)
            layers += [conv, nn.BatchNorm2d(n_out), act(), nn.MaxPool2d(2)]
        flat = channels[-1] * 4 * 4
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, feature_dim), act())
        self.head = nn.Linear(feature_dim, n_outputs)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features (B, D) of images x (B, 3, 64, 64): the last hidden layer."""
        return self.body(2 * x - 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))
