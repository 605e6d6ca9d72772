"""Chapter 03: denoising autoencoders, penalties, and networks pretrained layer by layer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from course_utils import data, losses, train
from course_utils.data import Dataset, Split
from course_utils.data.derived import few
from course_utils.models import MLP, RBM, DenoisingMLP, LinearUNet, UNet
from course_utils.models.mlp import ACTIVATIONS
from course_utils.recipes.layerwise import train_machine
from course_utils.recipes.recipe import Recipe, Settings, fit_one_loss, make_optimizer

# ----------------------------------------------------------------- the source's standardised pixels


def standardised(profile: str | None = None) -> Dataset:
    """Return the digits with each pixel less its mean over the training images, over its deviation.

    As scikit-learn's StandardScaler does it: pixels that are always black stay 0. float32.
    """
    dataset = few(1_000)(profile=profile)
    flat = dataset.train.x.flatten(1).double() / 255
    mean, deviation = flat.mean(0), flat.std(0, unbiased=False)
    deviation[deviation == 0] = 1

    def scaled(split: Split) -> Split:
        x = (split.x.flatten(1).double() / 255 - mean) / deviation
        return Split(x.float().view(split.x.shape), split.y)

    return dataset.derived("standardised", scaled)


class Blocks:
    """Batches as source 004 draws them: neighbouring images, from a random place on each time.

    Blocks overlap and leave gaps: after a pass of n / size blocks about 63 % of the images were
    seen. The last image never is.

    Args:
        batches: whose images, labels, size and seed are taken.
    """

    def __init__(self, batches: data.Batches):
        self.batches, self.device, self.epoch = batches, batches.device, 0

    def __len__(self) -> int:
        return max(1, len(self.batches.x) // self.batches.batch_size)

    def starts(self, epoch: int) -> list[int]:
        """Return the places where the blocks of pass `epoch` begin."""
        generator = torch.Generator().manual_seed(self.batches.seed * 1_000_003 + epoch)
        most = max(1, len(self.batches.x) - self.batches.batch_size)
        return torch.randint(0, most, (len(self),), generator=generator).tolist()

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        starts = self.starts(self.epoch)
        self.epoch += 1
        for start in starts:
            part = slice(start, start + self.batches.batch_size)
            yield data.as_float(self.batches.x[part]), self.batches.y[part]


def fit_in_blocks(recipe, settings, model, loaders: dict, **loop) -> list[dict]:
    """Train like `fit_one_loss`, on the source's blocks."""
    return fit_one_loss(
        recipe, settings, model, loaders | {"train": Blocks(loaders["train"])}, **loop
    )


# --------------------------------------------------------------------------- pretraining by layers

PRETRAINING = Settings(epochs=4, batch_size=256, lr=1e-3)
FINE_STEPS = 1_500  # at least, however few labels there are


def labelled(n: int | None):
    """Return a function that loads the digits with n labels for training; the rest are -1.

    None keeps all labels. The images are all there: pretraining needs no labels.
    """

    def load(profile: str | None = None) -> Dataset:
        dataset = few(400)(profile=profile)
        if n is None:
            return dataset
        y = dataset.train.y.clone()
        y[n:] = -1
        sha256 = hashlib.sha256(f"{dataset.sha256} {n} labels".encode()).hexdigest()
        return replace(dataset, sha256=sha256, train=Split(dataset.train.x, y))

    return load


def layers_of(model: MLP) -> list[torch.nn.Linear]:
    """Return the linear layers of an MLP's body, from the image on."""
    return [m for m in model.body if isinstance(m, torch.nn.Linear)]


def pretrain(
    model: MLP, activation: str, kind: str, x: torch.Tensor, seed: int, epochs: int
) -> None:
    """Give the hidden layers of `model` weights, one after the other, without labels.

    Each layer is the encoder of a small machine of its own that is trained on what the layers
    below make of the images. Sources: Hinton et al. 2006 (RBM); Vincent et al. 2010 (denoising).

    The world's random numbers are left alone: with and without pretraining, a network of one seed
    has the same last layer and sees the same batches.

    Args:
        model: an MLP, on the device of x; its layers are changed in place.
        activation: of its hidden layers.
        kind: "denoising" (a quarter of the numbers masked) or "rbm" (contrastive divergence).
        x: images (N, C, H, W) in [0, 1].
        seed: of the weights, the noise and the order of the batches; a layer's are the same for
            every number of layers above it.
        epochs: passes for each layer.
    """
    h = x.flatten(1)
    for depth, layer in enumerate(layers_of(model)):
        bounded = depth == 0 or activation == "sigmoid"
        weight, bias = pretrained_layer(
            h, layer.out_features, activation, bounded, kind, 100 * seed + depth, epochs
        )
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
            h = ACTIVATIONS[activation]()(layer(h))


