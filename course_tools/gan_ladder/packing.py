"""Faces in one file that travels: 64x64 JPEGs, since a rented machine has no archive of LFW.

Thirteen thousand faces take 38 MB. JPEG at quality 95 changes a pixel by about one step of 255.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file

from course_utils import folders
from course_utils.data.dataset import Dataset
from course_utils.errors import CourseError

QUALITY = 95
KEYS = {"jpeg", "offsets", "n_train"}


def pack(people: Dataset, path: Path) -> int:
    """Write the faces of all splits to one file, training faces first; return its bytes."""
    held = torch.cat([people.val.x, people.test.x])
    blobs = [encoded(x) for x in torch.cat([people.train.x, held])]
    offsets = torch.tensor([0, *map(len, blobs)]).cumsum(0)
    jpeg = torch.frombuffer(bytearray(b"".join(blobs)), dtype=torch.uint8)
    tensors = {"jpeg": jpeg, "offsets": offsets, "n_train": torch.tensor(len(people.train.x))}
    folders.write_tensors(path, tensors, {"data": people.name})
    return path.stat().st_size


def encoded(x: torch.Tensor) -> bytes:
    """Return one face (3, 64, 64) uint8 as a JPEG."""
    file = io.BytesIO()
    picture = Image.fromarray(x.permute(1, 2, 0).contiguous().numpy())
    picture.save(file, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return file.getvalue()


def decoded(jpeg: bytes) -> torch.Tensor:
    """Return the face (3, 64, 64) uint8 of a JPEG."""
    with Image.open(io.BytesIO(jpeg)) as picture:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def unpack(path: Path, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return training and held-out faces (N, 3, 64, 64) uint8 of a packed file.

    Raises CourseError where there is no such file.
    """
    try:
        packed = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CourseError(f"{path} holds no packed faces: {error}. {WRITE_IT}") from None
    if set(packed) != KEYS:
        raise CourseError(f"{path} holds {sorted(packed)}, not packed faces. {WRITE_IT}")
    ends = packed["offsets"].tolist()
    jpeg = packed["jpeg"].numpy().tobytes()
    blobs = [jpeg[a:b] for a, b in pairwise(ends)]
    with ThreadPoolExecutor(8) as pool:
        x = torch.stack(list(pool.map(decoded, blobs))).to(device)
    n = int(packed["n_train"])
    return x[:n], x[n:]


WRITE_IT = "Write one with: python -m course_tools.gan_ladder pack FILE"
