"""The convolutional variational autoencoder of source 002."""

from __future__ import annotations

from torch import nn

from course_utils.models.vae import VAE


class ConvVAE(VAE):
    """A `VAE` for 28 x 28 images whose encoder and decoder are convolutional.

    Args:
        code_dim: numbers in a code (Z).
    """

    def __init__(self, code_dim: int = 20):
        encoder = nn.Sequential(  # (1, 28, 28)
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(),  # (32, 28, 28)
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),  # (64, 14, 14)
            nn.Conv2d(64, 128, 3, stride=2, padding=1), nn.ReLU(),  # (128, 7, 7)
            nn.Flatten(), nn.Linear(128 * 7 * 7, 256), nn.ReLU(),
            nn.Linear(256, 2 * code_dim),  # mu and logvar side by side
        )  # fmt: skip
        decoder = nn.Sequential(
            nn.Linear(code_dim, 256), nn.ReLU(),
            nn.Linear(256, 128 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (128, 7, 7)),
            nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 3, padding=1),  # (1, 28, 28), no sigmoid
        )  # fmt: skip
        super().__init__(code_dim=code_dim, encoder=encoder, decoder=decoder)