def pretrained_layer(
    h: torch.Tensor, n: int, activation: str, bounded: bool, kind: str, seed: int, epochs: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train one small machine on h (N, D); return the weights (n, D) and biases (n,) it has learnt.

    Args:
        h: what the layers below make of the images; in [0, 1] where `bounded` says so.
        n: hidden units.
        activation, kind, epochs: see `pretrain`.
        bounded: end in a sigmoid, which cannot leave [0, 1].
        seed: of everything random.
    """
    shape = (h.shape[1],)
    if kind == "rbm":
        rbm = train_machine(partial(RBM, n, shape), losses.contrastive_divergence, h, PRETRAINING,
                            seed, epochs)  # fmt: skip
        return rbm.weight.detach(), rbm.hidden_bias.detach()
    output = "sigmoid" if bounded else "linear"
    build = partial(DenoisingMLP, (n,), activation, output, "xavier", shape)
    layer = train_machine(build, masked_quarter, h, PRETRAINING, seed, epochs).encoder[1]
    return layer.weight.detach(), layer.bias.detach()


def masked_quarter(model, x, y=None) -> dict:
    """`losses.denoising` with a quarter of the numbers masked."""
    return losses.denoising(model, x, masked=0.25)


def fine_tune(
    recipe, settings, model, loaders: dict, kind: str | None, progress=None
) -> list[dict]:
    """Pretrain where a kind is given, then train on the images that have a label; the history."""
    batches = loaders["train"]
    quick = settings.epochs == 1
    if kind:
        x = data.as_float(batches.x)
        epochs = 1 if quick else PRETRAINING.epochs
        pretrain(model, recipe.model_args["activation"], kind, x, batches.seed, epochs)
    known = batches.y >= 0
    few_images, y = batches.x[known], batches.y[known]
    size = min(settings.batch_size, max(1, len(y) // 2))
    deck = data.Batches(few_images, y, size, batches.device, batches.seed, shuffle=True)
    passes = settings.epochs if quick else max(settings.epochs, -(-FINE_STEPS // len(deck)))
    return train.fit(
        model, recipe.loss_fn, deck, epochs=passes, optimizer=make_optimizer(model, settings),
        progress=progress,
    )  # fmt: skip


def from_scratch(recipe, settings, model, loaders: dict, **loop) -> list[dict]:
    """Train on the images that have a label, from torch's weights. Nothing is kept half way."""
    return fine_tune(recipe, settings, model, loaders, None, loop.get("progress"))


def after_denoising(recipe, settings, model, loaders: dict, **loop) -> list[dict]:
    """Train likewise, after layer-wise denoising of all images."""
    return fine_tune(recipe, settings, model, loaders, "denoising", loop.get("progress"))


def after_rbm(recipe, settings, model, loaders: dict, **loop) -> list[dict]:
    """Train likewise, after a stack of restricted Boltzmann machines on all images."""
    return fine_tune(recipe, settings, model, loaders, "rbm", loop.get("progress"))


# First weights of the hidden layers, of variance 2 / (n_in + n_out); four times as large, since the
# slope of a sigmoid is a quarter at most; and of variance 2 / n_in, for rectifiers.
FIRST_WEIGHTS = {
    "xavier": torch.nn.init.xavier_uniform_,
    "xavier4": partial(torch.nn.init.xavier_uniform_, gain=4.0),
    "kaiming": partial(torch.nn.init.kaiming_uniform_, nonlinearity="relu"),
}


def draw_first_weights(model: MLP, rule: str, seed: int) -> None:
    """Draw the weights of the hidden layers again, by a rule of `FIRST_WEIGHTS`; biases become 0.

    The world's random numbers are left alone, as in `pretrain`, and so is the last layer: networks
    of one seed differ in the first weights of their hidden layers alone.

    Args:
        model: an MLP; its hidden layers are changed in place.
        rule: a key of `FIRST_WEIGHTS`.
        seed: of the weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in layers_of(model):
            FIRST_WEIGHTS[rule](layer.weight)
            torch.nn.init.zeros_(layer.bias)


def from_xavier(recipe, settings, model, loaders: dict, **loop) -> list[dict]:
    """Train like `from_scratch`, from Xavier's first weights."""
    draw_first_weights(model, "xavier", loaders["train"].seed)
    return from_scratch(recipe, settings, model, loaders, **loop)


def from_xavier4(recipe, settings, model, loaders: dict, **loop) -> list[dict]:
    """Train like `from_scratch`, from first weights four times as large as Xavier's."""
    draw_first_weights(model, "xavier4", loaders["train"].seed)
    return from_scratch(recipe, settings, model, loaders, **loop)


def from_kaiming(recipe, settings, model, loaders: dict, **loop) -> list[dict]:
    """Train like `from_scratch`, from Kaiming's first weights."""
    draw_first_weights(model, "kaiming", loaders["train"].seed)
    return from_scratch(recipe, settings, model, loaders, **loop)


def accuracy(recipe, model, batches) -> dict[str, float]:
    """Return the accuracy, 0 to 1, on the images that have a label."""
    known = batches.y >= 0
    with torch.no_grad():
        made = [model(x).argmax(1) for x, _ in batches]
    return {"accuracy": float((torch.cat(made) == batches.y)[known].float().mean())}


# ----------------------------------------------------------------------------------------- recipes

SOURCE = Settings(epochs=20, batch_size=128, lr=1e-3)
SHORT = replace(SOURCE, epochs=3)  # what the levers are pulled from, for the sake of time
CYCLE = replace(SOURCE, epochs=15, batch_size=256, schedule="onecycle")
QUICK = Settings(epochs=1, batch_size=128, lr=1e-3)
CLEAN = Settings(epochs=5, batch_size=256, lr=3e-3, optimizer="adamw", weight_decay=0.01,
                 schedule="onecycle", precision="auto", channels_last=True)  # fmt: skip
CLEAN_QUICK = replace(CLEAN, epochs=1, batch_size=8, precision="float32")
WIDE = replace(CLEAN, epochs=8, batch_size=128, lr=5e-3)
DENSE = Settings(epochs=8, batch_size=256, lr=1e-3, schedule="onecycle")
DENSE_QUICK = replace(DENSE, epochs=3, batch_size=32)
HIDDEN = Settings(epochs=5, batch_size=256, lr=1e-3, schedule="onecycle")
HIDDEN_QUICK = replace(HIDDEN, epochs=1)
NOISES = {"0.3": {"sigma": 0.3}, "0.5": {"sigma": 0.5}, "m25": {"masked": 0.25},
          "m50": {"masked": 0.5}}  # fmt: skip
PENALTIES = (0.0, 0.03, 0.1, 0.3)


def _total(name: str, says: str, full: Settings, fit=fit_one_loss, noise=None, seeds=5, **args):
    """Return a recipe for the source's task: standardised pixels, noise of 0.01."""
    return Recipe(
        name, says, DenoisingMLP, args, losses.denoising, full, QUICK, fit=fit, seeds=seeds,
        loss_args=noise or {"sigma": 0.01}, data=standardised,
    )  # fmt: skip


def _unet(name: str, noise: dict) -> Recipe:
    """Return a recipe for a U-Net that takes one kind of noise away."""
    words = ", ".join(f"{k} {v}" for k, v in noise.items())
    return Recipe(
        f"unet_{name}", f"a U-Net that takes noise away: {words}", UNet, {"widths": (8, 16, 32)},
        losses.denoising, CLEAN, CLEAN_QUICK, loss_args=noise, data=few(100), seeds=3,
    )  # fmt: skip


def _wide(name: str, noise: dict, passes: int, seeds: int) -> Recipe:
    """Return a recipe for a U-Net of twice the channels, without a sigmoid."""
    words = ", ".join(f"{k} {v}" for k, v in noise.items())
    return Recipe(
        f"unet_wide_{name}", f"16, 32, 64 channels, linear output, {passes} passes: {words}",
        LinearUNet, {"widths": (16, 32, 64)}, losses.denoising, replace(WIDE, epochs=passes),
        CLEAN_QUICK, loss_args=noise, data=few(100), seeds=seeds,  # up to 20 minutes a run
    )  # fmt: skip


def _wide_sigmoid(name: str, noise: dict, passes: int) -> Recipe:
    """Return a recipe for a U-Net of twice the channels, with the sigmoid."""
    words = ", ".join(f"{k} {v}" for k, v in noise.items())
    return Recipe(
        f"unet_wide_sigmoid_{name}", f"16, 32, 64 channels, {passes} passes: {words}", UNet,
        {"widths": (16, 32, 64)}, losses.denoising, replace(WIDE, epochs=passes), CLEAN_QUICK,
        loss_args=noise, data=few(100),
    )  # fmt: skip


def _dense(name: str, noise: dict) -> Recipe:
    """Return a recipe for 784-512-784, for one kind of noise or none."""
    words = ", ".join(f"{k} {v}" for k, v in noise.items()) or "none"
    return Recipe(
        f"dense_{name}", f"784-512-784, ReLU; noise: {words}", DenoisingMLP,
        {"widths": (512,), "activation": "relu", "output": "sigmoid", "decoder_init": "xavier"},
        losses.denoising, DENSE, DENSE_QUICK, loss_args=noise, data=few(400), seeds=5,
    )  # fmt: skip


def _hidden(name: str, says: str, **loss_args) -> Recipe:
    """Return a recipe for 784-256-784 with ReLU units, which penalties or noise restrain."""
    return Recipe(
        name, says, DenoisingMLP,
        {"widths": (256,), "activation": "relu", "output": "sigmoid", "decoder_init": "xavier"},
        losses.sparse_denoising, HIDDEN, HIDDEN_QUICK, loss_args=loss_args, data=few(1_000),
        seeds=5,
    )  # fmt: skip


FITS = {"scratch": from_scratch, "denoising": after_denoising, "rbm": after_rbm}
FITS |= {"xavier": from_xavier, "xavier4": from_xavier4, "kaiming": from_kaiming}
STARTS = {  # restricted Boltzmann machines have units that are on or off, not rectified
    "sigmoid": ("scratch", "xavier", "xavier4", "denoising", "rbm"),
    "relu": ("scratch", "kaiming", "denoising"),
}
FINE = Settings(epochs=5, batch_size=128, lr=1e-3)


def _stack(kind: str, activation: str, depth: int, labels: int | None) -> Recipe:
    """Return a recipe for a perceptron: its first weights, or its pretraining, are its kind."""
    return Recipe(
        f"stack_{kind}_{activation}_{depth}_{labels or 'all'}",
        f"{depth} x 256 {activation} units, {kind}, {labels or 'all'} labels", MLP,
        {"widths": (256,) * depth, "activation": activation}, losses.classification,
        FINE, replace(FINE, epochs=1), data=labelled(labels),
        seeds=3, fit=FITS[kind], score=accuracy,
    )  # fmt: skip


STACKS = [
    _stack(kind, activation, depth, labels)
    for activation in ("sigmoid", "relu")
    for depth in (1, 3)
    for labels in (100, 1_000, None)
    for kind in STARTS[activation]
]

RECIPES = [
    _total("dae_source", "784-200-784, softplus, shared noise, blocks, as source 004", SOURCE,
           fit=fit_in_blocks, noise={"sigma": 0.01, "shared": True}),
    _total("dae_short", "every image once a pass, each with its own noise; 3 passes", SHORT),
    _total("dae_no_noise", "... without noise", SHORT, noise={"sigma": 0.0}),
    _total("dae_batches", "... with batches of 32", replace(SHORT, batch_size=32)),
    _total("dae_shuffled", "... with 10 passes", replace(SHORT, epochs=10)),
    _total("dae_optimizer", "... with a rate that rises to 3e-3 and falls",
           replace(SHORT, lr=3e-3, schedule="onecycle")),
    _total("dae_layers", "... through 1,000 units to 200", SHORT, widths=(1000, 200)),
    _total("dae_units", "... with 400 units", SHORT, widths=(400,)),
    _total("dae_repaired", "784-1024-200-1024-784, GELU, 15 passes", CYCLE,
           widths=(1024, 200), activation="gelu", decoder_init="xavier", seeds=3),
    *(_unet(name, noise) for name, noise in NOISES.items()),
    Recipe("unet_linear_0.3", "the U-Net of `unet_0.3` without its sigmoid; for pages and phones",
           LinearUNet, {"widths": (8, 16, 32)}, losses.denoising, CLEAN, CLEAN_QUICK,
           loss_args={"sigma": 0.3}, data=few(100), seeds=3),
    _wide("0.3", NOISES["0.3"], passes=8, seeds=1),
    _wide("m50", NOISES["m50"], passes=5, seeds=2),
    _wide_sigmoid("0.3", NOISES["0.3"], passes=12),
    *(_dense(name, noise) for name, noise in ({"none": {}} | NOISES).items()),
    *(_hidden(f"sparse_a{i}", f"784-256-784, ReLU, L1 of {weight} on activations",
              activations=weight) for i, weight in enumerate(PENALTIES)),
    *(_hidden(f"sparse_w{i}", f"784-256-784, ReLU, L1 of {weight / 100:.4g} on weights",
              weights=weight / 100) for i, weight in enumerate(PENALTIES) if i),
    *STACKS,
]  # fmt: skip
