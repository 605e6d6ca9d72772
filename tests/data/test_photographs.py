"""Photographs that other packages bring, and patches cut from them."""

import importlib.util
from types import SimpleNamespace

import pytest
import torch

from course_utils import claims, provenance
from course_utils.data import photographs
from course_utils.errors import CourseError


@pytest.fixture(autouse=True)
def fresh():
    """Forget what was read and used."""
    provenance.forget()
    photographs._image.cache_clear()
    yield
    provenance.forget()
    photographs._image.cache_clear()


def test_nine_grey_photographs_at_half_their_size():
    found = photographs.images()
    assert list(found) == list(photographs.FILES) and len(found) == 9
    assert found["astronaut"].shape == (256, 256) and found["china"].shape == (213, 320)
    assert found["chelsea"].shape == (150, 225)  # 451 columns: the last is left out
    for grey in found.values():
        assert grey.dtype == torch.float32 and grey.min() >= 0 and grey.max() <= 1
        assert grey.std() > 0.1


def test_a_pixel_is_the_mean_of_four():
    """Against another package's reading of the same file."""
    from skimage import data

    whole = torch.from_numpy(data.camera()).double() / 255
    mean = (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 4
    assert torch.allclose(photographs.images(("camera",))["camera"].double(), mean, atol=1e-6)


def test_patches_lie_in_their_photographs():
    found = photographs.patches(40, ("camera",), side=16, seed=3)
    assert found.shape == (40, 256) and found.dtype == torch.float32
    places = photographs.images(("camera",))["camera"].unfold(0, 16, 1).unfold(1, 16, 1)
    places = places.reshape(-1, 256)
    for patch in found[:5]:
        assert (places == patch).all(1).any()


def test_every_photograph_gives_as_many():
    flat = [torch.full((20 + 5 * i, 30), i / 10) for i in range(3)]
    values, counts = photographs.cut(flat, 30, side=4).mean(1).unique(return_counts=True)
    assert counts.tolist() == [10, 10, 10] and torch.allclose(values, torch.arange(3) / 10)


def test_patches_are_shuffled_and_reach_the_edges():
    row = torch.arange(8.0).view(1, 8).expand(8, 8)
    found = photographs.cut([row, row + 100], 400, side=4)
    assert {float(v) for v in found[:, 0] % 100} == {0, 1, 2, 3, 4}
    front = (found[:200, 0] >= 100).float().mean()
    assert 0.35 < front < 0.65  # in order, the photographs would alternate: look at pairs too
    assert not ((found[::2, 0] >= 100) == (found[0, 0] >= 100)).all()


def test_the_same_seed_gives_the_same_patches():
    a, b = photographs.patches(20, seed=1), photographs.patches(20, seed=1)
    assert a.equal(b) and not a.equal(photographs.patches(20, seed=2))


def test_nothing_is_learnt_from_what_is_held_out():
    assert not set(photographs.LEARNT) & set(photographs.HELD_OUT)
    assert set(photographs.LEARNT) | set(photographs.HELD_OUT) == set(photographs.FILES)


def test_claims_about_photographs_may_be_judged():
    claim = claims.Claim("a.b", "says", "metric", "> 0", "full", "00", data="photographs")
    assert not claim.has_its_data()
    photographs.patches(4)
    assert claim.has_its_data()
    assert provenance.data_used()["photographs"].sha256 == photographs.sha256()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: photographs.images(("moon",)), "no photograph 'moon'; choose among astronaut"),
        (lambda: photographs.patches(0), "n is 0"),
        (lambda: photographs.patches(2.5), "n is 2.5"),
        (lambda: photographs.patches(True), "n is True"),
        (lambda: photographs.patches(5, ()), "names is empty"),
        (lambda: photographs.patches(5, side=0), "side is 0"),
        (
            lambda: photographs.patches(5, ("chelsea",), side=151),
            "side is 151, and the smallest picture has 1",
        ),
        (lambda: photographs.cut([], 5), "no picture"),
        (lambda: photographs.cut(torch.rand(3, 1, 20, 20), 5), "grey pictures"),
        (lambda: photographs.cut([torch.ones(20, 20, dtype=torch.uint8)], 5), "torch.uint8"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(CourseError, match=words.replace("(", r"\(")):
        call()


def test_a_package_without_its_pictures_is_named(monkeypatch, tmp_path):
    elsewhere = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: elsewhere)
    with pytest.raises(CourseError, match=r"camera\.png of scikit-image is not there"):
        photographs.images(("camera",))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="pip install --force-reinstall scikit-learn"):
        photographs.images(("china",))


def test_another_picture_is_refused(monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "camera.png").write_bytes(b"another")
    elsewhere = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: elsewhere)
    with pytest.raises(CourseError, match="is not the photograph that the course knows"):
        photographs.images(("camera",))
