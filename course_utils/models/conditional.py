"""Autoencoders that are told a label: the code need not hold what the label says."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.models.autoencoder import ACTIVATIONS
from course_utils.models.shapes import check_codes, check_images
from course_utils.models.vae import draw_prior, sample_gaussian

CONDITIONS = ("code", "decoder", "both")


class LabelledMLP(nn.Module):
    """Linear layers of which some read a one-hot label beside their input.

    Args:
        sizes: units from the input to the output.
        n_classes: length of a one-hot label (A).
        fed: which layers read the label: "none", "first" or "all".
        activation: between layers.
    """

    def __init__(self, sizes: tuple[int, ...], n_classes: int, fed: str, activation: str):
        super().__init__()
        self.fed = fed
        self.activation = ACTIVATIONS[activation]()
        self.layers = nn.ModuleList(
            nn.Linear(n_in + n_classes * self.reads_label(i), n_out)
            for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes))
        )

    def reads_label(self, i: int) -> bool:
        """Tell whether layer i is given the label."""
        return self.fed == "all" or (self.fed == "first" and i == 0)

    def forward(self, h: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Map h (B, sizes[0]) and one-hot labels (B, A) to (B, sizes[-1])."""
        for i, layer in enumerate(self.layers):
            h = layer(torch.cat([h, label], dim=1) if self.reads_label(i) else h)
            if i < len(self.layers) - 1:  # nothing after the last: a code, or logits
                h = self.activation(h)
        return h


class ConditionalAutoencoder(nn.Module):
    """Images x (B, C, H, W) and labels y (B,) -> logits (B, C, H, W) and codes z (B, Z).

    Args:
        widths: units of the encoder's hidden layers; the decoder mirrors them.
        code_dim: numbers in a code (Z).
        n_classes: values that a label can take: ten digits, or any other attribute.
        condition: who is told the label: "code" joins it to the code, which the decoder's first
            layer reads; "decoder" feeds it to every layer of the decoder; "both" to every layer
            of the encoder as well.
        activation: between layers: "relu", "tanh", "gelu" or "none".
        image_shape: (C, H, W) of one image.

    Source: source 003 describes it; Sohn, Lee and Yan 2015 (NeurIPS 28) for the variational kind.
    """

    numbers_per_unit = 1  # that the encoder gives for each number of a code

    def __init__(
        self,
        widths: tuple[int, ...] = (400, 200),
        code_dim: int = 10,
        n_classes: int = 10,
        condition: str = "decoder",
        activation: str = "relu",
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ):
        super().__init__()
        if condition not in CONDITIONS:
            raise ValueError(f"condition {condition!r}; choose one of {', '.join(CONDITIONS)}")
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}")
        n_pixels = math.prod(image_shape)
        down = (n_pixels, *widths, self.numbers_per_unit * code_dim)
        up = (code_dim, *reversed(widths), n_pixels)
        self.code_dim, self.n_classes, self.image_shape = code_dim, n_classes, image_shape
        in_encoder = "all" if condition == "both" else "none"
        in_decoder = "first" if condition == "code" else "all"
        self.encoder = LabelledMLP(down, n_classes, in_encoder, activation)
        self.decoder = LabelledMLP(up, n_classes, in_decoder, activation)

    def encode(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the codes z (B, Z) of images x; y matters under condition "both" only."""
        check_images(x, self.image_shape)
        return self.encoder(x.flatten(1), one_hot(y, self.n_classes))

    def decode(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, C, H, W) of codes z (B, Z) as images of the classes y (B,)."""
        check_codes(z, self.code_dim)
        return self.decoder(z, one_hot(y, self.n_classes)).unflatten(1, self.image_shape)

    def pixels(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits into pixels in [0, 1]."""
        return logits.sigmoid()

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = self.encode(x, y)
        return self.decode(z, y), z

    def reconstruct(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return what is left of images x (B, C, H, W) after the code, in [0, 1]."""
        return self.pixels(self.decode(self.encode(x, y), y))


class ConditionalVAE(ConditionalAutoencoder):
    """Images x (B, C, H, W) and labels y (B,) -> logits (B, C, H, W), mu (B, Z), logvar (B, Z).

    Arguments as in `ConditionalAutoencoder`.
    """

    numbers_per_unit = 2  # mu and logvar side by side

    def encode(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean mu and log-variance logvar (B, Z) of q(z|x, y), in float32."""
        mu, logvar = super().encode(x, y).float().chunk(2, dim=1)
        return mu, logvar

    def forward(
        self, x: torch.Tensor, y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Encode, draw a code (in eval mode too), and decode it with the label."""
        mu, logvar = self.encode(x, y)
        return self.decode(sample_gaussian(mu, logvar), y), mu, logvar

    def reconstruct(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the images (B, C, H, W) in [0, 1] of the mean codes of x: nothing is drawn."""
        mu, _ = self.encode(x, y)
        return self.pixels(self.decode(mu, y))

    @torch.no_grad()
    def sample(self, y: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return one new image per label y (B,), (B, C, H, W) in [0, 1], with codes of the prior.

        `generator` draws the codes, on its own device; None is torch's global one.
        """
        device = next(self.parameters()).device
        z = draw_prior(len(y), self.code_dim, device, generator)
        return self.pixels(self.decode(z, y.to(device)))


def one_hot(y: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return labels y (B,) as float32 rows (B, n_classes) of one 1 and zeros.

    Raises ValueError for labels that are not (B,) whole numbers from 0 to n_classes - 1. On a
    graphics card the range is left to torch's own check: looking at it here would wait.
    """
    if y.ndim != 1 or y.is_floating_point() or y.dtype == torch.bool:
        raise ValueError(f"labels are {y.dtype} of shape {tuple(y.shape)}; they must be int64 (B,)")
    if y.device.type == "cpu" and len(y) and not 0 <= int(y.min()) <= int(y.max()) < n_classes:
        raise ValueError(
            f"labels run from {int(y.min())} to {int(y.max())}; "
            f"this model knows 0 to {n_classes - 1}"
        )
    return F.one_hot(y.long(), n_classes).float()
