"""What convolutional layers do, counted and looked at: sizes, matrices, reach, cost."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.errors import CourseError
from course_utils.metrics.features import evaluating


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Return how many pixels a convolution or pooling makes of `size` along one side.

    The kernel fits at floor((size + 2 padding - kernel) / stride) + 1 places. Raises CourseError
    where it fits nowhere, and for numbers that are no sizes.
    """
    check_sizes(size=(size, 1), kernel=(kernel, 1), stride=(stride, 1), padding=(padding, 0))
    if kernel > size + 2 * padding:
        raise CourseError(
            f"a kernel of {kernel} does not fit into {size} pixels with a padding of {padding}"
        )
    return (size + 2 * padding - kernel) // stride + 1


def transposed_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Return how many pixels a transposed convolution makes of `size` along one side.

    (size - 1) stride + kernel, less the padding that is cut off on both sides. Raises CourseError
    where nothing is left, and for numbers that are no sizes.
    """
    check_sizes(size=(size, 1), kernel=(kernel, 1), stride=(stride, 1), padding=(padding, 0))
    made = (size - 1) * stride + kernel - 2 * padding
    if made < 1:
        raise CourseError(f"a padding of {padding} cuts off all that the kernels of {kernel} make")
    return made


def check_sizes(**given: tuple[int, int]) -> None:
    """Raise CourseError unless each named (value, least) is a whole number, `least` or more."""
    for name, (value, least) in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise CourseError(f"{name} is {value!r}; it must be a whole number, {least} or more")


@torch.no_grad()
def as_matrix(layer: nn.Module, shape: tuple[int, int, int]) -> torch.Tensor:
    """Return the matrix (n_out, n_in) of a linear map of images, its bias left out.

    Column j is what the layer makes of an image that is 1 at pixel j and 0 elsewhere.

    Args:
        layer: takes (B, C, H, W); a convolution, transposed convolution, average pooling, ...
        shape: (C, H, W) of one image, small: the matrix has C H W columns.

    Raises CourseError for a layer that is not linear (after its bias).
    """
    n = torch.Size(shape).numel()
    constant = layer(torch.zeros(1, *shape)).flatten()
    columns = layer(torch.eye(n).view(n, *shape)).flatten(1) - constant
    probe = torch.linspace(-1, 1, n)
    made = layer(probe.view(1, *shape)).flatten() - constant
    if not torch.allclose(made, probe @ columns, atol=1e-3, rtol=1e-3):
        raise CourseError(f"{type(layer).__name__} is no linear map; it has no matrix")
    return columns.T.contiguous()


@torch.no_grad()
def coverage(size: int, kernel: int, stride: int, padding: int = 0) -> torch.Tensor:
    """Return how many kernels of a transposed convolution write to each pixel: (n, n), whole.

    Uneven numbers are seen in pictures as a chessboard (Odena et al. 2016, Distill,
    doi 10.23915/distill.00003); ones everywhere mean kernels that never overlap, so blocks.

    Args:
        size: pixels along a side of what comes in; kernel, stride, padding: of the layer.

    Raises CourseError as `transposed_size` does.
    """
    transposed_size(size, kernel, stride, padding)
    places, ones = torch.ones(1, 1, size, size), torch.ones(1, 1, kernel, kernel)
    return F.conv_transpose2d(places, ones, stride=stride, padding=padding)[0, 0]


def receptive_field(part: nn.Module, x: torch.Tensor, place: tuple[int, int]) -> torch.Tensor:
    """Return how strongly each pixel moves one place of a feature map: (H, W), 0 or more.

    The root mean square, over images and channels, of the gradients of the outputs at `place`
    with respect to the pixels. Where it is 0, the place is blind. Source: Luo et al. 2016,
    arXiv 1701.04128.

    Args:
        part: from images (B, C, H, W) to feature maps (B, K, h, w).
        x: images (B, C, H, W), floats; random ones where data would hide pixels that are always 0.
        place: row and column of the feature map.

    Raises CourseError for a place outside the map, or a part that makes no maps.
    """
    x = x.detach().clone().requires_grad_()
    # in eval mode: batch statistics would join all pixels of the batch
    with evaluating(part), torch.enable_grad():
        maps = part(x)
        if maps.ndim != 4:
            raise CourseError(f"the part makes {tuple(maps.shape)}; feature maps are (B, K, h, w)")
        row, column = place
        if not (0 <= row < maps.shape[2] and 0 <= column < maps.shape[3]):
            raise CourseError(f"place {place} lies outside of maps of {tuple(maps.shape[2:])}")
        total = x.new_zeros(x.shape[2:])
        for channel in range(maps.shape[1]):
            (slope,) = torch.autograd.grad(
                maps[:, channel, row, column].sum(), x, retain_graph=True
            )
            total += slope.square().mean((0, 1)) / maps.shape[1]
    return total.sqrt()


@torch.no_grad()
def multiplications(model: nn.Module, x: torch.Tensor) -> int:
    """Return the multiplications of one image's way through `model`, padding counted like pixels.

    Counted in linear layers, convolutions and transposed convolutions; a bias, a norm or an
    activation adds a little that is not counted.

    Args:
        model: any module; called as model(x) in eval mode.
        x: one image (1, C, H, W).
    """
    counts: list[int] = []

    def count(layer: nn.Module, inputs, made: torch.Tensor) -> None:
        each = layer.weight[0].numel()  # of one output, or of one input of a transposed layer
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else made
        counts.append(each * places.numel() // len(places))

    kinds = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, kinds)]
    try:
        with evaluating(model):
            model(x)
    finally:  # a model that fails must not go on counting
        for hook in hooks:
            hook.remove()
    return sum(counts)


def moved(x: torch.Tensor, right: int = 0, down: int = 0) -> torch.Tensor:
    """Return images x (B, C, H, W) moved by whole pixels; what moves in from outside is 0.

    Args:
        x: images, uint8 or float.
        right, down: pixels, negative for left and up.

    Raises CourseError for a move of the image's own size or more.
    """
    height, width = x.shape[-2:]
    if abs(right) >= width or abs(down) >= height:
        raise CourseError(f"a move by ({right}, {down}) leaves nothing of {height} x {width}")
    made = torch.zeros_like(x)
    rows, columns = span(down, height), span(right, width)
    made[..., rows[1], columns[1]] = x[..., rows[0], columns[0]]
    return made


def span(by: int, size: int) -> tuple[slice, slice]:
    """Return which part of a side stays in sight when it moves, and where it then lies."""
    return slice(max(0, -by), size - max(0, by)), slice(max(0, by), size - max(0, -by))
