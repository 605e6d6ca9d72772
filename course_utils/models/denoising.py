"""Networks that take noise away: fully connected ones with hidden units, and a U-Net."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.errors import CourseError
from course_utils.models.autoencoder import Autoencoder
from course_utils.models.conv_autoencoder import block
from course_utils.models.inputs import check_images, one_of
from course_utils.models.mlp import ACTIVATIONS, initialised

DECODER_INITS = ("zeros", "xavier")


class DenoisingMLP(Autoencoder):
    """Images x (B, C, H, W) -> logits (B, C, H, W) and hidden units z (B, Z), through widths.

    The activation stands after every hidden layer, the innermost included: these are hidden units,
    not the free numbers of an `Autoencoder`'s code. Weights start as Glorot and Bengio 2010 have
    it, biases at 0.

    Args:
        widths: units of the encoder's layers, the innermost last; the decoder mirrors them.
        activation: as in `MLP`.
        output: "linear", or "sigmoid" or "tanh" for pixels in [0, 1], as in `Autoencoder`.
        decoder_init: "zeros" for the last layer, as in source 004, or "xavier".
        image_shape: (C, H, W) of one image.

    Source: Vincent et al. 2008, ICML. Raises CourseError for other words, and for no widths.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (200,),
        activation: str = "softplus",
        output: str = "linear",
        decoder_init: str = "zeros",
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ):
        one_of("activation", activation, ACTIVATIONS)
        one_of("decoder_init", decoder_init, DECODER_INITS)
        if not widths or not all(isinstance(n, int) and n > 0 for n in widths):
            raise CourseError(f"widths are {widths}; give one whole number, 1 or more, per layer")
        sizes = (math.prod(image_shape), *widths)
        back = hidden_layers(sizes[::-1], activation)[:-1]
        initialised(back[-1], decoder_init)
        super().__init__(
            code_dim=widths[-1],
            output=output,
            image_shape=tuple(image_shape),
            encoder=nn.Sequential(nn.Flatten(), *hidden_layers(sizes, activation)),
            decoder=nn.Sequential(*back, nn.Unflatten(1, tuple(image_shape))),
        )


def hidden_layers(sizes: tuple[int, ...], activation: str) -> list[nn.Module]:
    """Return linear layers with Xavier's weights, each with its activation."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [initialised(nn.Linear(n_in, n_out), "xavier"), ACTIVATIONS[activation]()]
    return layers


class UNet(nn.Module):
    """Images x (B, C, 28, 28) -> logits of the same shape, by convolutions at three sizes.

    Down to a quarter of the size and up again; what each size saw on the way down is laid beside
    what comes up, so that nothing has to pass a bottleneck. It has no code.

    Args:
        widths: channels at 28 x 28, 14 x 14 and 7 x 7.
        image_shape: (C, H, W), H and W multiples of 4.

    Source: Ronneberger et al. 2015, MICCAI, here with padding and batch normalisation.
    """

    def __init__(
        self,
        widths: tuple[int, int, int] = (16, 32, 64),
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ):
        super().__init__()
        if image_shape[1] % 4 or image_shape[2] % 4:
            raise CourseError(f"images of {image_shape}; height and width are multiples of 4 here")
        self.image_shape = tuple(image_shape)
        n, (outer, middle, inner) = image_shape[0], widths
        self.down_1, self.down_2 = twice(n, outer), twice(outer, middle)
        self.bottom = twice(middle, inner)
        self.enlarge_2 = nn.ConvTranspose2d(inner, middle, 2, stride=2)
        self.up_2 = twice(2 * middle, middle)
        self.enlarge_1 = nn.ConvTranspose2d(middle, outer, 2, stride=2)
        self.up_1 = twice(2 * outer, outer)
        self.last = nn.Conv2d(outer, n, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_images(self, x)
        fine = self.down_1(x)  # (B, outer, H, W)
        coarse = self.down_2(F.max_pool2d(fine, 2))  # (B, middle, H/2, W/2)
        h = self.enlarge_2(self.bottom(F.max_pool2d(coarse, 2)))  # (B, middle, H/2, W/2)
        h = self.enlarge_1(self.up_2(torch.cat([h, coarse], 1)))  # (B, outer, H, W)
        return self.last(self.up_1(torch.cat([h, fine], 1)))

    def pixels(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits into pixels in [0, 1]."""
        return logits.sigmoid()

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        """Return pixels (B, C, H, W) in [0, 1]: x as the network would have it without noise."""
        return self.pixels(self(x))


class LinearUNet(UNet):
    """A `UNet` whose last layer gives the pixels themselves, without a sigmoid: any finite numbers.

    A sigmoid is flat where pixels are black or white, so that the squared error hardly moves them
    the last bit of the way; here it moves all alike. Clamp to [0, 1] what is shown or scored.
    """

    reaches = "any finite number"

    def pixels(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the last layer's numbers as they are."""
        return logits

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        """Return x (B, C, H, W) as the network would have it without noise, not clamped."""
        return self(x)


def twice(n_in: int, n_out: int) -> nn.Sequential:
    """Return two 3 x 3 convolutions with batch normalisation and ReLU; the size stays."""
    return nn.Sequential(
        *block(nn.Conv2d(n_in, n_out, 3, padding=1), norm=True),
        *block(nn.Conv2d(n_out, n_out, 3, padding=1), norm=True),
    )
