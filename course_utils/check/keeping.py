"""Checks of the page on conditional faces: a face with other labels, and a silent code."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.check.calling import Answer, evaluating
from course_utils.check.exercise import exercise
from course_utils.data import drawn_faces

# ------------------------------------------------------------------------- one face, four labels


def handed_out_swap(encode, decode, x, y):
    """Return each image's code, decoded with four labels, (B, 4, ...)."""
    columns = []
    for k in range(4):
        label = torch.full_like(y, k)
        mu, logvar = encode(x, label)
        z = mu + (logvar / 2).exp() * torch.randn_like(mu)
        columns.append(decode(z, label))
    return torch.stack(columns)


def encode_traced(x, y):
    """Return whole numbers as means, which image and which label, and a spread of a tenth."""
    mu = torch.stack([x.flatten(1).sum(1), y.to(x)], dim=1)
    return mu, torch.full_like(mu, -4.6)


def decode_traced(z, y):
    """Return code and label in place of an image; TypeError, in words, for something else."""
    if not isinstance(z, torch.Tensor):
        raise TypeError(f"decode takes codes (B, Z), not a {type(z).__name__}; encode gives two "
                        "things, mu and logvar")  # fmt: skip
    if not isinstance(y, torch.Tensor):
        raise TypeError(
            f"decode takes a label for each code, (B,), not a single {type(y).__name__}"
        )
    return torch.cat([z, y[:, None].to(z)], dim=1)


TOLD_NEW = (
    "the encoder is told the new label, and reads the image as if it were so: it is told what the "
    "image has"
)
NOISE = (
    "noise is drawn for each label, so that the face changes, too: the mean of the code is wanted"
)
NOISE_ONCE = (
    "noise is drawn for each image, so that a row shows a face near the one that was given: the "
    "mean of the code is wanted"
)
TURNED = "the labels run down the batch: (B, 4, ...) is wanted"
COUNTS = {1: "One fault is left: {}.", 2: "Two faults are left: {}; and {}.",
          3: "All three are there still: {}; {}; and {}."}  # fmt: skip


def swap_faults(answer: Answer) -> str | None:
    """Say which of the three faults an answer has, by what comes back of whole numbers."""
    x, y = torch.tensor([10.0, 20.0, 30.0]).view(3, 1, 1, 1), torch.tensor([2, 0, 3])
    made = answer.tensor(encode_traced, decode_traced, x, y)
    turned = made.shape == (4, 3, 3)
    made = made.transpose(0, 1) if turned else made
    if made.shape != (3, 4, 3):
        return (
            f"Yours has shape {tuple(made.shape)} for three images whose pictures have 3 numbers: "
            "(3, 4, 3) is wanted."
        )
    image, told, label = made.round().unbind(-1)
    if not label.eq(torch.arange(4.0)).all():
        return "Your pictures are not decoded with the labels 0, 1, 2, 3 in this order."
    if not image.eq(x.view(3, 1)).all():
        return "Your rows mix the images: a row has one code, four times."
    found = [TOLD_NEW] if not told.eq(y[:, None]).all() else []
    if (made - made.round()).abs().max() > 1e-4:
        once = torch.allclose(made[..., :2], made[:, :1, :2].expand(-1, 4, -1))
        found.append(NOISE_ONCE if once else NOISE)
    found += [TURNED] if turned else []
    return COUNTS[len(found)].format(*found) if found else None


@exercise(
    "conditional_faces",
    probes=[swap_faults],
    starter=handed_out_swap,
    hints=[
        "Which of the two networks should hear a label that is not true?",
        "The face is to be the same in a row: encode once, before the loop, and draw nothing.",
        "`torch.stack` takes the dimension along which it stacks.",
    ],
    opens="Whatever changes along a row is now the work of the label alone.",
)
def repaired_swap(encode, decode, x, y):
    """Return each image's code, decoded with four labels, (B, 4, ...)."""
    mu, _ = encode(x, y)
    columns = [decode(mu, torch.full_like(y, k)) for k in range(4)]
    return torch.stack(columns, dim=1)


# --------------------------------------------------------------------------------- a silent code

TRAIN, TEST = 1_200, 300
MOST_READ, MOST_LOST, LEAST_OBEYED = 0.4, 8.5, 0.8


@functools.cache
def small_faces() -> tuple[torch.Tensor, torch.Tensor]:
    """Return drawn faces (N, 3, 16, 16) in [0, 1] and their hairstyles (N,)."""
    x, factors = drawn_faces.faces(TRAIN + TEST, seed=5)
    hair = factors[:, drawn_faces.NAMES.index("hairstyle")].long()
    return F.avg_pool2d(x.float() / 255, 4), hair


def linear_reader(x, y, ridge: float):
    """Return a function that reads labels from rows like x (N, D), fitted by least squares."""
    mean, std = x.mean(0), x.std(0) + 1e-6
    rows = (x - mean) / std
    gram = rows.T @ rows + ridge * torch.eye(rows.shape[1]).to(rows)
    weights = torch.linalg.solve(gram, rows.T @ (F.one_hot(y, 4).to(rows) - 0.25))
    return lambda x: ((x - mean) / std @ weights).argmax(1)


