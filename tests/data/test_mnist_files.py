"""The files of MNIST: read as published, refused when damaged, downloaded whole or not at all."""

import gzip
import hashlib

import numpy as np
import pytest
import torch

from course_utils.data import idx
from course_utils.data.mnist_like import FILES, MNIST
from course_utils.errors import CourseError


def as_idx(array) -> bytes:
    """Return a NumPy array of bytes as LeCun's IDX format."""
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Publish a tiny MNIST, packed, below a folder; return the folder and its arrays."""
    rng = np.random.default_rng(0)
    shapes = [(7, 28, 28), (7,), (3, 28, 28), (3,)]
    arrays = [rng.integers(0, 10, shape, dtype=np.uint8) for shape in shapes]
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, array in zip(FILES, arrays, strict=True):
        (raw / f"{name}.gz").write_bytes(gzip.compress(as_idx(array)))
    sums = [hashlib.sha256(as_idx(a)).hexdigest() for a in arrays]
    monkeypatch.setattr(MNIST, "sha256", dict(zip(FILES, sums, strict=True)))
    return tmp_path, arrays


def test_reading_gives_the_published_arrays(published):
    root, arrays = published
    train_x, train_y, test_x, test_y = MNIST.read(root)
    for found, array in zip((train_x[:, 0], train_y, test_x[:, 0], test_y), arrays, strict=True):
        np.testing.assert_array_equal(found.numpy(), array)
    assert train_x.shape == (7, 1, 28, 28) and train_y.dtype == torch.int64


def test_unpacked_files_are_read_as_well(published):
    root, arrays = published
    for packed in (root / "MNIST" / "raw").glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    assert MNIST.missing(root) == []
    np.testing.assert_array_equal(MNIST.read(root)[0][:, 0].numpy(), arrays[0])


def test_parsing_agrees_with_torchvision(published, tmp_path):
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    root, _ = published
    for packed in (root / "MNIST" / "raw").glob("*.gz"):
        content = gzip.decompress(packed.read_bytes())
        (tmp_path / "plain").write_bytes(content)
        theirs = read_sn3_pascalvincent_tensor(str(tmp_path / "plain"))
        assert torch.equal(idx.parse(content), theirs)


def refused(root, match):
    """Check that reading fails with a message for people that names file and remedy."""
    with pytest.raises(CourseError, match=match) as caught:
        MNIST.read(root)
    assert "course data mnist" in str(caught.value)
    assert FILES[1] in str(caught.value)


def test_every_truncation_of_an_idx_file_is_refused(published):
    root, arrays = published
    plain = root / "MNIST" / "raw" / FILES[1]
    for n in range(len(as_idx(arrays[1]))):
        plain.write_bytes(as_idx(arrays[1])[:n])
        refused(root, "is damaged")


def test_every_truncation_of_an_archive_is_refused(published):
    root, _ = published
    packed = root / "MNIST" / "raw" / f"{FILES[1]}.gz"
    whole = packed.read_bytes()
    for n in range(len(whole)):
        packed.write_bytes(whole[:n])
        refused(root, "is damaged")


def test_every_flipped_bit_that_matters_is_found(published):
    """Bits of the archive's own notes (time, system) change no pixel; all others are noticed."""
    root, arrays = published
    packed = root / "MNIST" / "raw" / f"{FILES[1]}.gz"
    whole = packed.read_bytes()
    for i in range(8 * len(whole)):
        spoiled = bytearray(whole)
        spoiled[i // 8] ^= 1 << i % 8
        packed.write_bytes(spoiled)
        try:
            labels = MNIST.read(root)[1]
        except CourseError as error:
            assert "is damaged" in str(error)
        else:
            np.testing.assert_array_equal(labels.numpy(), arrays[1])


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "does not begin like an IDX file"),
        (b"\x89PNG and more", "does not begin like an IDX file"),
        (bytes([0, 0, 13, 1, 0, 0, 0, 1]) + bytes(4), "does not begin like an IDX file"),
        (as_idx(np.zeros(8, np.uint8)), "SHA-256"),
        (as_idx(np.zeros(7, np.uint8)) + b"more", "19 bytes where 15 belong"),
        (bytes([0, 0, 8, 4]) + b"\xff" * 16, "bytes where"),
    ],
)
def test_other_files_are_refused(published, content, match):
    root, _ = published
    (root / "MNIST" / "raw" / FILES[1]).write_bytes(content)
    refused(root, match)


def test_a_missing_file_is_named(published):
    root, _ = published
    (root / "MNIST" / "raw" / f"{FILES[1]}.gz").unlink()
    assert MNIST.missing(root) == [FILES[1]]
    refused(root, "is missing")
