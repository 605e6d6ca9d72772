"""Generators and discriminators of 64x64 faces: the source's, the corrected ones, residual ones.

A generator takes codes z (B, Z) from N(0, 1) and makes images (B, 3, 64, 64) in [-1, 1]; Z is its
`code_dim`. A discriminator takes such images and says a logit (B,), large for real ones.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from course_utils.models.plane_gan import Pair

# --------------------------------------------------------------------- as the source has them (003)


class SourceGenerator(nn.Module):
    """The generator of source 003: transposed convolutions, batch norm, ReLU, tanh."""

    def __init__(self, code_dim: int = 128):
        super().__init__()
        self.code_dim = code_dim
        widths = (code_dim, 512, 256, 128, 64)
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(pairwise(widths)):
            step = (1, 0) if i == 0 else (2, 1)  # 1 -> 4 -> 8 -> 16 -> 32
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, *step, bias=False),
                       nn.BatchNorm2d(n_out), nn.ReLU()]  # fmt: skip
        layers += [nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()]  # 64
        self.layers = nn.Sequential(*layers)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z[:, :, None, None])


class SourceDiscriminator(nn.Module):
    """The discriminator of source 003, up to its last convolution: logits, no sigmoid."""

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        widths = (3, 64, 128, 256, 512)
        for i, (n_in, n_out) in enumerate(pairwise(widths)):
            kernel = 3 if i == 0 else 4  # 64 -> 32 -> 16 -> 8 -> 4
            layers += [nn.Conv2d(n_in, n_out, kernel, 2, 1, bias=False),
                       nn.BatchNorm2d(n_out), nn.ReLU()]  # fmt: skip
        self.layers = nn.Sequential(*layers, nn.Conv2d(512, 1, 4, bias=False), nn.Flatten(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


# ------------------------------------------------------------------------------------- corrected


class Generator(nn.Module):
    """A deep convolutional generator: codes z (B, Z) -> images (B, 3, 64, 64) in [-1, 1].

    Source: Radford, Metz and Chintala 2015, arXiv 1511.06434.

    Args:
        code_dim: numbers in a code (Z).
        width: channels at 32x32; twice as many at each halving of the side. 64 in the source.
        norm: "batch", or "none" for no normalisation.
        refined: end in width / 2 channels at 64x64 and a 3x3 convolution, where the source ends in
            a transposed convolution, whose overlaps show as a chessboard.
    """

    def __init__(
        self, code_dim: int = 128, width: int = 64, norm: str = "batch", refined: bool = False
    ):
        super().__init__()
        self.code_dim = code_dim
        widths = [code_dim, 8 * width, 4 * width, 2 * width, width]
        widths += [width // 2] if refined else []
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(pairwise(widths)):
            step = (1, 0) if i == 0 else (2, 1)  # 1 -> 4 -> 8 -> 16 -> 32, refined 64
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, *step, bias=norm == "none"),
                       nn.BatchNorm2d(n_out) if norm == "batch" else nn.Identity(),
                       nn.LeakyReLU(0.2)]  # fmt: skip
        to_pixels = (nn.Conv2d(width // 2, 3, 3, padding=1) if refined
                     else nn.ConvTranspose2d(width, 3, 4, 2, 1))  # fmt: skip
        layers += [to_pixels, nn.Tanh()]  # 64
        self.layers = nn.Sequential(*layers)
        initialise(self, as_dcgan=norm == "batch")

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z[:, :, None, None])


class Discriminator(nn.Module):
    """A deep convolutional discriminator: images (B, 3, 64, 64) -> logits (B,).

    Args:
        width: channels at 32x32; twice as many at each halving of the side.
        norm: "batch" (not on the first layer), "spectral", or "none".
    """

    def __init__(self, width: int = 64, norm: str = "batch"):
        super().__init__()
        layers: list[nn.Module] = []
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        for i, (n_in, n_out) in enumerate(pairwise(widths)):  # 64 -> 32 -> 16 -> 8 -> 4
            normed = norm == "batch" and i > 0
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=not normed)]
            layers += [nn.BatchNorm2d(n_out)] if normed else []
            layers += [nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv2d(8 * width, 1, 4)
        initialise(self, as_dcgan=norm == "batch")
        if norm == "spectral":
            for layer in [*self.layers, self.last]:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layer (B, C, 4, 4) of images."""
        return self.layers(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.features(x)).flatten()


