"""The catalogue of chapter 02: convolutions, poolings, photographs, and pictures without blocks."""

from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from check_answers import enter, right, wrong
from torch import nn

# ------------------------------------------------------------------------------ pooling


@right("max_pool")
def pool_in_loops(x, size):
    n, c, h, w = x.shape
    made = torch.zeros(n, c, h // size, w // size, dtype=x.dtype)
    for i in range(h // size):
        for j in range(w // size):
            square = x[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
            made[:, :, i, j] = square.flatten(2).max(-1).values
    return made


@wrong("max_pool", "gives 0")
def pool_from_zero(x, size):
    made = torch.zeros(*x.shape[:2], x.shape[2] // size, x.shape[3] // size, dtype=x.dtype)
    for i in range(size):
        for j in range(size):
            part = x[:, :, i::size, j::size][:, :, : made.shape[2], : made.shape[3]]
            made = torch.maximum(made, part)
    return made


enter(
    "max_pool",
    {
        "the mean of each square": nn.functional.avg_pool2d,
        "the smallest": lambda x, s: -F.max_pool2d(-x, s),
        "first pixel": lambda x, s: F.avg_pool2d(x, 1, s)[
            :, :, : x.shape[2] // s, : x.shape[3] // s
        ],
        "drop the signs": lambda x, s: F.max_pool2d(torch.abs(x), (s, s)),
        "overlap": lambda x, s: x.unfold(2, s, 1).unfold(3, s, 1).amax((-1, -2)),
        "left at the rim": lambda x, s: F.max_pool2d(x, s, ceil_mode=True),
        "along the rows only": lambda x, s: F.max_pool2d(x, (1, s)),
        "along the columns only": lambda x, s: F.max_pool2d(x, (s, 1)),
        "over the channels too": lambda x, s: F.max_pool2d(x, s).max(1, keepdim=True).values,
        "whole image": lambda x, s: x.flatten(2).max(-1).values,
        "It was called for": lambda x, s: x.reshape(*x.shape[:2], 2 * s + 1, -1).amax(-1),
        "It was called for two images of 5 by 7": lambda x, s: x.reshape(
            *x.shape[:2], x.shape[2] // s, s, x.shape[3] // s, s
        ).amax((3, 5)),
    },
    [
        lambda x, s: nn.MaxPool2d(s)(x),
        lambda x, s: x.unfold(2, s, s).unfold(3, s, s).amax((-1, -2)),
        lambda x, s: F.max_pool2d(F.max_pool2d(x, (1, s)), (s, 1)),
    ],
)


@wrong("max_pool", "follow one another in memory")
def pool_of_runs(x, size):
    n, c, h, w = x.shape
    x = x[:, :, : h // size * size, : w // size * size]
    return x.reshape(n, c, h // size, w // size, -1).max(-1).values


# ------------------------------------------------------------------------------ up again


def laid_down(x, kernel, stride, length=None, add=True):
    """A transposed convolution, put together from its lines."""
    k = len(kernel)
    made = torch.zeros(length or (len(x) - 1) * stride + k, dtype=x.dtype)
    for i in range(len(x)):
        for j in range(k):
            place = i * stride + j
            if place < len(made):
                made[place] = x[i] * kernel[j] + (made[place] if add else 0)
    return made


@right("transposed_conv")
def up_by_matrix(x, kernel, stride):
    rows = [
        F.pad(kernel, (i * stride, (len(x) - 1 - i) * stride)).to(x.dtype) for i in range(len(x))
    ]
    return x @ torch.stack(rows)


@right("transposed_conv")
def up_by_gaps(x, kernel, stride):
    apart = F.pad(x[:, None], (0, stride - 1)).flatten()
    apart = apart[: (len(x) - 1) * stride + 1]
    return F.conv1d(apart[None, None], kernel.flip(0)[None, None], padding=len(kernel) - 1)[0, 0]


enter(
    "transposed_conv",
    {
        "the later one replaces": lambda x, k, s: laid_down(x, k, s, add=False),
        "you take their mean": lambda x, k, s: laid_down(x, k, s)
        / laid_down(torch.ones_like(x), torch.ones_like(k), s).clamp(min=1),
        "turned round": lambda x, k, s: laid_down(x, torch.flip(k, (0,)), s),
        "a gap after the last": lambda x, k, s: laid_down(x, k, s, length=len(x) * s + len(k) - 1),
        "stop after size": lambda x, k, s: laid_down(x, k, s)[: len(x) * s],
        "the stride out": lambda x, k, s: laid_down(x, k, 1),
        "the kernel is not used": lambda x, k, s: x.repeat_interleave(s) * 1.0,
        "Yours is a convolution": lambda x, k, s: F.conv1d(
            x[None, None], k[None, None], stride=s, padding=len(k) - 1
        ).flatten(),
        "with TypeError": lambda x, k, s: x.repeat(s, kernel=k),
        "No gradient": lambda x, k, s: laid_down(x.detach(), k.detach(), s),
    },
    [
        laid_down,
        lambda x, k, s: nn.functional.conv_transpose1d(x.view(1, 1, -1), k.view(1, 1, -1), stride=s)
        .flatten(),
    ],
)  # fmt: skip

# ------------------------------------------------------------------------------ fields


@right("receptive_field")
def field_from_the_top(layers):
    side = 1
    for k, s in reversed(layers):
        side = s * (side - 1) + k
    return side


@right("receptive_field")
def field_as_one_sum(layers):
    strides = [s for _, s in layers]
    return 1 + sum((k - 1) * int(np.prod(strides[:i])) for i, (k, _) in enumerate(layers))


@right("receptive_field")
def field_of_places(layers):
    """Follow the pixels themselves."""
    places = {0}
    for k, s in layers[::-1]:
        places = {p * s + i for p in places for i in range(k)}
    return max(places) - min(places) + 1


def field_with_jump(layers, first=1, extra=-1, early=False):
    """A field by the usual rule, with slips."""
    r, j = first, 1
    for k, s in layers:
        if early:
            j *= s
        r += (k + extra) * j
        if not early:
            j *= s
    return r


enter(
    "receptive_field",
    {
        "leave the strides out": lambda layers: 1 + sum(k - 1 for k, _ in layers),
        "own stride too early": lambda layers: field_with_jump(layers, early=True),
        "forget the one": lambda layers: field_with_jump(layers, first=0),
        "add whole kernels": lambda layers: field_with_jump(layers, first=0, extra=0),
        "it adds one pixel less": lambda layers: field_with_jump(layers, extra=0),
        "strides multiply": lambda layers: (
            layers[0][0]
            + sum((k - 1) * s for (k, _), (_, s) in zip(layers[1:], layers[:-1], strict=True))
        ),
        "stop at the 28": lambda layers: min(field_from_the_top(layers), 28),
        "a rule for the other way": lambda layers: field_with_jump(list(reversed(layers))),
        "multiply the kernels": lambda layers: int(np.prod([k for k, _ in layers])),
        "how far apart": lambda layers: int(np.prod([s for _, s in layers])),
        "Yours is the area": lambda layers: field_with_jump(layers) ** 2,
        "is not right yet": lambda layers: layers[0][0],
    },
    [field_with_jump],
)

# ------------------------------------------------------------------------------ photographs


@wrong("repaired_batch", "changes the photos")
def batch_in_place(photos):
    made = photos.permute(0, 3, 1, 2).float() / 255
    photos.zero_()
    return made


enter(
    "repaired_batch",
    {
        "Both faults": lambda p: (p.view(len(p), 3, *p.shape[1:3]) / p.max()).float(),
        "One fault is left: reshape": lambda p: p.reshape(len(p), 3, *p.shape[1:3]) / 255,
        "One fault is left: dividing": lambda p: p.permute(0, 3, 1, 2) / p.max(),
        "its own largest byte": lambda p: torch.stack(
            [one.permute(2, 0, 1) / one.max() for one in p]
        ),
        "mirrored at the diagonal": lambda p: p.transpose(1, 3) / 255,
        "reverse order": lambda p: p.flip(-1).movedim(3, 1) / 255,
        " is 0.99, not 0.9922": lambda p: (p.movedim(-1, 1) / 255).clamp(max=0.99),
        "divide by 256": lambda p: p.movedim(-1, 1) / 256,
        "still run to 255": lambda p: p.movedim(-1, 1).float(),
        "as a tanh": lambda p: p.movedim(-1, 1) / 127.5 - 1,
        "nearly everything is 0": lambda p: (p.movedim(-1, 1) // 255).float(),
        "has shape": lambda p: p.float() / 255,
    },
    [
        lambda p: p.movedim(-1, 1) / 255,
        lambda p: p.transpose(2, 3).transpose(1, 2).double().div(255),
        lambda p: torch.stack([(p[..., i] / 255) for i in range(3)], dim=1),
        lambda p: torch.from_numpy(p.numpy().transpose(0, 3, 1, 2).astype(np.float32) / 255),
    ],
)

# ------------------------------------------------------------------------------ blocks


def conv_ae(x, up, steps=240, c=8, code=16, lr=3e-3, mean=False):
    """A small convolutional autoencoder, trained; `up` makes the layers on the way up."""
    torch.manual_seed(2)
    encode = nn.Sequential(
        nn.Conv2d(1, c, 4, 2, 1), nn.ReLU(), nn.Conv2d(c, c, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(49 * c, code),
    )  # fmt: skip
    decode = nn.Sequential(
        nn.Linear(code, 49 * c), nn.ReLU(), nn.Unflatten(1, (c, 7, 7)), up(c, c), nn.ReLU(),
        up(c, 1),
    )  # fmt: skip
    model = nn.ModuleDict({"e": encode, "d": decode})
    model.encode, model.decode = encode, decode
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for _ in range(steps):
        batch = x[torch.randperm(len(x))[:50]]
        error = (decode(encode(batch)) - batch).square().flatten(1).sum(1).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return model


def kernel_2(i, o):
    return nn.ConvTranspose2d(i, o, 2, stride=2)


def kernel_4(i, o):
    return nn.ConvTranspose2d(i, o, 4, stride=2, padding=1)


def kernel_3(i, o):
    return nn.ConvTranspose2d(i, o, 3, stride=2, padding=1, output_padding=1)


def repeated(i, o):
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(i, o, 3, padding=1))


enter(
    "without_blocks",
    {
        "fall into blocks": lambda x: conv_ae(x, kernel_2),
        "does it train": lambda x: conv_ae(x, kernel_4, steps=0),
        "is the goal": lambda x: conv_ae(x, kernel_4, steps=40),
        "parameters": lambda x: conv_ae(x, kernel_4, steps=1, c=16),
        "Your code has 20": lambda x: conv_ae(x, kernel_4, steps=1, code=20),
        "without `encode`": lambda x: x.mean(0),
        "have shape": lambda x: SimpleNamespace(
            encode=lambda v: torch.zeros(len(v), 16), decode=lambda z: torch.zeros(len(z), 784)
        ),
        "with RuntimeError": lambda x: SimpleNamespace(encode=lambda v: v.view(3), decode=abs),
    },
    [
        lambda x: conv_ae(x, kernel_3),
        lambda x: conv_ae(x, repeated),
        lambda x: conv_ae(x, kernel_4, steps=400),
    ],
)
