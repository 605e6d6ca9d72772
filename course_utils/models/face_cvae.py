"""A convolutional conditional VAE for 64x64 faces in colour: layers that are told a label."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.gaussian import draw_prior
from course_utils.models.inputs import check_classes
from course_utils.models.vae import VAE

START_LOG_VARIANCE = -4.0  # of pixels around a rough reconstruction of a face


class Told(nn.Module):
    """A layer whose output is shifted by a bias for each class.

    It is what a layer computes whose input has the one-hot label joined to it: for a convolution
    as one constant plane for each class, up to the border, where planes are padded with zeros.

    Args:
        layer: linear or convolutional.
        n_outputs: its units or channels (C).
        n_classes: labels that there are; 0: nobody is told anything, and y is not looked at.
    """

    def __init__(self, layer: nn.Module, n_outputs: int, n_classes: int):
        super().__init__()
        self.layer, self.n_classes = layer, n_classes
        self.bias = nn.Embedding(n_classes, n_outputs) if n_classes else None
        if self.bias is not None:
            nn.init.zeros_(self.bias.weight)  # at first all classes are treated alike

    def forward(self, h: torch.Tensor, y: torch.Tensor | None) -> torch.Tensor:
        """Map h (B, ...) and labels y (B,) to (B, C) or (B, C, H, W)."""
        h = self.layer(h)
        if self.bias is None:
            return h
        check_classes(y, self.n_classes)
        bias = self.bias(y).to(h.dtype)
        return h + bias.reshape(*bias.shape, *[1] * (h.ndim - 2))


class ConditionalFaceVAE(nn.Module):
    """Faces x (B, 3, 64, 64) and labels y (B,) -> logits, mu (B, Z), logvar (B, Z).

    Each convolution halves the side, 64 -> 32 -> 16 -> 8 -> 4, each transposed one doubles it. All
    layers but the one that makes the code are told the label. The variance of the pixels is
    learned: one number, for the Gaussian likelihood.

    Args:
        n_classes: labels that there are; 0 makes a VAE that is told nothing.
        code_dim: numbers in a code (Z).
        width: channels at 32x32; twice as many at each halving.

    Sources: Sohn, Lee and Yan 2015 (NeurIPS 28); Rybkin et al. 2021, arXiv 2006.13202.
    """

    image_shape = (3, 64, 64)
    encode, decode, pixels = VAE.encode, VAE.decode, VAE.pixels
    forward, reconstruct = VAE.forward, VAE.reconstruct

    def __init__(self, n_classes: int = 4, code_dim: int = 64, width: int = 32):
        super().__init__()
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        self.encoder = FaceEncoder(widths, code_dim, n_classes)
        self.decoder = FaceDecoder(widths, code_dim, n_classes)
        self.log_variance = nn.Parameter(torch.tensor(START_LOG_VARIANCE))
        self.code_dim, self.n_classes, self.conditional = code_dim, n_classes, n_classes > 0

    @torch.no_grad()
    def sample(self, y: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return one new face per label y (B,), (B, 3, 64, 64) in [0, 1], with codes of the prior.

        `generator` draws the codes, on its own device; None is torch's global one.
        """
        device = next(self.parameters()).device
        z = draw_prior(len(y), self.code_dim, device, generator)
        return self.pixels(self.decode(z, y.to(device)))


class FaceEncoder(nn.Module):
    """Faces (B, 3, 64, 64) and labels (B,) -> (B, 2 Z), mu and logvar side by side."""

    def __init__(self, widths: tuple[int, ...], code_dim: int, n_classes: int):
        super().__init__()
        self.layers = nn.ModuleList(
            Told(nn.Conv2d(n_in, n_out, 4, 2, 1), n_out, n_classes)
            for n_in, n_out in pairwise(widths)
        )
        self.last = nn.Linear(16 * widths[-1], 2 * code_dim)

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        for layer in self.layers:  # 64 -> 32 -> 16 -> 8 -> 4
            x = F.leaky_relu(layer(x, y), 0.2)
        return self.last(x.flatten(1))


class FaceDecoder(nn.Module):
    """Codes (B, Z) and labels (B,) -> logits (B, 3, 64, 64)."""

    def __init__(self, widths: tuple[int, ...], code_dim: int, n_classes: int):
        super().__init__()
        flat = 16 * widths[-1]
        self.first = Told(nn.Linear(code_dim, flat), flat, n_classes)
        self.layers = nn.ModuleList(
            Told(nn.ConvTranspose2d(n_in, n_out, 4, 2, 1), n_out, n_classes)
            for n_in, n_out in pairwise(widths[::-1])
        )

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        h = self.first(z, y).unflatten(1, (-1, 4, 4))
        for layer in self.layers:  # 4 -> 8 -> 16 -> 32 -> 64
            h = layer(F.leaky_relu(h, 0.2), y)
        return h
