"""A conditional GAN of faces: a generator that draws what it is told, a judge that knows the label.

Images carry their label: a fourth channel says it, the same number in every pixel, from -1 for the
first class to 1 for the last. So real and generated pairs of face and label are one tensor each,
and the game of `train.fit_gan` is played for pairs without a change.
"""

from __future__ import annotations

import torch
from torch import nn

from course_utils.models.gan import Discriminator, Generator
from course_utils.models.inputs import check_classes
from course_utils.models.plane_gan import Pair

REACH = (
    5.0  # a bias moves so many times as far as a weight: it has a thousand steps to find its place
)


class ToldGenerator(nn.Module):
    """Codes z (B, 128) and labels y (B,) -> faces (B, 3, 64, 64) in [-1, 1].

    The generator of chapter 06 with a bias for each class after each batch norm; at first all of
    them are zero, and the label changes nothing.
    Source: de Vries et al. 2017, arXiv 1707.00683 (conditional batch norm; its shift alone).

    Args:
        n_classes: labels that there are.
        width, refined: of the generator, as in `Generator`.

    Attributes:
        code_dim: 129 for `forward`: 128 numbers, and one that chooses the label.
        rates: how often each label is to be drawn (A,), of sum 1.
    """

    def __init__(self, n_classes: int = 4, width: int = 32, refined: bool = True):
        super().__init__()
        self.face = Generator(width=width, refined=refined)
        norms = [layer for layer in self.face.layers if isinstance(layer, nn.BatchNorm2d)]
        self.biases = nn.ModuleList(nn.Embedding(n_classes, n.num_features) for n in norms)
        for bias in self.biases:
            nn.init.zeros_(bias.weight)
        self.n_classes, self.code_dim = n_classes, self.face.code_dim + 1
        self.register_buffer("rates", torch.full((n_classes,), 1 / n_classes))

    def draw(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return a face (B, 3, 64, 64) in [-1, 1] for each code z (B, 128) and label y (B,)."""
        check_classes(y, self.n_classes)
        h, biases = z[:, :, None, None], iter(self.biases)
        for layer in self.face.layers:
            h = layer(h)
            if isinstance(layer, nn.BatchNorm2d):
                h = h + REACH * next(biases)(y).to(h.dtype)[:, :, None, None]
        return h

    def labels(self, u: torch.Tensor) -> torch.Tensor:
        """Return the labels (B,) that normal numbers u (B,) choose, each as often as its rate."""
        ends = self.rates.cumsum(0)[:-1]
        return torch.bucketize(torch.special.ndtr(u.float()), ends)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return faces that carry their labels (B, 4, 64, 64) of codes z (B, 129)."""
        y = self.labels(z[:, -1])
        return carrying(self.draw(z[:, :-1], y), y, self.n_classes)


class ToldDiscriminator(nn.Module):
    """Faces that carry their labels (B, 4, 64, 64) -> logits (B,).

    The discriminator of chapter 06, and beside its last layer one for each class, whose logit is
    added: does this look like a face, and does it look like one of this class?
    Source: Miyato and Koyama 2018, arXiv 1802.05637 (projection; the features are not summed here).

    Args:
        n_classes: labels that there are.
        width, norm: of the discriminator, as in `Discriminator`.
    """

    def __init__(self, n_classes: int = 4, width: int = 48, norm: str = "none"):
        super().__init__()
        self.judge, self.n_classes = Discriminator(width, norm), n_classes
        self.of_class = nn.Embedding(n_classes, 8 * width * 16)
        nn.init.zeros_(self.of_class.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = carried(x, self.n_classes)
        h = self.judge.features(x[:, :3])
        return self.judge.last(h).flatten() + (self.of_class(y) * h.flatten(1)).sum(1)


class ToldFaceGAN(Pair):
    """The two networks of a conditional GAN on faces, and the generator's average.

    Args:
        n_classes: labels that there are.
        width, d_width: of generator and discriminator.
    """

    def __init__(self, n_classes: int = 4, width: int = 32, d_width: int = 48):
        super().__init__(
            ToldGenerator, ToldDiscriminator, {"n_classes": n_classes, "width": width},
            {"n_classes": n_classes, "width": d_width},
        )  # fmt: skip


def carrying(x: torch.Tensor, y: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return images x (B, 3, H, W) with one channel more, which says the labels y (B,)."""
    level = 2 * y.to(x.dtype) / (n_classes - 1) - 1
    return torch.cat([x, level[:, None, None, None].expand(-1, 1, *x.shape[2:])], dim=1)


def carried(x: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return the labels (B,) that images (B, 4, H, W) carry, read in the middle: shifts bare edges.

    No gradient passes through it.
    """
    level = x.detach()[:, 3, x.shape[2] // 2, x.shape[3] // 2].float()
    return ((level + 1) / 2 * (n_classes - 1)).round().long().clamp(0, n_classes - 1)
