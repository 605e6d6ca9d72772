"""What was trained for chapter 06 and is part of the package.

    generator = load_face_generator()          # the averaged generator of the rung "faces_on"
    records = ladder_records()                 # scores and histories of all rungs
    samples = ladder_samples("dcgan")          # pictures that a rung made
    judges = outside_judges()                  # what networks of others say of samples

A ladder of GANs on 10,794 photographs takes minutes of a large graphics card and days of a
processor. `course_tools/gan_ladder` trained it; what it measured is kept as it came. The rung
"faces" is the recipe `gan_faces`, trained on a processor, and "faces_on" is `gan_faces_on`, which
went on from it; `course_tools/keep_faces.py` put them here.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from pathlib import Path

import torch

from course_utils import checkpoint, folders, provenance
from course_utils.errors import CourseError
from course_utils.models.gan import Generator
from course_utils.recipes.referee import ASSETS

SHA256 = {  # of the files that are kept
    "face_ladder.json": "63f94d5b3bd922f63f19b58fa7b4d54576b8ce7077ed2ef8df9a40374d501cc1",
    "face_ladder.safetensors": "0aafd63c6281daa900c55054b616e987693f1c6ccccc590599672addb0e2979d",
    "outside_judges.json": "e8ee7294797ca30bb5f2cf01827e87e779a6be8fd19fa900734c3eacf371d200",
    "face_generator.safetensors": "f71fb1adbc065d5944e2a60be6997dcfca15adecbdecd445aa553ee1e29694b2",  # noqa: E501
}


def asset(name: str) -> Path:
    """Return the path of a file of the package; CourseError where it is not the right one."""
    path = ASSETS / name
    if hashlib.sha256(folders.read_bytes(path)).hexdigest() != SHA256[name]:
        raise CourseError(f"{path} is not that of this course; restore it with git checkout")
    return path


@functools.cache
def load_face_generator() -> torch.nn.Module:
    """Return the kept generator in eval mode: codes z (B, 128) -> faces (B, 3, 64, 64) in [-1, 1].

    The same object is returned at each call: copy it before you change its mode or weights. Raises
    CourseError where its file is another one.
    """
    path = asset("face_generator.safetensors")
    tensors, info = checkpoint.load(path)
    model = Generator(**info["model_args"])
    own = model.state_dict()
    whole = {k: tensors[k].to(t.dtype) if k in tensors else t for k, t in own.items()}
    checkpoint.load_weights(model, whole, path)  # a count of batches is not kept
    return model.requires_grad_(False).eval()


def ladder_floor() -> dict:
    """Return the scores of training faces against held-out people: what no sample can better."""
    return json.loads(folders.read_text(asset("face_ladder.json")))["floor"]


@functools.cache
def outside_judges() -> dict:
    """Return what face detectors and an identity network from elsewhere say of pictures.

    `course_tools/outside_judges.py` asked them, and says what the numbers are. "pictures" holds a
    row for each kind, "missed" and "missed people" those in which no face was found, "closest" the
    samples nearest to a training person, "same person" the distances of two pictures of one.
    """
    return folders.read_json(asset("outside_judges.json"))


@functools.cache
def ladder_records() -> dict[str, dict]:
    """Return what was measured of each rung, by name, and tell the claims where it was trained.

    A record holds "images" (real ones seen), "seconds", "history" (rows through the training) and
    "average", the scores of its averaged generator against held-out people: FD on both referees,
    precision, recall and sharpness.
    """
    kept = json.loads(folders.read_text(asset("face_ladder.json")))
    for name, record in kept["rungs"].items():
        provenance.use_run(f"gan_{name}", record["seed"], record["device"], record["versions"])
    return kept["rungs"]


def ladder_samples(name: str, which: str = "samples") -> torch.Tensor:
    """Return pictures of a rung (N, 3, 64, 64) uint8.

    Args:
        name: of the rung.
        which: "samples", of 16 codes that are the same for all; "time", eight of them at each
            look during the training; "repeated", what a coder makes of eight held-out faces.

    Raises CourseError where there are none.
    """
    import numpy as np
    from PIL import Image

    tensors, _ = checkpoint.load(asset("face_ladder.safetensors"))
    if f"{name}/{which}" not in tensors:
        raise CourseError(f"there are no {which} of {name!r}: {', '.join(sorted(tensors))}")
    packed = tensors[f"{name}/{which}"].numpy().tobytes()
    sheet = np.array(Image.open(io.BytesIO(packed)).convert("RGB"))
    tiles = torch.from_numpy(sheet).view(-1, 64, 8, 64, 3)  # rows of eight
    return tiles.permute(0, 2, 4, 1, 3).reshape(-1, 3, 64, 64)
