"""Conditional VAEs whose prior p(z|y) is a part of the model, and a convolutional one."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.errors import CourseError
from course_utils.gaussian import draw_prior, log_density
from course_utils.models.conditional import labelled
from course_utils.models.inputs import check_classes, check_codes
from course_utils.models.vae import VAE


class StandardPrior(nn.Module):
    """p(z) = N(0, I), the same for every class, with the methods of a `MixturePrior`."""

    def __init__(self, n_classes: int, code_dim: int):
        super().__init__()
        self.n_classes, self.code_dim = n_classes, code_dim

    def log_prob(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return log p(z) (B,) in nats of codes z (B, Z); labels change nothing."""
        return log_density(z, torch.zeros_like(z), torch.zeros_like(z))

    def sample(self, y: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return one code per label y (B,), (B, Z)."""
        check_classes(y, self.n_classes)
        return draw_prior(len(y), self.code_dim, y.device, generator)


class MixturePrior(nn.Module):
    """p(z|y): for each class a mixture of K normal distributions, learned with the networks.

    Args:
        n_classes: values that a label can take (A).
        n_parts: normal distributions in each mixture (K); with 1, a normal for each class.
        code_dim: numbers in a code (Z).

    Each part has a mean and a log-variance for each number of the code, and a weight. Source:
    Dilokthanakul et al. 2016, arXiv 1611.02648, without labels; Sohn, Lee and Yan 2015 learn p(z|y)
    with a network.
    """

    def __init__(self, n_classes: int, n_parts: int, code_dim: int):
        super().__init__()
        if n_parts < 1:
            raise CourseError(f"n_parts is {n_parts}; a mixture has one part at least")
        self.n_classes, self.n_parts, self.code_dim = n_classes, n_parts, code_dim
        self.mean = nn.Parameter(torch.randn(n_classes, n_parts, code_dim))
        self.logvar = nn.Parameter(torch.zeros(n_classes, n_parts, code_dim))
        self.logits = nn.Parameter(torch.zeros(n_classes, n_parts))  # of the weights

    def log_prob(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return log p(z|y) (B,) in nats of codes z (B, Z) and labels y (B,)."""
        mean, logvar = self.of_class(self.mean, y), self.of_class(self.logvar, y)
        of_parts = log_density(z[:, None], mean, logvar)  # (B, K)
        return (self.logits.log_softmax(1)[y] + of_parts).logsumexp(1)

    def sample(self, y: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return one code per label y (B,), (B, Z): a part by its weight, then a draw from it.

        `generator` draws both, on its own device; None is torch's global one. Raises CourseError
        for labels that the prior does not know.
        """
        check_classes(y, self.n_classes)
        place = y.device if generator is None else generator.device
        weights = self.logits.softmax(1)[y].to(place)
        part = torch.multinomial(weights, 1, generator=generator)[:, 0].to(y.device)
        noise = draw_prior(len(y), self.code_dim, y.device, generator)
        return self.mean[y, part] + (self.logvar[y, part] / 2).exp() * noise

    def of_class(self, table: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the rows of a table (A, K, Z) that labels y (B,) name, (B, K, Z)."""
        return F.embedding(y, table.flatten(1)).unflatten(1, table.shape[1:])


def make_prior(n_classes: int, n_parts: int, code_dim: int) -> nn.Module:
    """Return N(0, I) for no parts, else a mixture of `n_parts` for each class."""
    if n_parts == 0:
        return StandardPrior(n_classes, code_dim)
    return MixturePrior(n_classes, n_parts, code_dim)


class PriorVAE(nn.Module):
    """Images x (B, C, H, W) and labels y (B,) -> logits (B, C, H, W), mu (B, Z), logvar (B, Z).

    A conditional VAE put together from an encoder (x, y) -> (B, 2 Z), a decoder (z, y) -> logits,
    and a prior with `log_prob(z, y)`, `sample(y, generator)`, `n_classes` and `code_dim`.
    """

    conditional = True
    encode, decode, pixels = VAE.encode, VAE.decode, VAE.pixels
    forward, reconstruct = VAE.forward, VAE.reconstruct

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, image_shape):
        super().__init__()
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.code_dim, self.n_classes = prior.code_dim, prior.n_classes
        self.image_shape = image_shape

    def log_prior(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return log p(z|y) (B,) in nats of codes z (B, Z) and labels y (B,)."""
        check_codes(self, z, y)
        check_classes(y, self.n_classes)
        return self.prior.log_prob(z, y)

    @torch.no_grad()
    def sample(self, y: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return one new image per label y (B,), (B, C, H, W) in [0, 1], with codes of p(z|y).

        `generator` draws the codes, on its own device; None is torch's global one.
        """
        check_classes(y, self.n_classes)
        y = y.to(next(self.parameters()).device)
        return self.pixels(self.decode(self.prior.sample(y, generator), y))


class MixtureVAE(PriorVAE):
    """The `ConditionalVAE` with condition "both", and a mixture p(z|y) for a prior.

    Args:
        n_parts: normal distributions for each class; 0 is N(0, I) for all.
        widths, code_dim, n_classes, activation, image_shape: as in `ConditionalVAE`.
    """

    def __init__(
        self,
        n_parts: int = 10,
        widths: tuple[int, ...] = (400, 200),
        code_dim: int = 10,
        n_classes: int = 10,
        activation: str = "relu",
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ):
        sizes = (math.prod(image_shape), *widths, 2 * code_dim)  # mu and logvar side by side
        networks = labelled(sizes, code_dim, n_classes, "both", activation, image_shape)
        super().__init__(*networks, make_prior(n_classes, n_parts, code_dim), image_shape)


class ConvMixtureVAE(PriorVAE):
    """A conditional VAE of convolutions for 28 x 28 images; every layer is told the label.

    Args:
        n_parts: normal distributions of the prior for each class; 0 is N(0, I) for all.
        code_dim: numbers in a code (Z).
        n_classes: values that a label can take.
        widths: channels at 14 x 14 and 7 x 7 places, and units between those and the code.
    """

    def __init__(
        self,
        n_parts: int = 0,
        code_dim: int = 10,
        n_classes: int = 10,
        widths: tuple[int, int, int] = (32, 64, 256),
    ):
        outer, inner, hidden = widths
        encoder = Told(
            (nn.Conv2d(1, outer, 4, 2, 1), outer),  # (outer, 14, 14)
            (nn.Conv2d(outer, inner, 4, 2, 1), inner),  # (inner, 7, 7)
            (nn.Sequential(nn.Flatten(), nn.Linear(49 * inner, hidden)), hidden),
            (nn.Linear(hidden, 2 * code_dim), 2 * code_dim),  # mu and logvar side by side
            n_classes=n_classes,
        )
        grid = nn.Unflatten(1, (inner, 7, 7))
        decoder = Told(
            (nn.Linear(code_dim, hidden), hidden),
            (nn.Linear(hidden, 49 * inner), 49 * inner),
            (nn.Sequential(grid, nn.ConvTranspose2d(inner, outer, 4, 2, 1)), outer),  # 14 x 14
            (nn.ConvTranspose2d(outer, 1, 4, 2, 1), 1),  # (1, 28, 28), no sigmoid
            n_classes=n_classes,
        )
        super().__init__(encoder, decoder, make_prior(n_classes, n_parts, code_dim), (1, 28, 28))


class Told(nn.Module):
    """Layers with ReLU between them, each with a bias of its own for every class.

    That is what a one-hot label at a layer's input comes to. Of a convolution it is one number for
    each channel, the same at all places.

    Args:
        layers: each with the number of units or channels that it gives.
        n_classes: values that a label can take.
    """

    def __init__(self, *layers: tuple[nn.Module, int], n_classes: int):
        super().__init__()
        self.n_classes = n_classes
        self.layers = nn.ModuleList(layer for layer, _ in layers)
        self.biases = nn.ModuleList(nn.Embedding(n_classes, width) for _, width in layers)
        for bias in self.biases:
            nn.init.normal_(bias.weight, std=0.05)  # of the size of the layers' own weights

    def forward(self, h: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Map images or codes h (B, ...) and labels y (B,) through all layers."""
        check_classes(y, self.n_classes)
        for i, (layer, bias) in enumerate(zip(self.layers, self.biases, strict=True)):
            h = layer(h.relu() if i else h)
            b = bias(y)  # (B, C)
            h = h + b.view(*b.shape, *[1] * (h.ndim - 2))  # the same at every place
        return h
