"""From photographs to faces: the middle of each, shrunk, decoded once and kept as one tensor.

Decoding 13,233 JPEGs takes seconds, reading the tensor a moment: 163 MB of bytes, checked by a
sum that any flipped bit changes.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from course_utils import folders
from course_utils.data import store
from course_utils.errors import CourseError

CROP, SIDE = 90, 64  # the middle of a photograph, and what it is shrunk to (source 003)


def decode(folder: Path, threads: int | None = None) -> tuple[torch.Tensor, list[str]]:
    """Return all photographs of a store as faces (N, 3, 64, 64) uint8, and their names.

    Args:
        folder: the store.
        threads: how many decode at once; as many as torch computes with where None.

    Raises CourseError for a damaged store or photograph.
    """
    threads = threads or torch.get_num_threads()
    parts, names = [], []
    with ThreadPoolExecutor(threads) as pool:
        for part, contents in store.jpegs(folder):
            parts.append(torch.stack(list(pool.map(face, contents, part))))
            names += part
    return torch.cat(parts), names


def face(content: bytes, name: str) -> torch.Tensor:
    """Return the face (3, 64, 64) uint8 in a photograph, given as the bytes of its JPEG.

    The middle 90x90 pixels, shrunk so that each new pixel is a mean of those that it covers: pixels
    that are picked instead turn edges into stairs. Raises CourseError when it cannot be decoded.
    """
    import io

    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as photograph:
            edges = [(side - CROP) // 2 for side in photograph.size]
            box = (*edges, *(edge + CROP for edge in edges))
            small = photograph.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR, box)
    except (OSError, ValueError) as error:
        raise CourseError(f"{name} cannot be decoded ({error}); make the store again") from None
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def cached(folder: Path) -> tuple[torch.Tensor, list[str]]:
    """Return the faces of a store and their names, from the cache where they were decoded before.

    The cache is a safetensors file that names the store's content; another content is another file,
    and a file that cannot be read is made again.
    """
    from safetensors import SafetensorError, safe_open

    manifest = store.read_manifest(folder)
    path = folders.cache_dir() / "faces" / f"lfw-{manifest.content[:12]}-{SIDE}.safetensors"
    damage = (OSError, SafetensorError, KeyError, TypeError, ValueError)
    with contextlib.suppress(*damage), safe_open(path, framework="pt") as file:
        about, x = file.metadata(), file.get_tensor("x")
        if (about["content"], about["fingerprint"]) == (manifest.content, fingerprint(x)):
            return x, about["names"].split()
    x, names = decode(folder)
    about = {"content": manifest.content, "names": " ".join(names), "fingerprint": fingerprint(x)}
    folders.write_tensors(path, {"x": x}, about)
    return x, names


def fingerprint(x: torch.Tensor) -> str:
    """Return a quick checksum of images (N, ...) uint8, which any flipped bit or swap changes."""
    sums = x.contiguous().view(len(x), -1).view(torch.int64).sum(1)  # one per image
    odd = torch.arange(1, 2 * len(sums), 2)  # odd weights: no bit is lost in the product
    return f"{len(sums)} {int((sums * odd).sum())}"
