"""Autoencoders that are told a label: the code need not hold what the label says."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from course_utils.gaussian import draw_prior
from course_utils.models.autoencoder import ACTIVATIONS, Autoencoder
from course_utils.models.inputs import check_classes, one_of
from course_utils.models.vae import VAE

CONDITIONS = ("code", "decoder", "both")


class LabelledMLP(nn.Module):
    """Linear layers of which some read a one-hot label beside their input.

    Args:
        sizes: units from the input to the output.
        n_classes: length of a one-hot label (A).
        fed: which layers read the label: "none", "first" or "all".
        activation: between layers.
        shape: of one output, sizes[-1] numbers; None is a row of them.
    """

    def __init__(
        self, sizes: tuple[int, ...], n_classes: int, fed: str, activation: str, shape=None
    ):
        super().__init__()
        one_of("activation", activation, ACTIVATIONS)
        self.n_classes, self.fed, self.shape = n_classes, fed, shape or (sizes[-1],)
        self.activation = ACTIVATIONS[activation]()
        self.layers = nn.ModuleList(
            nn.Linear(n_in + n_classes * self.reads_label(i), n_out)
            for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes))
        )

    def reads_label(self, i: int) -> bool:
        """Tell whether layer i is given the label."""
        return self.fed == "all" or (self.fed == "first" and i == 0)

    def forward(self, h: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Map images or codes h (B, ...) and labels y (B,) to (B, *shape)."""
        h, label = h.flatten(1), one_hot(y, self.n_classes)
        for i, layer in enumerate(self.layers):
            h = layer(torch.cat([h, label], dim=1) if self.reads_label(i) else h)
            if i < len(self.layers) - 1:  # nothing after the last: a code, or logits
                h = self.activation(h)
        return h.unflatten(1, self.shape)


class ConditionalAutoencoder(Autoencoder):
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

    An `Autoencoder` all the same: encode, decode, forward and reconstruct are its own, with y.
    Source: source 003 describes it; Sohn, Lee and Yan 2015 (NeurIPS 28) for the variational kind.
    """

    conditional = True

    def __init__(
        self,
        widths: tuple[int, ...] = (400, 200),
        code_dim: int = 10,
        n_classes: int = 10,
        condition: str = "decoder",
        activation: str = "relu",
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ):
        sizes = (math.prod(image_shape), *widths, code_dim)
        encoder, decoder = labelled(sizes, code_dim, n_classes, condition, activation, image_shape)
        super().__init__(
            code_dim=code_dim, image_shape=image_shape, encoder=encoder, decoder=decoder
        )
        self.n_classes = n_classes


class ConditionalVAE(nn.Module):
    """Images x (B, C, H, W) and labels y (B,) -> logits (B, C, H, W), mu (B, Z), logvar (B, Z).

    It works as a `VAE` does, with y, and is none: who asks `isinstance(model, VAE)` wants to know
    whether nobody is told. Arguments as in `ConditionalAutoencoder`.
    """

    conditional = True
    encode, decode, pixels = VAE.encode, VAE.decode, VAE.pixels
    forward, reconstruct = VAE.forward, VAE.reconstruct

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
        sizes = (math.prod(image_shape), *widths, 2 * code_dim)  # mu and logvar side by side
        self.encoder, self.decoder = labelled(
            sizes, code_dim, n_classes, condition, activation, image_shape
        )
        self.code_dim, self.n_classes, self.image_shape = code_dim, n_classes, image_shape

    @torch.no_grad()
    def sample(self, y: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return one new image per label y (B,), (B, C, H, W) in [0, 1], with codes of the prior.

        `generator` draws the codes, on its own device; None is torch's global one.
        """
        device = next(self.parameters()).device
        z = draw_prior(len(y), self.code_dim, device, generator)
        return self.pixels(self.decode(z, y.to(device)))


def labelled(
    sizes: tuple[int, ...], code_dim: int, n_classes: int, condition: str, activation: str, shape
) -> tuple[LabelledMLP, LabelledMLP]:
    """Return an encoder of `sizes` and the decoder that mirrors it, told labels by `condition`."""
    one_of("condition", condition, CONDITIONS)
    in_encoder = "all" if condition == "both" else "none"
    in_decoder = "first" if condition == "code" else "all"
    up = (code_dim, *sizes[-2::-1])
    encoder = LabelledMLP(sizes, n_classes, in_encoder, activation)
    return encoder, LabelledMLP(up, n_classes, in_decoder, activation, shape)


def one_hot(y: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return labels y (B,) as float32 rows (B, n_classes) of one 1 and zeros.

    Raises CourseError for labels that are not (B,) whole numbers from 0 to n_classes - 1.
    """
    check_classes(y, n_classes)
    zeros = torch.zeros(len(y), n_classes, device=y.device)
    return zeros.scatter(1, y.long()[:, None], 1.0)
