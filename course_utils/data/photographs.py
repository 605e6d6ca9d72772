"""Photographs of things and places, and the small patches that sparse coding is learnt from.

    photographs.images()                                  # nine of them, by name, grey
    photographs.patches(20_000)                           # (20000, 256) float32
    photographs.patches(2_000, photographs.HELD_OUT)      # of photographs that nothing learnt from

The pictures lie in the packages scikit-image and scikit-learn, which the course needs anyway, so
nothing is downloaded. Where they come from: astronaut by NASA, rocket by SpaceX (public domain),
china by danielbuechele, flower by vultilion (CC BY 2.0), coffee by Rachel Michetti, camera by Lav
Varshney, grass, gravel, and Stefan van der Walt's cat Chelsea (CC0).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
from pathlib import Path

import torch

from course_utils import folders, provenance
from course_utils.errors import CourseError

FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}  # of the pictures in each package
PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}  # as they are installed
FILES = {  # SHA-256 of each
    "astronaut": ("skimage", "astronaut.png",
                  "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    "coffee": ("skimage", "coffee.png",
               "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    "grass": ("skimage", "grass.png",
              "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89"),
    "gravel": ("skimage", "gravel.png",
               "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12"),
    "china": ("sklearn", "china.jpg",
              "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29"),
    "flower": ("sklearn", "flower.jpg",
               "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638"),
    "camera": ("skimage", "camera.png",
               "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"),
    "chelsea": ("skimage", "chelsea.png",
                "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    "rocket": ("skimage", "rocket.jpg",
               "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
}  # fmt: skip
HELD_OUT = ("camera", "chelsea", "rocket")  # a man, a cat and a machine: for testing alone
LEARNT = tuple(name for name in FILES if name not in HELD_OUT)


def images(names: tuple[str, ...] = tuple(FILES)) -> dict[str, torch.Tensor]:
    """Return photographs (H, W), grey, float32 in [0, 1], by name, and remember them for claims.

    They are shrunk to half their size, each pixel the mean of four: that takes away most of the
    noise and of what compression left.

    Args:
        names: which; `LEARNT` and `HELD_OUT` part them for learning and testing.

    Raises CourseError for an unknown name, and where a package or its pictures are missing.
    """
    for name in names:
        if name not in FILES:
            raise CourseError(f"there is no photograph {name!r}; choose among {', '.join(FILES)}")
    found = {name: _image(name, _file(name)) for name in names}
    provenance.use_data("photographs", sha256())
    return found


def patches(n: int, names: tuple[str, ...] = LEARNT, side: int = 16, seed: int = 0) -> torch.Tensor:
    """Return n square patches (n, side * side), float32 in [0, 1], cut from random places.

    Each photograph gives as many as any other, however large it is (those in front one more where
    n does not divide). The patches lie in random order.

    Args:
        n: patches in all, at least 1.
        names: of the photographs.
        side: of a patch, in pixels.
        seed: of the places and the order.

    Raises CourseError for bad numbers, a patch that does not fit, and as `images` does.
    """
    if not names:
        raise CourseError("names is empty; patches are cut from at least one photograph")
    return cut(list(images(tuple(names)).values()), n, side, seed)


def cut(pictures, n: int, side: int = 16, seed: int = 0) -> torch.Tensor:
    """Return n patches (n, side * side) of pictures (H, W) float, as `patches` does of photographs.

    Args:
        pictures: a list of tensors (H, W), or one tensor (N, H, W); those beyond n give none.
        n, side, seed: as in `patches`.

    Raises CourseError for bad numbers, and a patch that does not fit into every picture.
    """
    for value, name in ((n, "n"), (side, "side")):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise CourseError(f"{name} is {value!r}; give a whole number above 0")
    if not len(pictures):
        raise CourseError("there is no picture to cut patches from")
    for picture in pictures:
        if picture.ndim != 2 or not picture.is_floating_point():
            raise CourseError(
                f"a picture has shape {tuple(picture.shape)} and is {picture.dtype}; "
                "patches are cut from grey pictures (H, W) of floats"
            )
    smallest = min(min(picture.shape) for picture in pictures)
    if side > smallest:
        raise CourseError(f"side is {side}, and the smallest picture has {smallest} pixels a side")
    generator = torch.Generator().manual_seed(seed)
    made = []
    for i in range(n):
        picture = pictures[i % len(pictures)]
        top, left = (
            int(torch.randint(size - side + 1, (1,), generator=generator)) for size in picture.shape
        )
        made.append(picture[top : top + side, left : left + side].reshape(-1))
    return torch.stack(made)[torch.randperm(n, generator=generator)].float()


def sha256() -> str:
    """Return one hash of all photographs, as records and stamps name it."""
    return hashlib.sha256(" ".join(known for *_, known in FILES.values()).encode()).hexdigest()


def _file(name: str) -> Path:
    """Return where a photograph lies; CourseError where its package did not bring it."""
    package, file, _ = FILES[name]
    found = importlib.util.find_spec(package)
    path = Path(found.origin).parent / FOLDERS[package] / file if found else None
    if path is None or not folders.is_file(path):
        raise CourseError(
            f"the photograph {file} of {PACKAGES[package]} is not there; install the package "
            f"anew: pip install --force-reinstall {PACKAGES[package]}"
        )
    return path


@functools.cache
def _image(name: str, path: Path) -> torch.Tensor:
    """Read a photograph, verified, as grey (H, W) at half its size."""
    import numpy as np
    from PIL import Image

    package, file, known = FILES[name]
    content = folders.read_bytes(path)
    if hashlib.sha256(content).hexdigest() != known:
        raise CourseError(
            f"{file} is not the photograph that the course knows: {PACKAGES[package]} brought "
            "another one, or it is damaged; install the version that the course names"
        )
    with Image.open(io.BytesIO(content)) as picture:
        grey = torch.from_numpy(np.array(picture.convert("L"))).float() / 255
    height, width = (size // 2 * 2 for size in grey.shape)
    grey = grey[:height, :width]
    return torch.nn.functional.avg_pool2d(grey[None, None], 2)[0, 0]
