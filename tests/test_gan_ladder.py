"""The ladder on faces, as one command: faces that travel, a few steps, scores and sheets."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from course_tools.gan_ladder import packing, pictures, running
from course_tools.gan_ladder.__main__ import main
from course_utils import data, folders
from course_utils.models.gan import Generator


@pytest.fixture(scope="module")
def people():
    return data.faces("drawn", "quick")


@pytest.fixture(scope="module")
def packed(people, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "faces.safetensors"
    assert packing.pack(people, path) == path.stat().st_size
    return path


def test_packed_faces_come_back_in_their_splits(people, packed):
    train, held = packing.unpack(packed, torch.device("cpu"))
    expected = torch.cat([people.val.x, people.test.x])
    assert train.shape == people.train.x.shape and held.shape == expected.shape
    for back, sent in ((train, people.train.x), (held, expected)):
        changed = (back.float() - sent.float()).abs().mean((1, 2, 3))
        assert changed.max() < 3  # of 255: each face is itself, though a JPEG


def test_a_sheet_has_eight_columns_and_whole_rows(people):
    sheet = pictures.sheet(people.train.x[:19], quality=95)
    path = folders.cache_dir() / "sheet.jpg"
    path.write_bytes(sheet)
    with Image.open(path) as picture:
        assert picture.size == (512, 128)
        pixel = picture.crop((64, 64, 128, 128))  # row 1, column 1: the tenth face
    sent = people.train.x[9].permute(1, 2, 0).float()
    back = torch.frombuffer(bytearray(pixel.tobytes()), dtype=torch.uint8).view(64, 64, 3).float()
    assert (back - sent).abs().mean() < 4


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "holds no packed faces"), (b"junk", "holds no packed faces")],
)
def test_what_is_no_packed_file_is_refused(tmp_path, capsys, content, words):
    path = tmp_path / "faces"
    if content:
        path.write_bytes(content)
    assert main(["try", "--faces", str(path), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert words in told and "gan_ladder pack FILE" in told
    assert not (tmp_path / "out").exists()


def test_tensors_of_another_kind_are_refused(tmp_path, capsys):
    folders.write_tensors(tmp_path / "faces", {"x": torch.zeros(2)})
    assert main(["try", "--faces", str(tmp_path / "faces"), "--out", str(tmp_path / "out")]) == 2
    assert "not packed faces" in capsys.readouterr().err


def test_an_unknown_rung_is_refused_before_anything_is_read(tmp_path, capsys):
    words = ["all", "--faces", str(tmp_path / "none"), "--out", str(tmp_path), "--only", "dcgann"]
    assert main(words) == 2
    assert "dcgann" in capsys.readouterr().err


@pytest.mark.slow
def test_some_steps_of_a_gan_and_of_a_vae_gan(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "LOOKS", (64,))
    words = ["all", "--faces", str(packed), "--out", str(tmp_path), "--only", "dcgan", "vae_gan"]
    words += ["--keep", "dcgan", "--images", "192", "--width", "8", "--seconds", "300"]
    assert main(words) == 0
    found = json.loads((tmp_path / "records.json").read_text(encoding="utf-8"))
    assert found["floor"]["FD-face_referee"] < found["rungs"]["dcgan"]["average"]["FD-face_referee"]
    for name, scored in (("dcgan", {"average", "last"}), ("vae_gan", {"average", "repeated"})):
        rung = found["rungs"][name]
        assert rung["steps"] == 3 and rung["images"] == 192 and scored <= set(rung)
        assert rung["history"][-1]["g_loss"] > 0
        assert [row["images"] for row in rung["history"]] == [64, 192]
        assert rung["history"][0]["FD"] > 0
        assert rung["history"][-1]["FD"] == rung["average"]["FD-face_referee"]
        with Image.open(tmp_path / f"{name}-average.jpg") as picture:
            assert picture.size == (512, 512)
    assert (tmp_path / "vae_gan-recon.jpg").is_file() and found["rungs"]["vae_gan"]["fitted"]
    state = {k: v.float() for k, v in load_file(tmp_path / "dcgan.safetensors").items()}
    generator = Generator(width=8)
    missing, unexpected = generator.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
