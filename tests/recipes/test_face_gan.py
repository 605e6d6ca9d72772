"""What chapter 06 keeps in the package: generators, records and pictures, each checked."""

import pytest
import torch

from course_utils import provenance
from course_utils.errors import CourseError
from course_utils.recipes import face_gan
from course_utils.recipes.face_referee import load_face_referee


def test_the_kept_generator_draws_faces():
    net = face_gan.load_face_generator()
    torch.manual_seed(0)
    x = net(torch.randn(16, net.code_dim))
    assert x.shape == (16, 3, 64, 64) and x.abs().max() <= 1
    assert not net.training and 0.2 < float(x.std()) < 0.8
    assert float(x.std(0).mean()) > 0.2  # they differ
    assert (face_gan.ASSETS / "face_generator.safetensors").stat().st_size < 4e6


def test_records_name_the_device_and_pictures_are_there():
    provenance.forget()
    face_gan.ladder_records.cache_clear()
    records = face_gan.ladder_records()
    assert provenance.runs_used("gan_dcgan")[0].device.startswith("cuda")
    assert records["dcgan"]["images"] >= 500_000 and records["final"]["images"] >= 500_000
    for name in records:
        assert face_gan.ladder_samples(name).shape == (16, 3, 64, 64)
    for name in ("ae", "vae", "vae_gan"):
        assert face_gan.ladder_samples(name, "repeated").shape == (8, 3, 64, 64)
    shown = [row for row in records["faces"]["history"] if row.get("strip")]
    assert len(face_gan.ladder_samples("faces", "time")) == 8 * len(shown) > 0
    assert records["faces"]["device"].startswith("cpu")
    assert 0 < face_gan.ladder_floor()["FD-face_referee"] < 1
    with pytest.raises(CourseError, match="no samples of 'nobody'"):
        face_gan.ladder_samples("nobody")


def test_another_file_is_refused(monkeypatch):
    monkeypatch.setitem(face_gan.SHA256, "face_ladder.json", "0" * 64)
    with pytest.raises(CourseError, match="restore it with git checkout"):
        face_gan.ladder_floor()
    monkeypatch.setitem(face_gan.SHA256, "face_generator.safetensors", "0" * 64)
    face_gan.load_face_generator.cache_clear()
    with pytest.raises(CourseError, match="restore it with git checkout"):
        face_gan.load_face_generator()


@pytest.mark.parametrize(("name", "width"), [("face_referee", 64), ("face_referee_2", 80)])
def test_a_face_referee_reads_drawn_faces(name, width):
    from course_utils.data import drawn_faces

    net = load_face_referee(name)
    x, factors = drawn_faces.faces(64, seed=9)
    assert net.features(x / 255).shape == (64, width)
    glasses = net(x / 255)[:, -4:].argmax(1)
    assert (glasses == factors[:, drawn_faces.NAMES.index("glasses")]).float().mean() > 0.9