def keeps_quiet(answer: Answer) -> str | None:
    """Train the answer, and ask its codes for the hair, its decoder for another one."""
    x, y = small_faces()
    made = answer(x[:TRAIN], y[:TRAIN])
    if not (isinstance(made, tuple) and len(made) == 2 and all(map(callable, made))):
        return "Your function is to return two functions, encode and decode."
    encode, decode = made
    with evaluating(encode):
        z = encode(x, y)
        if not isinstance(z, torch.Tensor) or z.ndim != 2 or len(z) != len(x):
            return "encode gives no codes (N, Z): of a mean and a variance it returns the mean."
        tests, true = z[TRAIN:], y[TRAIN:]
        false = (true[:, None] + torch.arange(1, 4)) % 4
        same, other = decode(tests, true), decode(tests.repeat_interleave(3, 0), false.flatten())
    if same.shape != (TEST, 3, 16, 16):
        return f"decode gives {tuple(same.shape)} for {TEST} codes: ({TEST}, 3, 16, 16) is wanted."
    if not (z.isfinite().all() and same.isfinite().all() and other.isfinite().all()):
        return "Codes or pictures are not finite: the training has run away."
    lost = (same - x[TRAIN:]).square().sum((1, 2, 3)).mean().item()
    reader = linear_reader(x[:TRAIN].flatten(1), y[:TRAIN], ridge=30.0)
    obeyed = (reader(other.flatten(1)) == false.flatten()).double().mean().item()
    probe = linear_reader(z[:TRAIN].double(), y[:TRAIN], ridge=1.0)
    read = (probe(tests.double()) == true).double().mean().item()
    return quiet_fault(lost, obeyed, read)


def quiet_fault(lost: float, obeyed: float, read: float) -> str | None:
    """Say which of three numbers misses its mark, the most telling one first."""
    if lost > MOST_LOST:
        return (
            f"The squared error is {lost:.1f} on held-out faces: {MOST_LOST} at most is wanted. A "
            "code that says nothing is silent, too, and no use."
        )
    if obeyed < LEAST_OBEYED:
        return (
            f"A false label is obeyed in {obeyed:.0%} of all cases: {LEAST_OBEYED:.0%} are wanted. "
            "Is the decoder told?"
        )
    if read > MOST_READ:
        return (
            f"A linear reader finds the hairstyle in {read:.0%} of the codes: {MOST_READ:.0%} at "
            "most is wanted, and chance is 25%. The decoder listens, and the code repeats the "
            "label all the same."
        )
    return None


@exercise(
    "conditional_faces",
    probes=[keeps_quiet],
    hints=[
        "Tell both networks the label. Without a penalty the code still gives the hair away in "
        "half of all cases.",
        "`codes_apart` compares two labels. Six pairs of four labels make a penalty; a thousand "
        "times their mean is not too much.",
        "In 8 numbers there is room for a small face, and little for the hair beside it. A "
        "variance of the pixels of 0.01 goes with it.",
    ],
    opens="Nobody told the code what hair is: it was told not to tell.",
    seconds=6,
)
def quiet_code(x, y):
    """Train a conditional VAE; return encode(x, y) and decode(z, y).

    x: faces (N, 3, 16, 16) in [0, 1].  y: hairstyles (N,), 0 to 3.
    Codes are (N, Z), means; decode makes images of them.
    """
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(772, 256), nn.ReLU(), nn.Linear(256, 16))
    decoder = nn.Sequential(nn.Linear(12, 256), nn.ReLU(), nn.Linear(256, 768))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2e-3)
    label = torch.eye(4)

    def near(a, b):
        return (-torch.cdist(a, b).square() / (2 * a.shape[1])).exp()

    def apart(a, b):
        own = 0
        for c in (a, b):
            own += (near(c, c).sum() - len(c)) / (len(c) * (len(c) - 1))
        return own - 2 * near(a, b).mean()

    def encode(x, y):
        return encoder(torch.cat([x.flatten(1), label[y]], 1))[:, :8]

    def decode(z, y):
        made = decoder(torch.cat([z, label[y]], 1)).sigmoid()
        return made.view(-1, 3, 16, 16)

    for _ in range(15):
        for rows in torch.randperm(len(x)).split(60):
            told = torch.cat([x[rows].flatten(1), label[y[rows]]], 1)
            mu, logvar = encoder(told).chunk(2, dim=1)
            z = mu + torch.randn_like(mu) * (logvar / 2).exp()
            error = (decode(z, y[rows]) - x[rows]).square().sum()
            kl = (mu.square() + logvar.exp() - 1 - logvar).sum() / 2
            of = [z[y[rows] == k] for k in range(4)]
            pairs = torch.combinations(torch.arange(4)).tolist()
            penalty = sum(apart(of[i], of[j]) for i, j in pairs) / 6
            loss = (error / 0.02 + kl) / len(rows) + 1000 * penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return encode, decode
