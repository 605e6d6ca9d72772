"""Checks of chapter 02 on whole networks: what goes in, how much a number sees, what comes out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import metrics
from course_utils.check.calling import Answer
from course_utils.check.exercise import Check, exercise
from course_utils.check.probes import Case, Mistake, Untouched, Values
from course_utils.check.training import coded, error_per_image, floats

# ------------------------------------------------------------------------ how much a number sees

LAYERS = (
    Case(([(3, 1)],), "[(3, 1)], one layer of kernel 3"),
    Case(([(3, 1), (3, 1)],), "[(3, 1), (3, 1)]"),
    Case(([(1, 1), (5, 2)],), "[(1, 1), (5, 2)]"),
    Case(([(3, 2), (3, 1)],), "[(3, 2), (3, 1)]"),
    Case(([(2, 2), (5, 1), (3, 3), (3, 1)],), "[(2, 2), (5, 1), (3, 3), (3, 1)]"),
    Case(([(3, 3), (2, 2), (3, 2), (2, 1)],), "the tutorial's encoder, [(3, 3), (2, 2), (3, 2), "
         "(2, 1)]"),
)  # fmt: skip


def seen(layers) -> int:
    """Count the pixels that change one number in the middle of the last map: the oracle."""
    side = 1
    for size, step in reversed(layers):
        side = (side - 1) * step + size + 4 * step  # a few places more than needed
    x = torch.zeros(1, 1, side, requires_grad=True)
    made = x
    for size, step in layers:
        made = F.conv1d(made, torch.ones(1, 1, size), stride=step)
    made[0, 0, made.shape[-1] // 2].backward()
    return int((x.grad != 0).sum())


def last_stride_alone(layers) -> int:
    """Return the sum where each layer counts in the stride of the one before it alone."""
    strides = [1, *(step for _, step in layers)]
    return 1 + sum((size - 1) * step for (size, _), step in zip(layers, strides, strict=False))


LAYER_MISTAKES = (
    Mistake(
        lambda layers: 1 + sum(size - 1 for size, _ in layers),
        "You leave the strides out: after a stride of 2, neighbours of the map are two pixels "
        "apart",
    ),
    Mistake(
        lambda layers: (
            1
            + sum(
                (size - 1) * math.prod(step for _, step in layers[: i + 1])
                for i, (size, _) in enumerate(layers)
            )
        ),
        "You count a layer's own stride too early: it moves the kernel apart from itself, and "
        "matters to the layers after it",
    ),
    Mistake(
        lambda layers: seen(layers) - 1,
        "You count the pixels that each layer adds, and forget the one to begin with",
    ),
    Mistake(
        lambda layers: (
            seen(layers)
            - 1
            + sum(math.prod(step for _, step in layers[:i]) for i in range(len(layers)))
        ),
        "You add whole kernels: the first place of a kernel is there already",
    ),
    Mistake(
        lambda layers: (
            seen(layers)
            + sum(math.prod(step for _, step in layers[:i]) for i in range(len(layers)))
        ),
        "You add whole kernels: of a kernel one place is there already, so it adds one pixel less "
        "than it has",
    ),
    Mistake(
        last_stride_alone,
        "You keep the stride of the last layer alone: strides multiply from layer to layer",
    ),
    Mistake(
        lambda layers: min(seen(layers), 28),
        "You stop at the 28 pixels of an image: the rim does not matter here, so count on",
    ),
    Mistake(
        lambda layers: seen(layers[::-1]),
        "You go through the layers from the last to the first with a rule for the other way",
    ),
    Mistake(
        lambda layers: int(torch.tensor([size for size, _ in layers]).prod()),
        "You multiply the kernels: a kernel of 3 after a kernel of 3 sees five pixels",
    ),
    Mistake(
        lambda layers: int(torch.tensor([step for _, step in layers]).prod()),
        "Yours is how far apart two numbers of the last map are, not how much one sees",
    ),
    Mistake(
        lambda layers: seen(layers) ** 2,
        "Yours is the area: the pixels along one side are wanted",
    ),
)

receptive_field = Check(
    "receptive_field",
    "02",
    ("layers",),
    probes=(Values("your count", seen, LAYERS, LAYER_MISTAKES),),
    hints=(
        "Draw a row of pixels, above it the map after the first layer, above that the next one. "
        "Mark one number at the top, and go down.",
        "The first layer alone sees its kernel. Which pixels does a second layer of kernel 3 add, "
        "if the first had stride 1? And stride 2?",
        "Keep two numbers while you go through the layers: how much is seen so far, and how many "
        "pixels lie between two neighbours of the map.",
    ),
    opens="A code whose numbers each see a corner of the image cannot know the whole digit.",
)

# ---------------------------------------------------------------------- from photographs to batch


def handed_out_batch(photos):
    """Return photographs, bytes (B, H, W, C), as (B, C, H, W) in [0, 1]."""
    n, height, width, channels = photos.shape
    x = photos.reshape(n, channels, height, width)
    return x.float() / x.max()


def some_photos(n: int, height: int, width: int, most: int) -> torch.Tensor:
    """Return bytes (n, height, width, 3) from 0 to `most`."""
    generator = torch.Generator().manual_seed(height)
    x = torch.randint(0, most + 1, (n, height, width, 3), generator=generator)
    x[-1, -1, -1, -1] = most
    return x.to(torch.uint8)


BATCH_CASES = (
    Case(
        (torch.tensor([[[[51, 102, 0], [153, 0, 204]]]], dtype=torch.uint8),),
        "one photograph of two pixels, [51, 102, 0] and [153, 0, 204]",
    ),
    Case((some_photos(2, 3, 4, 255),), "two photographs of 3 by 4 pixels"),
    Case((some_photos(3, 5, 2, 90),), "three dark photographs, no byte above 90"),
)


def as_floats(photos):
    """Return the batch: the oracle, through a permutation of axes by name."""
    return torch.einsum("bhwc->bchw", photos.double()) / 255


def reshaped(photos):
    """Return the bytes in the shape of a batch, in the order of memory."""
    n, height, width, channels = photos.shape
    return photos.reshape(n, channels, height, width).double()


SCRAMBLED = (
    "reshape leaves the numbers in their order in memory, so that colours and places are mixed up"
)
BRIGHTEST = (
    "dividing by the largest byte of the batch makes an image brighter in dark company: the same "
    "byte must always give the same number"
)
BATCH_MISTAKES = (
    Mistake(
        lambda p: reshaped(p) / p.max(),
        f"Both faults are left: {SCRAMBLED}; and {BRIGHTEST}",
    ),
    Mistake(lambda p: reshaped(p) / 255, f"One fault is left: {SCRAMBLED}"),
    Mistake(lambda p: as_floats(p) * 255 / p.max(), f"One fault is left: {BRIGHTEST}"),
    Mistake(
        lambda p: as_floats(p) * 255 / p.amax((1, 2, 3))[:, None, None, None],
        "You divide each image by its own largest byte, so that a dark photograph gets bright",
    ),
    Mistake(
        lambda p: as_floats(p).transpose(2, 3),
        "Your images are mirrored at the diagonal: rows must stay rows",
    ),
    Mistake(
        lambda p: as_floats(p).flip(1),
        "Your colours are in the reverse order",
    ),
    Mistake(
        lambda p: as_floats(p) * 255 / 256,
        "You divide by 256: a byte is 255 at most, and 255 must give 1",
    ),
    Mistake(
        lambda p: as_floats(p) * 255,
        "Your pixels still run to 255: [0, 1] is wanted",
    ),
    Mistake(
        lambda p: as_floats(p) * 2 - 1,
        "Your pixels lie in [-1, 1], as a tanh wants them: [0, 1] is asked for here",
    ),
    Mistake(
        lambda p: (as_floats(p) * 255).div(255, rounding_mode="floor"),
        "You divide whole numbers by whole numbers and drop the rest: nearly everything is 0",
    ),
)


@exercise(
    "02",
    probes=[
        Values("your batch", as_floats, BATCH_CASES, BATCH_MISTAKES),
        Untouched(BATCH_CASES[0]),
    ],
    starter=handed_out_batch,
    hints=[
        "Make a photograph of two pixels, a red one and a blue one. Which numbers ought to stand "
        "in the red channel?",
        "Then put a dark photograph into a batch of its own, and into one with a bright one.",
        "One fault is a function that changes the shape and not the order; the other is a number "
        "that depends on the batch.",
    ],
    opens="Both faults give images of the right shape and range, and no error.",
)
def repaired_batch(photos):
    """Return photographs, bytes (B, H, W, C), as (B, C, H, W) in [0, 1]."""
    return photos.permute(0, 3, 1, 2).float() / 255


# ------------------------------------------------------------------------------ without blocks

CODE, MOST_PARAMETERS = 16, 20_000
ROUGHEST = 1.4  # blockiness; of the drawn digits themselves it is 1.08 at most


def blockiness_of(images: torch.Tensor) -> float:
    """Return how blocky images are, wherever their blocks of 2 by 2 begin."""
    images = images.clamp(0, 1)
    return max(metrics.blockiness(images, first=1), metrics.blockiness(images, first=2))


def smooth_faults(answer: Answer) -> str | None:
    """Train the answer on drawn digits; look at what it makes of others."""
    train, test = floats(1_000, 31), floats(300, 32)
    model = answer(train)
    z, made = coded(model, test)
    size = parameters_of(model)
    if size > MOST_PARAMETERS:
        return f"Your model has {size:,} parameters; {MOST_PARAMETERS:,} are allowed."
    if z.flatten(1).shape[1] > CODE:
        return f"Your code has {z.flatten(1).shape[1]} numbers: {CODE} are allowed."
    if made.shape != test.shape:
        return f"Your images have shape {tuple(made.shape)}, not {tuple(test.shape)}."
    return picture_fault(made, train, test)


def parameters_of(model) -> int:
    """Count the parameters of a model and of its two halves, each once."""
    modules = [part for part in (model, model.encode, model.decode) if isinstance(part, nn.Module)]
    return sum(p.numel() for p in {p for part in modules for p in part.parameters()})


def picture_fault(made, train, test) -> str | None:
    """Say what is wrong with reconstructions of the test images."""
    ours = error_per_image(made, test)
    average = error_per_image(train.mean(0), test)
    if not ours < 0.98 * average:
        return (
            f"On digits that it never saw your network's error is {ours:.1f}; the average digit, "
            f"without any code, has {average:.1f}: does it train, and does its output reach from 0 "
            "to 1?"
        )
    if not ours < 0.7 * average:
        return (
            f"On digits that it never saw your network's error is {ours:.1f}; below "
            f"{0.7 * average:.1f} is the goal: more passes, or a higher rate."
        )
    if (blocks := blockiness_of(made)) > ROUGHEST:
        return (
            f"The error is fine ({ours:.1f}), and the pictures fall into blocks of two pixels: "
            f"their blockiness is {blocks:.2f}, that of the digits {blockiness_of(test):.2f}. How "
            "many kernels of the last layer write to a pixel?"
        )
    return None


@exercise(
    "02",
    probes=[smooth_faults],
    hints=[
        "Down: two convolutions of stride 2, 28 to 14 to 7, and a linear layer to the code. Up: "
        "the same in reverse.",
        "Look at the chapter's figure of how many kernels write to each pixel. For which kernel, "
        "at stride 2, is it the same number everywhere, and more than one?",
        "Eight channels, a dozen passes in batches of 50, Adam at 3e-3.",
    ],
    opens="The error hardly saw the blocks, which is why one measures what one means.",
    seconds=4,
)
def without_blocks(x):
    """Train a convolutional autoencoder that draws without blocks; return it.

    x: images (N, 1, 28, 28) in [0, 1].
    The model has encode(x) -> (B, 16), decode(z) -> images, and at most
    20,000 parameters.
    """
    torch.manual_seed(0)
    model = nn.Module()
    model.encode = nn.Sequential(
        nn.Conv2d(1, 8, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(8, 8, 4, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 7 * 7, 16),
    )  # fmt: skip
    model.decode = nn.Sequential(
        nn.Linear(16, 8 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (8, 7, 7)),
        nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
    )  # fmt: skip
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(12):
        for batch in x[torch.randperm(len(x))].split(50):
            made = model.decode(model.encode(batch))
            error = (made - batch).square().sum() / len(batch)
            adam.zero_grad()
            error.backward()
            adam.step()
    return model
