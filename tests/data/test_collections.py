"""Data: named splits that share nothing, drawn or real, and files that are checked first."""

import os

import numpy as np
import pytest
import torch

from course_utils import data, folders, provenance
from course_utils.data import cache, collection, drawn
from course_utils.data.mnist_like import FASHION, MNIST
from course_utils.errors import CourseError

REAL = bool(os.environ.get("COURSE_DATA"))
needs_real = pytest.mark.skipif(not REAL, reason="set COURSE_DATA to the folder with MNIST/raw")
SIZES = {"quick": (10_000, 1_000, 2_000), "full": (55_000, 5_000, 10_000)}


def rows(split) -> list[bytes]:
    """Return every image as bytes, which can be compared and counted."""
    return [image.tobytes() for image in split.x.numpy()]


@pytest.fixture
def fresh():
    """Forget what this process loaded, said and asked for; afterwards what the test loaded."""
    data.forget()
    yield
    data.forget()


@pytest.fixture
def tiny(monkeypatch, fresh):
    """Make the splits of the quick profile so small that drawing them takes no time."""
    for found in (MNIST, FASHION):
        monkeypatch.setitem(found.sizes, "quick", (90, 30, 20))


# ----------------------------------------------------------------------------------------- datasets


def test_splits_of_the_quick_profile(digits):
    assert tuple(len(getattr(digits, s)) for s in ("train", "val", "test")) == SIZES["quick"]
    for split in (digits.train, digits.val, digits.test):
        assert split.x.shape == (len(split), 1, 28, 28) and split.x.dtype == torch.uint8
        assert split.y.shape == (len(split),) and split.y.dtype == torch.int64
        assert split.x.is_contiguous()
    assert digits.classes == tuple("0123456789")


def test_no_image_is_in_two_splits(digits):
    train, val, test = (set(rows(s)) for s in (digits.train, digits.val, digits.test))
    assert not train & val and not train & test and not val & test


def test_every_class_is_about_a_tenth_of_every_split(digits):
    for split in (digits.train, digits.val, digits.test):
        share = torch.bincount(split.y, minlength=10) / len(split)
        assert len(share) == 10
        assert share.min() > 0.07 and share.max() < 0.14


def test_images_look_like_ink_on_paper(digits):
    x = digits.train.x[:1000] / 255
    assert 0.08 < x.mean() < 0.25
    assert (x == 0).float().mean() > 0.5 and x.max() > 0.95


def test_images_of_a_class_resemble_each_other_more_than_others(digits):
    """Labels belong to their images: the nearest class mean names most test images."""
    x, y = digits.train.x.flatten(1) / 255, digits.train.y
    means = torch.stack([x[y == c].mean(0) for c in range(10)])
    nearest = torch.cdist(digits.test.x.flatten(1) / 255, means).argmin(1)
    assert (nearest == digits.test.y).float().mean() > 0.6


def test_loading_says_once_what_was_loaded_and_remembers_it(capsys, fresh):
    digits = data.mnist(profile="quick")
    again = data.mnist(profile="quick")
    printed = capsys.readouterr().out
    assert printed.startswith(f"Data: {digits.name} (10,000 train, 1,000 val, 2,000 test)")
    assert printed.count("\n") == 1
    assert ("course data mnist" in printed) == (digits.source == "drawn")
    assert provenance.data_in_use() == digits.name
    assert again.train.x is digits.train.x  # read once per process


def test_head(digits):
    few = digits.train.head(5)
    assert len(few) == 5 and torch.equal(few.y, digits.train.y[:5])
    assert torch.equal(few.x, digits.train.x[:5])


def test_the_hash_names_data_and_sizes(monkeypatch, tiny):
    """Other sizes or other drawing code are other data."""
    one = data.mnist("drawn", "quick").sha256
    assert len(one) == 64 and one == data.mnist("drawn", "quick").sha256
    monkeypatch.setitem(MNIST.sizes, "quick", (80, 40, 20))
    assert data.mnist("drawn", "quick").sha256 != one
    monkeypatch.setitem(MNIST.sizes, "quick", (90, 30, 20))
    assert data.mnist("drawn", "quick").sha256 == one
    data.forget()
    monkeypatch.setattr(cache, "fingerprint", lambda: "other code")
    assert data.mnist("drawn", "quick").sha256 != one


def test_digits_and_garments_are_told_apart(tiny):
    digits = data.mnist("drawn", "quick")
    garments = data.fashion("drawn", "quick")
    assert garments.name == "drawn garments" and garments.classes[9] == "ankle boot"
    assert garments.sha256 != digits.sha256
    assert not torch.equal(garments.train.x, digits.train.x)
    assert not provenance.data_used()["drawn garments"].real


def test_source_and_profile_come_from_the_environment(monkeypatch, digits):
    asked = []
    monkeypatch.setattr(collection, "loaded", lambda *key: asked.append(key) or digits)
    monkeypatch.setenv("COURSE_SOURCE", "drawn")
    monkeypatch.setenv("COURSE_PROFILE", "full")
    data.mnist()
    assert asked == [(MNIST, None, "full", MNIST.sizes["full"])]


