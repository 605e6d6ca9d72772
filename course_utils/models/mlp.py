"""The multilayer perceptron: fully connected layers from an image to a score for each class."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.models.inputs import check_images, one_of

ACTIVATIONS = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "softplus": nn.Softplus,
    "elu": nn.ELU, "prelu": nn.PReLU, "rrelu": nn.RReLU, "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU, "none": nn.Identity,
}  # fmt: skip
INITS = ("torch", "truncated_normal", "xavier", "he", "zeros")


class MLP(nn.Module):
    """Images x (B, C, H, W) in [0, 1] -> logits (B, n_classes).

    Each hidden layer is linear, then batch norm where asked for, activation, noise, dropout.
    Without hidden layers it is softmax regression. Nothing here knows which pixels are neighbours:
    a fixed permutation of the pixels changes nothing but the order of the first weights.

    Args:
        widths: units of the hidden layers, from the image outwards; () for none.
        activation: "relu", "sigmoid", "tanh", "softplus", "elu", "prelu", "rrelu", "leaky_relu",
            "gelu", or "none" for a linear network.
        dropout: share of hidden units set to zero in training (Srivastava et al. 2014, JMLR 15).
        input_dropout: the same for pixels.
        noise: standard deviation of Gaussian noise added to the pixels in training.
        hidden_noise: the same for the units of the hidden layers.
        batch_norm: normalise each unit over the batch (Ioffe and Szegedy 2015, ICML).
        hidden_init, head_init: initial weights of the hidden layers and of the last one: "torch"
            (its default), "truncated_normal" (0.1, cut at two deviations), "xavier", "he" or
            "zeros"; biases are 0 with all but the first.
        n_classes: scores per image.
        image_shape: (C, H, W) of one image.

    Raises CourseError for words it does not know, widths below 1, shares outside [0, 1), and
    negative noise.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (300,),
        activation: str = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        noise: float = 0.0,
        hidden_noise: float = 0.0,
        batch_norm: bool = False,
        hidden_init: str = "torch",
        head_init: str = "torch",
        n_classes: int = 10,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ):
        super().__init__()
        one_of("activation", activation, ACTIVATIONS)
        for name, share in (("dropout", dropout), ("input_dropout", input_dropout)):
            if not 0 <= share < 1:
                raise CourseError(f"{name} is {share}; a share of units lies in [0, 1)")
        if not all(isinstance(n, int) and n > 0 for n in widths):
            raise CourseError(f"widths are {widths}; each is a whole number, 1 or more")
        sizes = (math.prod(image_shape), *widths)
        self.image_shape = tuple(image_shape)
        layers: list[nn.Module] = [nn.Flatten()]
        if noise:
            layers.append(GaussianNoise(noise))
        if input_dropout:
            layers.append(nn.Dropout(input_dropout))
        for n_in, n_out in itertools.pairwise(sizes):
            layers.append(initialised(nn.Linear(n_in, n_out), hidden_init))
            if batch_norm:
                layers.append(nn.BatchNorm1d(n_out))
            layers.append(ACTIVATIONS[activation]())
            if hidden_noise:
                layers.append(GaussianNoise(hidden_noise))
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.body = nn.Sequential(*layers)
        self.head = initialised(nn.Linear(sizes[-1], n_classes), head_init)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last hidden layer (B, D) of images x (B, C, H, W); without one, the pixels."""
        check_images(self, x)
        return self.body(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


class GaussianNoise(nn.Module):
    """Adds normal noise of standard deviation `sigma` in training, nothing in eval mode.

    Source: Sietsma and Dow 1991, Neural Networks 4. Raises CourseError for a negative sigma.
    """

    def __init__(self, sigma: float):
        super().__init__()
        if not 0 <= sigma < math.inf:
            raise CourseError(f"sigma is {sigma}; a standard deviation is 0 or more")
        self.sigma = sigma

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.sigma * torch.randn_like(x) if self.training else x

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}"


@torch.no_grad()
def initialised(layer: nn.Linear, how: str) -> nn.Linear:
    """Give a linear layer its initial weights and return it; see `MLP` for the words.

    Sources: Glorot and Bengio 2010 ("xavier"), He et al. 2015 ("he"). Raises CourseError for
    another word.
    """
    one_of("init", how, INITS)
    if how == "torch":
        return layer
    nn.init.zeros_(layer.bias)
    if how == "truncated_normal":
        nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
    elif how == "xavier":
        nn.init.xavier_uniform_(layer.weight)
    elif how == "he":
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.zeros_(layer.weight)
    return layer
