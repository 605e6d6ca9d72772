"""MNIST and its kin as they are published: IDX files, verified before a pixel is believed.

torchvision knows where the files are and fetches them (with their MD5 sums). Reading them is done
here: importing torchvision alone takes longer than everything below, and a damaged file deserves
a better message than an assertion.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import shutil
import socket
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

from course_utils.runtime import CourseError, make_folder

# SHA-256 of the unpacked files, in the order: train images, train labels, test images, test labels.
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SHA256 = {
    "MNIST": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "FashionMNIST": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
UNSIGNED_BYTE = 0x08  # the IDX type code of uint8


def fingerprint(collection: str) -> str:
    """Return one SHA-256 for the four files of `collection` ("MNIST" or "FashionMNIST")."""
    return hashlib.sha256("".join(SHA256[collection]).encode()).hexdigest()


def missing(root: Path, collection: str) -> list[str]:
    """Return the names of the files of `collection` that `root` lacks, packed and unpacked."""
    raw = root / collection / "raw"
    return [name for name in FILES if not any(p.is_file() for p in candidates(raw / name))]


def candidates(path: Path) -> tuple[Path, Path]:
    """Return where the file may lie: unpacked, or as published with .gz at its end."""
    return path, path.with_name(path.name + ".gz")


def read(root: Path, collection: str) -> tuple[torch.Tensor, ...]:
    """Read and verify the four files below `root`.

    Returns train images (60000, 1, 28, 28) uint8, train labels (60000,) int64, and the 10,000
    test images and labels likewise. Raises CourseError for a file that is missing, truncated,
    corrupt, or not the published one.
    """
    raw = root / collection / "raw"
    arrays = []
    for name, sha256 in zip(FILES, SHA256[collection], strict=True):
        path = next((p for p in candidates(raw / name) if p.is_file()), None)
        if path is None:
            raise CourseError(f"{raw / name} is missing; run: course data {collection.lower()}")
        content = unpacked(path)
        array = parse(content, path)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise damaged(path, f"its SHA-256 is not that of the published {name}")
        arrays.append(array)
    train_x, train_y, test_x, test_y = arrays
    return train_x.unsqueeze(1), train_y.long(), test_x.unsqueeze(1), test_y.long()


def unpacked(path: Path) -> bytes:
    """Return the content of `path`, gunzipped where its name ends in .gz."""
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as packed:
            return packed.read()
    except EOFError:
        raise damaged(path, "the archive ends too early") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, f"the archive cannot be unpacked ({error})") from None
    except OSError as error:
        raise CourseError(f"cannot read {path}: {error.strerror or error}") from None


def parse(content: bytes, path: Path) -> torch.Tensor:
    """Return the uint8 tensor in an IDX file: two zero bytes, type, rank, sizes, then the data."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise damaged(path, "it does not begin like an IDX file of bytes")
    rank = content[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start].ljust(4 * rank, b"\0"))
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise damaged(path, f"it holds {len(content):,} bytes where {expected:,} belong")
    pixels = np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
    return torch.from_numpy(pixels.copy())  # a copy: `content` is read-only


def damaged(path: Path, what: str) -> CourseError:
    """Return the error for a file that cannot be trusted."""
    collection = path.parent.parent.name.lower()
    return CourseError(
        f"{path} is damaged: {what}. Delete it and fetch it again with: course data {collection}"
    )


def download(root: Path, collection: str, timeout: float = 20.0) -> None:
    """Fetch `collection` into `root` through torchvision, verified, whole or not at all.

    COURSE_MIRROR, where set, is asked before torchvision's own mirrors. Raises CourseError when
    no mirror answers or a file does not verify.
    """
    import torchvision.datasets

    kind = getattr(torchvision.datasets, collection)
    mirror = os.environ.get("COURSE_MIRROR")
    own = [mirror.rstrip("/") + "/"] if mirror else []
    source = type(collection, (kind,), {"mirrors": own + kind.mirrors})
    make_folder(root)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout)  # torchvision waits for ever otherwise
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as temporary:
            source(temporary, download=True)
            read(Path(temporary), collection)
            replace_folder(Path(temporary) / collection, root / collection)
    except (OSError, RuntimeError) as error:
        raise CourseError(
            f"{collection} could not be downloaded ({one_line(error)}); check the network, name "
            "a mirror in COURSE_MIRROR, or put the files below COURSE_DATA yourself"
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def replace_folder(new: Path, old: Path) -> None:
    """Put the folder `new` where `old` is or was."""
    if old.exists():
        shutil.rmtree(old)
    os.replace(new, old)


def one_line(error: Exception) -> str:
    """Return an error's message on one line; torchvision names mirror and reason on later ones."""
    return " ".join(str(error).split()) or type(error).__name__