# --------------------------------------------------------------------------------------- drawn data


def test_drawn_images_are_reproducible_and_extend_each_other():
    x, y = drawn.digits(700, seed=3)
    again, labels = drawn.digits(1200, seed=3)
    assert torch.equal(x, again[:700]) and torch.equal(y, labels[:700])
    other, _ = drawn.digits(700, seed=4)
    assert not torch.equal(x, other)


def test_drawing_leaves_the_random_generators_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    drawn.digits(10, seed=3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_another_drawing_code_draws_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    cache.drawn_images("digits", 3, 0)
    monkeypatch.setattr(cache, "fingerprint", lambda: "0" * 64)
    monkeypatch.setattr(drawn, "digits", lambda n, seed: (torch.zeros(n), torch.ones(n)))
    assert not cache.drawn_images("digits", 3, 0)[0].any()


def test_drawn_images_are_kept_and_a_damaged_cache_is_drawn_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    calls = []
    draw = drawn.digits

    def counted(n, seed):
        calls.append(n)
        return draw(n, seed)

    monkeypatch.setattr(drawn, "digits", counted)
    first = cache.drawn_images("digits", 20, seed=0)
    second = cache.drawn_images("digits", 20, seed=0)
    assert calls == [20] and torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    (kept,) = (tmp_path / "drawn").glob("digits-*")
    kept.write_bytes(kept.read_bytes()[:100])
    third = cache.drawn_images("digits", 20, seed=0)
    assert calls == [20, 20] and torch.equal(first[0], third[0])


@pytest.mark.slow
def test_splits_of_the_full_profile():
    """Real MNIST's few thousand twins apart, no image is in two splits."""
    full = data.mnist(profile="full")
    assert tuple(len(getattr(full, s)) for s in ("train", "val", "test")) == SIZES["full"]
    train, val, test = (set(rows(s)) for s in (full.train, full.val, full.test))
    assert not train & val and not train & test and not val & test


# --------------------------------------------------------------------------- where images come from


def test_an_unknown_source_is_refused(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "fake")
    with pytest.raises(CourseError, match=r"'fake'; choose one of: auto, real, drawn"):
        data.mnist()


def test_a_data_folder_without_the_files_is_an_error_and_no_reason_to_draw(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte").touch()
    for source in ("auto", "real"):
        with pytest.raises(CourseError, match=r"lacks train-labels-idx1.*course data mnist") as it:
            data.mnist(source)
        assert "train-images" not in str(it.value)


def test_a_data_folder_that_is_a_file_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "file"))
    with pytest.raises(CourseError, match="a file, not a folder"):
        data.mnist("auto")


def test_drawn_is_drawn_even_where_there_is_real_data(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert data.mnist("drawn", "quick").source == "drawn"


@pytest.fixture
def offline(monkeypatch, tmp_path, fresh):
    """Take data folder and network away; return the list of downloads that were tried."""
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setattr(folders, "data_dir", lambda: tmp_path / "none")
    tried = []

    def fetch(root):
        tried.append(root)
        raise CourseError("MNIST could not be downloaded (no network)")

    monkeypatch.setattr(MNIST, "fetch", fetch)
    return tried


def test_without_data_and_network_auto_draws_and_asks_once(offline, capsys):
    assert data.mnist("auto", "quick").name == "drawn digits"
    assert data.mnist("auto", "quick").name == "drawn digits"
    assert len(offline) == 1
    assert "for the real thing: course data mnist" in capsys.readouterr().out


def test_without_data_and_network_real_is_an_error(offline):
    with pytest.raises(CourseError, match="could not be downloaded"):
        data.mnist("real")


# --------------------------------------------------------------------------------------- real MNIST


@needs_real
def test_real_mnist_is_torchvisions():
    from torchvision.datasets import MNIST as Theirs

    root = folders.data_dir()
    train_x, train_y, test_x, test_y = MNIST.read(root)
    for train, x, y in ((True, train_x, train_y), (False, test_x, test_y)):
        theirs = Theirs(root, train=train)
        assert torch.equal(x[:, 0], theirs.data) and torch.equal(y, theirs.targets)


@needs_real
def test_real_splits_are_parts_of_the_published_ones(monkeypatch):
    """Train and val come from the 60,000 training images only, test from the 10,000 others."""
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    train_x, _, test_x, _ = MNIST.read(folders.data_dir())
    pool = {image.tobytes() for image in train_x.numpy()}
    full, quick = data.mnist(profile="full"), data.mnist(profile="quick")
    assert full.name == quick.name == "mnist" and full.source == "real"
    assert {*rows(full.train), *rows(full.val)} == pool
    assert torch.equal(full.test.x, test_x) and torch.equal(quick.test.x, test_x[:2000])
    assert torch.equal(quick.train.x, full.train.x[:10_000])
    assert torch.equal(quick.val.x, full.val.x[-1_000:])
    assert full.sha256 != quick.sha256
