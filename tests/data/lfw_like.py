"""Small stand-ins for LFW: archives of photographs that are drawn, not taken."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import torch

from course_utils.data import drawn_faces

PEOPLE, PHOTOS = 8, 3


def photographs(people: int = PEOPLE, photos: int = PHOTOS, seed: int = 5) -> dict[str, bytes]:
    """Return JPEGs of 250x250 pixels by name."""
    x, _ = drawn_faces.faces(people * photos, seed)
    big = torch.nn.functional.interpolate(x.float(), (250, 250), mode="bilinear")
    names = [f"Person_{p:02d}_{i + 1:04d}.jpg" for p in range(people) for i in range(photos)]
    return {name: jpeg(image) for name, image in zip(names, big.to(torch.uint8), strict=True)}


def jpeg(image: torch.Tensor) -> bytes:
    """Return a picture (3, H, W) uint8 as a JPEG."""
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(written, "JPEG", quality=80)
    return written.getvalue()


def archive(path: Path, contents: dict[str, bytes], folder: str = "lfw-deepfunneled") -> Path:
    """Write a .tgz as LFW is published, or with other member names where they hold a slash."""
    with tarfile.open(path, "w:gz", compresslevel=1) as packed:
        for name, content in contents.items():
            person = name.rsplit("_", 1)[0]
            member = tarfile.TarInfo(name if "/" in name else f"{folder}/{person}/{name}")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return path
