"""The files of MNIST: read as published, refused when damaged, downloaded whole or not at all."""

import functools
import gc
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
import torch

from course_utils.data import idx
from course_utils.runtime import CourseError


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
    for name, array in zip(idx.FILES, arrays, strict=True):
        (raw / f"{name}.gz").write_bytes(gzip.compress(as_idx(array)))
    sums = tuple(hashlib.sha256(as_idx(a)).hexdigest() for a in arrays)
    monkeypatch.setitem(idx.SHA256, "MNIST", sums)
    return tmp_path, arrays


def test_reading_gives_the_published_arrays(published):
    root, arrays = published
    train_x, train_y, test_x, test_y = idx.read(root, "MNIST")
    for found, array in zip((train_x[:, 0], train_y, test_x[:, 0], test_y), arrays, strict=True):
        np.testing.assert_array_equal(found.numpy(), array)
    assert train_x.shape == (7, 1, 28, 28) and train_y.dtype == torch.int64


def test_unpacked_files_are_read_as_well(published):
    root, arrays = published
    for packed in (root / "MNIST" / "raw").glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    assert idx.missing(root, "MNIST") == []
    np.testing.assert_array_equal(idx.read(root, "MNIST")[0][:, 0].numpy(), arrays[0])


def test_parsing_agrees_with_torchvision(published, tmp_path):
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    root, _ = published
    for packed in (root / "MNIST" / "raw").glob("*.gz"):
        content = gzip.decompress(packed.read_bytes())
        (tmp_path / "plain").write_bytes(content)
        theirs = read_sn3_pascalvincent_tensor(str(tmp_path / "plain"))
        assert torch.equal(idx.parse(content, packed), theirs)


def refused(root, match):
    """Check that reading fails with a message for people that names file and remedy."""
    with pytest.raises(CourseError, match=match) as caught:
        idx.read(root, "MNIST")
    assert "course data mnist" in str(caught.value)
    assert idx.FILES[1] in str(caught.value)


def test_every_truncation_of_an_idx_file_is_refused(published):
    root, arrays = published
    plain = root / "MNIST" / "raw" / idx.FILES[1]
    for n in range(len(as_idx(arrays[1]))):
        plain.write_bytes(as_idx(arrays[1])[:n])
        refused(root, "is damaged")


def test_every_truncation_of_an_archive_is_refused(published):
    root, _ = published
    packed = root / "MNIST" / "raw" / f"{idx.FILES[1]}.gz"
    whole = packed.read_bytes()
    for n in range(len(whole)):
        packed.write_bytes(whole[:n])
        refused(root, "is damaged")


def test_every_flipped_bit_that_matters_is_found(published):
    """Bits of the archive's own notes (time, system) change no pixel; all others are noticed."""
    root, arrays = published
    packed = root / "MNIST" / "raw" / f"{idx.FILES[1]}.gz"
    whole = packed.read_bytes()
    for i in range(8 * len(whole)):
        spoiled = bytearray(whole)
        spoiled[i // 8] ^= 1 << i % 8
        packed.write_bytes(spoiled)
        try:
            labels = idx.read(root, "MNIST")[1]
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
    (root / "MNIST" / "raw" / idx.FILES[1]).write_bytes(content)
    refused(root, match)


def test_a_missing_file_is_named(published):
    root, _ = published
    (root / "MNIST" / "raw" / f"{idx.FILES[1]}.gz").unlink()
    assert idx.missing(root, "MNIST") == [idx.FILES[1]]
    refused(root, "is missing")


# -------------------------------------------------------------------------------------- downloading


@pytest.fixture
def mirror(published, monkeypatch):
    """Serve the tiny MNIST from this machine, as its only mirror; return its folder."""
    import torchvision.datasets

    raw = published[0] / "MNIST" / "raw"
    resources = [
        (f"{name}.gz", hashlib.md5((raw / f"{name}.gz").read_bytes()).hexdigest())
        for name in idx.FILES
    ]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    handler = functools.partial(QuietHandler, directory=str(raw))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("COURSE_MIRROR", f"http://127.0.0.1:{server.server_port}")
        yield raw
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serve files without a log."""

    def log_message(self, *args):
        pass


def test_a_download_is_verified_and_complete(mirror, published, tmp_path):
    idx.download(tmp_path / "new", "MNIST")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["MNIST"]
    np.testing.assert_array_equal(idx.read(tmp_path / "new", "MNIST")[1].numpy(), published[1][1])


def test_a_download_replaces_a_damaged_collection(mirror, tmp_path):
    raw = tmp_path / "new" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / idx.FILES[0]).write_bytes(b"damaged")
    idx.download(tmp_path / "new", "MNIST")
    assert len(idx.read(tmp_path / "new", "MNIST")) == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib's socket
@pytest.mark.parametrize("spoil", ["missing", "corrupt", "truncated"])
def test_a_bad_mirror_leaves_nothing_behind(mirror, tmp_path, spoil):
    victim = mirror / f"{idx.FILES[2]}.gz"
    content = victim.read_bytes()
    victim.unlink()
    if spoil != "missing":
        victim.write_bytes(content[:-9] if spoil == "truncated" else content[::-1])
    with pytest.raises(CourseError, match=r"MNIST could not be downloaded.*COURSE_MIRROR"):
        idx.download(tmp_path / "new", "MNIST")
    gc.collect()  # here, not in the next test
    assert list((tmp_path / "new").iterdir()) == []


def test_a_mirror_with_other_data_is_refused(mirror, tmp_path, monkeypatch):
    """torchvision's MD5 sums are met, ours are not."""
    monkeypatch.setitem(idx.SHA256, "MNIST", ("0" * 64,) * 4)
    with pytest.raises(CourseError, match="SHA-256"):
        idx.download(tmp_path / "new", "MNIST")
    assert list((tmp_path / "new").iterdir()) == []
