"""Convolutional autoencoders: a widely copied tutorial's, and one that keeps more."""

from __future__ import annotations

from torch import nn

from course_utils.models.autoencoder import ACTIVATIONS, Autoencoder, mlp
from course_utils.models.inputs import one_of

UPSAMPLINGS = ("transposed", "resize")


class ConvAutoencoder(Autoencoder):
    """The tutorial's network for images (B, 1, 28, 28): its code is 8 channels at 2 x 2 places.

    Every argument is one change of it, for an ablation; the defaults are the tutorial's.

    Args:
        channels: of the outer and the inner layers.
        overlap: let the last layer's kernels overlap (kernel 4 and stride 2, not 2 and 2).
        norm: batch normalisation after every convolution but the last.
        linear_code: 32 numbers from a linear layer over all channels and places, and a linear
            layer back, where the tutorial takes the 8 x 2 x 2 outputs of its pooling.
        output: "tanh" as in the tutorial, or "sigmoid".

    Source: the tutorial is source 000; convolutional autoencoders: Masci et al. 2011, ICANN.
    """

    def __init__(self, channels: tuple[int, int] = (16, 8), overlap: bool = False,
                 norm: bool = False, linear_code: bool = False, output: str = "tanh"):  # fmt: skip
        outer, inner = channels
        code = inner if linear_code else 8  # channels at the code's 2 x 2 places
        kernel, padding = (4, 2) if overlap else (2, 1)
        encoder = nn.Sequential(  # (1, 28, 28)
            *block(nn.Conv2d(1, outer, 3, stride=3, padding=1), norm),  # (outer, 10, 10)
            nn.MaxPool2d(2, stride=2),  # (outer, 5, 5)
            *block(nn.Conv2d(outer, code, 3, stride=2, padding=1), norm),  # (code, 3, 3)
            nn.MaxPool2d(2, stride=1),  # (code, 2, 2)
            nn.Flatten(), *([nn.Linear(4 * code, 32)] if linear_code else []),
        )  # fmt: skip
        decoder = nn.Sequential(
            *([nn.Linear(32, 4 * code), nn.ReLU()] if linear_code else []),
            nn.Unflatten(1, (code, 2, 2)),
            *block(nn.ConvTranspose2d(code, outer, 3, stride=2), norm),  # (outer, 5, 5)
            *block(nn.ConvTranspose2d(outer, inner, 5, stride=3, padding=1), norm),  # 15 x 15
            nn.ConvTranspose2d(inner, 1, kernel, stride=2, padding=padding),  # (1, 28, 28)
        )  # fmt: skip
        super().__init__(code_dim=32, output=output, encoder=encoder, decoder=decoder)


class ResizeConvAutoencoder(ConvAutoencoder):
    """The tutorial's network with another last layer: pixels repeated, then convolved.

    15 x 15 places become 30 x 30 by repeating each, and 28 x 28 by a 3 x 3 convolution without
    padding: every pixel is written by the same number of weights, so there are neither blocks nor
    a chessboard. Source: Odena et al. 2016, Distill.
    """

    def __init__(self):
        super().__init__()
        last = self.decoder[-1]
        self.decoder[-1] = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(last.in_channels, 1, 3)
        )


class SignedConvAutoencoder(ConvAutoencoder):
    """The tutorial's network without the ReLU at its code, whose numbers may then be negative.

    The max pooling behind it stays, and so do the sizes and the number of parameters.
    """

    def __init__(self):
        super().__init__()
        *layers, _, pooling, flat = self.encoder  # the ReLU is the last layer but two
        self.encoder = nn.Sequential(*layers, pooling, flat)


class DeepConvAutoencoder(Autoencoder):
    """Halves a 28 x 28 image twice with overlapping kernels; the code is a linear layer.

    28 -> 14 -> 7 with kernel 4 and stride 2, so that every pixel is seen by the same number of
    kernels; a linear layer from all of the 7 x 7 places to the code, and the way back.

    Args:
        widths: channels at 28 x 28, 14 x 14 and 7 x 7.
        code_dim: numbers in a code (Z).
        blocks: how many residual blocks at 14 x 14 and at 7 x 7, in encoder and decoder alike.
        norm: batch normalisation.
        activation: as in `Autoencoder`.
        upsampling: "transposed" convolutions (kernel 4, stride 2), or "resize": pixels repeated,
            then an ordinary convolution (Odena et al. 2016, Distill).
        hidden_dim: units of one more layer on both sides of the code; 0 for none.

    Source of the residual blocks: He et al. 2016, CVPR. Raises CourseError for other words.
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 128), code_dim: int = 32,
                 blocks: tuple[int, int] = (0, 0), norm: bool = True, activation: str = "relu",
                 upsampling: str = "transposed", hidden_dim: int = 0):  # fmt: skip
        one_of("upsampling", upsampling, UPSAMPLINGS)
        one_of("activation", activation, ACTIVATIONS)
        low, middle, high = widths
        inside = [49 * high, *([hidden_dim] if hidden_dim else []), code_dim]

        def made(layer: nn.Module) -> list[nn.Module]:
            return block(layer, norm, activation)

        def residual(n: int, blocks: int) -> list[nn.Module]:
            return [Residual(n, norm, activation) for _ in range(blocks)]

        def up(n_in: int, n_out: int) -> list[nn.Module]:
            if upsampling == "transposed":
                return made(nn.ConvTranspose2d(n_in, n_out, 4, 2, 1))
            return [nn.Upsample(scale_factor=2), *made(nn.Conv2d(n_in, n_out, 3, padding=1))]

        encoder = nn.Sequential(  # (1, 28, 28)
            *made(nn.Conv2d(1, low, 3, padding=1)),  # (low, 28, 28)
            *made(nn.Conv2d(low, middle, 4, 2, 1)), *residual(middle, blocks[0]),  # 14 x 14
            *made(nn.Conv2d(middle, high, 4, 2, 1)), *residual(high, blocks[1]),  # 7 x 7
            nn.Flatten(), *mlp(inside, activation),
        )  # fmt: skip
        decoder = nn.Sequential(
            *mlp(inside[::-1], activation), ACTIVATIONS[activation](),
            nn.Unflatten(1, (high, 7, 7)), *residual(high, blocks[1]),
            *up(high, middle), *residual(middle, blocks[0]),  # 14 x 14
            *up(middle, low),  # (low, 28, 28)
            nn.Conv2d(low, 1, 3, padding=1),  # (1, 28, 28), no sigmoid
        )  # fmt: skip
        super().__init__(code_dim=code_dim, encoder=encoder, decoder=decoder)


class Residual(nn.Module):
    """h (B, n, H, W) -> activation(h + two 3 x 3 convolutions of h), of the same shape."""

    def __init__(self, n: int, norm: bool, activation: str):
        super().__init__()
        last = block(nn.Conv2d(n, n, 3, padding=1, bias=not norm), norm)[:-1]
        self.change = nn.Sequential(
            *block(nn.Conv2d(n, n, 3, padding=1, bias=not norm), norm, activation), *last
        )
        self.activation = ACTIVATIONS[activation]()

    def forward(self, h):
        return self.activation(h + self.change(h))


def block(layer: nn.Module, norm: bool, activation: str = "relu") -> list[nn.Module]:
    """Return a convolution, its batch normalisation where asked for, and an activation."""
    normed = [nn.BatchNorm2d(layer.out_channels)] if norm else []
    return [layer, *normed, ACTIVATIONS[activation]()]
