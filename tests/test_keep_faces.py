"""How a finished run becomes the generator, the rung and the pictures that the package holds."""

import io
import json

import pytest
import torch

from course_tools import keep_faces as keep
from course_utils import checkpoint
from course_utils.compact import in_fp16
from course_utils.errors import CourseError
from course_utils.models.gan import Generator
from course_utils.recipes import face_gan

ROW = {
    "epoch": 3, "train_d_loss": 1.25, "train_g_loss": 0.9, "train_real_score": 0.3,
    "train_fake_score": -0.2, "train_g_grad_norm": 2.0, "val_real_score": 0.1,
}  # fmt: skip


def small():
    """Return a generator of the kept shape that has seen something."""
    torch.manual_seed(0)
    made = Generator(**keep.SHAPE).train()
    made(torch.randn(8, 128))
    return made.eval()


def test_a_history_gets_the_names_of_the_ladder():
    (row,) = keep.history([ROW], n_train=100)
    assert row["images"] == 300 and row["d_loss"] == 1.25
    assert (row["train_score"], row["held_score"], row["fake_score"]) == (0.3, 0.1, -0.2)
    ladder = face_gan.ladder_records()["r1"]["history"][0]
    assert set(row) == set(ladder) - {"seconds"}


def test_what_is_scored_is_what_a_reader_gets(tmp_path, monkeypatch):
    """Sixteen bits to a weight, read back by `load_face_generator`: the same pictures."""
    generator = small()
    path = tmp_path / "face_generator.safetensors"
    about = {"model": "Generator", "model_args": keep.SHAPE}
    checkpoint.save(path, keep.halved(generator), about)
    monkeypatch.setattr(face_gan, "asset", lambda name: path)
    face_gan.load_face_generator.cache_clear()
    try:
        read = face_gan.load_face_generator()
    finally:
        face_gan.load_face_generator.cache_clear()
    codes = keep.codes(8, seed=7)
    assert keep.drawn(read, codes).equal(keep.drawn(in_fp16(generator), codes))
    difference = keep.drawn(generator, codes).int() - keep.drawn(read, codes).int()
    assert difference.abs().float().mean() < 0.5  # levels of 255: rounding, not other weights
    assert path.stat().st_size < 4e6


def test_a_sheet_comes_back_as_tiles(tmp_path, monkeypatch):
    """As `ladder_samples` reads it: in order, and only as different as JPEG makes it."""
    colour = torch.arange(16, dtype=torch.uint8)[:, None, None, None] * 16
    pictures = colour.expand(16, 3, 64, 64).contiguous()
    path = tmp_path / "sheets.safetensors"
    checkpoint.save(path, {"faces/samples": keep.jpeg(pictures)}, {})
    monkeypatch.setattr(face_gan, "asset", lambda name: path)
    read = face_gan.ladder_samples("faces")
    assert (read.int() - pictures.int()).abs().max() <= 2


def test_the_rows_that_have_a_strip_are_marked(tmp_path):
    from safetensors.torch import save_file

    rows = [{"images": 100 * epoch} for epoch in (1, 2, 3)]
    kept = {f"epoch/{n}": torch.full((8, 3, 64, 64), n, dtype=torch.uint8) for n in (3, 1)}
    save_file(kept, tmp_path / "strips.safetensors")
    strips = keep.looked_at(tmp_path / "strips.safetensors", rows, 100)
    assert [int(s[0, 0, 0, 0]) for s in strips.values()] == [1, 3]
    assert [row.get("strip", False) for row in rows] == [True, False, True]
    assert keep.looked_at(None, rows, 100) == {}


def test_another_recipes_run_is_refused(tmp_path):
    info = {"run": {"recipe": "gan_r1"}, "history": [ROW]}
    checkpoint.save(tmp_path / "checkpoint.safetensors", {"average/x": torch.zeros(1)}, info)
    with pytest.raises(CourseError, match="a run of gan_r1, not of gan_faces or gan_faces_on"):
        keep.trained(tmp_path)


def test_the_files_are_written_whole(tmp_path, monkeypatch, capsys):
    """The other rungs stay, and the new one holds its pictures and its hashes."""
    for name in ("face_ladder.json", "face_ladder.safetensors"):
        (tmp_path / name).write_bytes((keep.ASSETS / name).read_bytes())
    monkeypatch.setattr(keep, "ASSETS", tmp_path)
    found = {"device": "cpu", "versions": {}, "images": 300, "seconds": 1.0, "average": {"FD": 1}}
    strips = {"epoch/1": torch.zeros(8, 3, 64, 64, dtype=torch.uint8)}
    keep.write("faces", found, small(), strips)
    rungs = json.loads((tmp_path / "face_ladder.json").read_text())["rungs"]
    assert rungs["faces"] == found and "final" in rungs
    tensors, _ = checkpoint.load(tmp_path / "face_ladder.safetensors")
    assert {"faces/samples", "faces/time", "final/time"} <= set(tensors)
    from PIL import Image

    sheet = Image.open(io.BytesIO(tensors["faces/samples"].numpy().tobytes()))
    assert sheet.size == (512, 128)
    assert capsys.readouterr().out.count("safetensors") == 2


def test_a_rung_that_went_on_counts_what_was_before(tmp_path, monkeypatch, capsys):
    """Images, seconds and steps are those of both; with scores_only the kept weights stay."""
    for name in ("face_ladder.json", "face_ladder.safetensors", "face_generator.safetensors"):
        (tmp_path / name).write_bytes((keep.ASSETS / name).read_bytes())
    monkeypatch.setattr(keep, "ASSETS", tmp_path)
    before = json.loads((tmp_path / "face_ladder.json").read_text())["rungs"]["faces"]

    class Judged:
        held, train = torch.zeros(4), torch.zeros(100)

        def scores(self, x):
            return {"samples": len(x)}

    generator = small()
    found = keep.record(Judged(), "faces_on", generator, generator, [ROW], 10.0)
    assert found["images"] == before["images"] + 300 == found["history"][-1]["images"]
    assert found["seconds"] == before["seconds"] + 10 and found["steps"] == before["steps"] + 6
    assert found["average"] == {"samples": 4}

    path = tmp_path / "face_generator.safetensors"
    kept = path.read_bytes()
    keep.write("faces_on", found, generator, {}, scores_only=True)
    assert path.read_bytes() == kept and "face_generator" not in capsys.readouterr().out
    rungs = json.loads((tmp_path / "face_ladder.json").read_text())["rungs"]
    assert rungs["faces"] == before and rungs["faces_on"] == found
    keep.write("faces_on", found, generator, {})
    assert checkpoint.load(path)[1]["rung"] == "faces_on" and path.read_bytes() != kept


def test_strips_of_a_rung_that_went_on_find_their_rows(tmp_path):
    from safetensors.torch import save_file

    save_file({"epoch/2": torch.zeros(8, 3, 64, 64, dtype=torch.uint8)}, tmp_path / "strips")
    rows = [{"images": 1000 + 100 * epoch} for epoch in (1, 2)]
    keep.looked_at(tmp_path / "strips", rows, 100, before=1000)
    assert [row.get("strip", False) for row in rows] == [False, True]