def initialise(model: nn.Module, as_dcgan: bool) -> None:
    """Draw weights from N(0, 0.02) as DCGAN does, or by He's rule where nothing normalises."""
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            if as_dcgan:
                nn.init.normal_(layer.weight, 0, 0.02)
            else:
                nn.init.normal_(layer.weight, 0, gain(layer))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def gain(layer: nn.Module) -> float:
    """Return the standard deviation that keeps variance through a layer and a LeakyReLU 0.2."""
    heard = layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else (
        layer.weight[:, 0].numel() / (layer.stride[0] * layer.stride[1])
        if layer.stride[0] > 1 else len(layer.weight))  # fmt: skip
    return (2 / (1 + 0.2**2) / heard) ** 0.5


# -------------------------------------------------------------------------------------- residual


class Residual(nn.Module):
    """x + conv(act(conv(act(x)))): the second convolution begins at zero, so the block at x.

    Source: Zhang, Dauphin and Ma 2019, arXiv 1901.09321 (Fixup).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.first.weight, 0, gain(self.first))
        nn.init.zeros_(self.first.bias)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))


def change(n_in: int, n_out: int) -> nn.Conv2d:
    """Return a 1x1 convolution from n_in to n_out channels that keeps the variance."""
    layer = nn.Conv2d(n_in, n_out, 1, bias=False)
    nn.init.normal_(layer.weight, 0, n_in**-0.5)
    return layer


class ResidualGenerator(nn.Module):
    """Residual blocks between bilinear enlargements, nothing normalised: z (B, Z) -> images.

    A small relative of R3GAN's generator (Huang et al. 2025, arXiv 2501.05441).

    Args:
        code_dim: numbers in a code (Z).
        widths: channels at 4, 8, 16, 32 and 64 pixels a side.
    """

    def __init__(self, code_dim: int = 128, widths=(160, 160, 128, 96, 48)):
        super().__init__()
        self.code_dim = code_dim
        self.first = nn.Linear(code_dim, widths[0] * 16)
        nn.init.normal_(self.first.weight, 0, code_dim**-0.5)
        nn.init.zeros_(self.first.bias)
        self.blocks = nn.ModuleList(Residual(n) for n in widths)
        self.changes = nn.ModuleList(change(a, b) for a, b in pairwise(widths))
        self.last = change(widths[-1], 3)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        z = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()  # its length means nothing
        x = self.first(z).unflatten(1, (-1, 4, 4))
        x = self.blocks[0](x)
        for change, block in zip(self.changes, self.blocks[1:], strict=True):
            x = block(F.interpolate(change(x), scale_factor=2, mode="bilinear"))
        return self.last(F.leaky_relu(x, 0.2)).tanh()


class ResidualDiscriminator(nn.Module):
    """Residual blocks between halvings, nothing normalised: images (B, 3, 64, 64) -> logits (B,).

    Args:
        widths: channels at 64, 32, 16, 8 and 4 pixels a side.
    """

    def __init__(self, widths=(48, 96, 160, 224, 256)):
        super().__init__()
        self.first = nn.Conv2d(3, widths[0], 3, padding=1)
        nn.init.normal_(self.first.weight, 0, gain(self.first))
        nn.init.zeros_(self.first.bias)
        self.blocks = nn.ModuleList(Residual(n) for n in widths)
        self.changes = nn.ModuleList(change(a, b) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 1, 4)
        nn.init.normal_(self.last.weight, 0, gain(self.last))
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks[0](self.first(x))
        for change, block in zip(self.changes, self.blocks[1:], strict=True):
            x = block(F.avg_pool2d(change(x), 2))
        return self.last(F.leaky_relu(x, 0.2)).flatten()


class FaceGAN(Pair):
    """The corrected pair of networks on faces, and the generator's average.

    Args:
        width: of both.
        d_norm: normalisation of the discriminator, as in `Discriminator`.
        d_width: of the discriminator, where it is another.
        refined: how the generator ends, as in `Generator`.
    """

    def __init__(
        self, width: int = 32, d_norm: str = "batch", d_width: int = 0, refined: bool = False
    ):
        super().__init__(
            Generator, Discriminator, {"width": width, "refined": refined},
            {"width": d_width or width, "norm": d_norm},
        )  # fmt: skip
