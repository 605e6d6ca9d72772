"""The IDX format, in which MNIST and its kin are published, packed by gzip or not."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib

import numpy as np
import torch

UNSIGNED_BYTE = 0x08  # the IDX type code of uint8
GZIP = b"\x1f\x8b"  # how every archive begins
LIMIT = 1 << 28  # bytes: an archive that unpacks to more is none of these


class Damaged(ValueError):
    """Bytes that are not what they should be; the message says why."""


def unpacked(archive: bytes) -> bytes:
    """Return what a gzip archive holds; raise Damaged where it cannot be unpacked."""
    try:
        with gzip.open(io.BytesIO(archive)) as packed:
            content = packed.read(LIMIT + 1)
    except EOFError:
        raise Damaged("the archive ends too early") from None
    except (OSError, zlib.error) as error:
        raise Damaged(f"the archive cannot be unpacked ({error})") from None
    if len(content) > LIMIT:
        raise Damaged("the archive holds more than any of these files")
    return content


def parse(content: bytes) -> torch.Tensor:
    """Return the uint8 tensor in an IDX file: two zero bytes, type, rank, sizes, then the data.

    Raises Damaged for anything else.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise Damaged("it does not begin like an IDX file of bytes")
    rank = content[3]
    start = 4 + 4 * rank
    shape = struct.unpack(f">{rank}I", content[4:start].ljust(4 * rank, b"\0"))
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise Damaged(f"it holds {len(content):,} bytes where {expected:,} belong")
    pixels = np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
    return torch.from_numpy(pixels.copy())  # a copy: `content` is read-only
