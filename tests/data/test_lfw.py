"""The faces: found, built, decoded, cached, split by person, drawn where there are none."""

import io
import json
import os

import lfw_like
import pytest
import torch
from commands import course
from serving import served

from course_utils import data, provenance
from course_utils.data import decoding, drawn_faces, hub, lfw, store
from course_utils.errors import CourseError


@pytest.fixture
def packed(small_lfw, few_photographs):
    """Return an archive of 24 photographs, outside the data folder."""
    return lfw_like.archive(small_lfw / "lfw-deepfunneled.tgz", few_photographs)


# --------------------------------------------------------------------------------------- decoding


def test_a_face_is_the_middle_of_its_photograph_as_torch_shrinks_it(few_photographs):
    from PIL import Image
    from torchvision.transforms import v2

    for name, content in few_photographs.items():
        photo = v2.functional.pil_to_tensor(Image.open(io.BytesIO(content)))
        middle = v2.functional.center_crop(photo, [90, 90])
        expected = v2.functional.resize(middle, [64, 64], antialias=True)
        found = decoding.face(content, name)
        difference = (found.int() - expected.int()).abs().float()
        assert difference.max() <= 4 and difference.mean() < 0.5  # they round differently


def test_decoding_with_one_thread_or_three_is_the_same(tmp_path, few_photographs):
    store.build(tmp_path / "s", few_photographs, "deepfunneled")
    one, names = decoding.decode(tmp_path / "s", threads=1)
    three, _ = decoding.decode(tmp_path / "s", threads=3)
    assert one.equal(three) and one.shape == (24, 3, 64, 64) and names == sorted(few_photographs)


def test_the_cache_is_read_and_a_damaged_one_is_made_again(small_lfw, few_photographs, monkeypatch):
    store.build(small_lfw / "s", few_photographs, "deepfunneled")
    x, names = decoding.cached(small_lfw / "s")
    (kept,) = (small_lfw / "cache" / "faces").glob("*.safetensors")
    calls = []
    decode = decoding.decode
    monkeypatch.setattr(decoding, "decode", lambda folder: calls.append(1) or decode(folder))
    again, same = decoding.cached(small_lfw / "s")
    assert again.equal(x) and same == names and not calls
    content = bytearray(kept.read_bytes())
    content[-1000] ^= 4  # a pixel
    for spoiled in (bytes(content), bytes(content[:-500]), b""):
        kept.write_bytes(spoiled)
        again, _ = decoding.cached(small_lfw / "s")
        assert again.equal(x)
    assert len(calls) == 3


# ---------------------------------------------------------------------------------------- splits


def test_no_person_is_in_two_splits():
    y = torch.arange(1000).repeat_interleave(3)
    parts = lfw.by_person(y, 1000)
    people = [set(y[rows].tolist()) for rows in parts]
    assert [len(p) for p in people] == [800, 100, 100]
    assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
    assert sorted(torch.cat(parts).tolist()) == list(range(3000))
    few = lfw.by_person(y, 1000, (50, 10, 10))
    assert [len(rows) for rows in few] == [50, 10, 10]
    assert all(set(a.tolist()) <= set(b.tolist()) for a, b in zip(few, parts, strict=True))


# ------------------------------------------------------------------------------- found and fetched


def test_an_archive_in_the_data_folder_is_enough(small_lfw, few_photographs):
    (small_lfw / "data" / "mirror").mkdir()
    lfw_like.archive(small_lfw / "data" / "mirror" / "lfw-deepfunneled.tgz", few_photographs)
    found = data.faces(profile="full")
    assert (found.name, found.source) == ("lfw", "real")
    assert len(found.train) + len(found.val) + len(found.test) == 24
    assert found.classes[int(found.train.y[0])].startswith("Person_")
    assert provenance.data_in_use() == "lfw"
    assert (small_lfw / "cache" / "data" / "lfw" / "deepfunneled" / store.MANIFEST).exists()
    assert not (small_lfw / "data" / "lfw").exists()  # `course data` alone writes there


def test_without_faces_they_are_drawn_and_insisting_says_what_to_type(small_lfw, capsys):
    assert data.faces(profile="quick").source == "drawn"
    assert "course data lfw" in capsys.readouterr().out
    with pytest.raises(CourseError, match="course data lfw --archive FILE"):
        data.faces("real")


def test_other_alignments_have_other_names(small_lfw, few_photographs):
    packed = lfw_like.archive(small_lfw / "lfw-funneled.tgz", few_photographs)
    lfw.LFW.fetch(small_lfw / "data", packed)
    assert data.faces(profile="full").name == "lfw (funneled)"


@pytest.mark.parametrize(
    ("name", "alignment"),
    [("lfw.tgz", "original"), ("lfw-funneled.tgz", "funneled"), ("mine.tgz", "deepfunneled"),
     ("lfw_funneled", "funneled"), ("lfw-deepfunneled.tgz", "deepfunneled"), ("lfw", "original")],
)  # fmt: skip
def test_an_archive_tells_its_alignment(name, alignment):
    assert lfw.told_by(name) == alignment


def test_the_command_builds_verifies_and_names_damage(small_lfw, packed):
    made = course("data", "lfw", "--archive", str(packed))
    assert made.exit_code == 0 and "verified" in made.output
    assert "already" in course("data", "lfw").output
    assert course("data", "lfw", "--alignment", "deepfunneled").exit_code == 0
    checked = course("data", "lfw", "--verify")
    assert checked.exit_code == 0 and "24 deepfunneled photographs" in checked.output
    folder = small_lfw / "data" / "lfw" / "deepfunneled"
    chunk = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    broken = course("data", "lfw", "--verify")
    assert broken.exit_code == 2 and chunk.name in broken.output


def test_photographs_of_another_alignment_are_not_passed_over_in_silence(small_lfw, packed):
    """They are kept as the first archive had them, whatever is asked for later."""
    assert course("data", "lfw", "--archive", str(packed)).exit_code == 0
    for words, says in (
        (("--alignment", "original"), "holds the deepfunneled photographs, not the original ones"),
        (("--hub",), "not the original ones"),
        (("--alignment", "deepfuneled"), "'deepfuneled' is unknown"),
    ):
        result = course("data", "lfw", *words)
        assert result.exit_code == 2 and says in result.output


def test_mistakes_at_the_command_line_end_with_status_2(small_lfw, packed, few_photographs):
    some = dict(list(few_photographs.items())[:5])
    short = lfw_like.archive(small_lfw / "short.tgz", some)
    for words, says in (
        (("--archive", str(short)), "holds 5 photographs"),
        (("--archive", str(small_lfw / "none.tgz")), "is not there"),
        (("--alignment", "sideways", "--archive", str(packed)), "is unknown"),
    ):
        result = course("data", "lfw", *words)
        assert result.exit_code == 2, words
        assert says in result.output.replace("\n", " ")
    assert course("data", "mnist", "--hub").exit_code == 2
    assert not (small_lfw / "data" / "lfw" / "deepfunneled").exists()


@pytest.mark.parametrize("more", [(), ("--verify",)])
def test_a_word_that_is_no_alignment_is_refused_before_anything_is_fetched(small_lfw, more):
    """It says nothing of fetching, and makes no folder."""
    result = course("data", "lfw", "--alignment", "deep", *more)
    assert result.exit_code == 2 and "'deep' is unknown" in result.output
    assert "Fetching" not in result.output and not (small_lfw / "data" / "lfw").exists()


def test_other_photographs_than_the_published_are_refused(small_lfw, packed, monkeypatch):
    monkeypatch.setattr(lfw, "CONTENT", {"deepfunneled": "0" * 64})
    with pytest.raises(CourseError, match="does not hold the deepfunneled photographs"):
        lfw.LFW.fetch(small_lfw / "data", packed)


@pytest.fixture
def two_alignments(small_lfw, few_photographs, monkeypatch):
    """Return archives of two alignments, the listing of one known, the archive of the other."""
    deep = lfw_like.archive(small_lfw / "lfw-deepfunneled.tgz", few_photographs)
    other = lfw_like.photographs(seed=6)
    funneled = lfw_like.archive(small_lfw / "lfw-funneled.tgz", other, "lfw_funneled")
    monkeypatch.setattr(lfw, "CONTENT", {"deepfunneled": store.content_sha256(few_photographs)})
    monkeypatch.setattr(lfw, "MIRRORS", {"funneled": ("nowhere", store.sha256_of(funneled))})
    return deep, funneled


@pytest.mark.parametrize("which", [0, 1])
def test_a_known_archive_is_what_it_is_whatever_its_name(small_lfw, two_alignments, which):
    right = ("deepfunneled", "funneled")[which]
    renamed = small_lfw / ("lfw-funneled.tgz", "lfw-deepfunneled.tgz")[which]
    two_alignments[1 - which].unlink()
    two_alignments[which].rename(renamed)
    assert course("data", "lfw", "--archive", str(renamed)).exit_code == 0
    verified = course("data", "lfw", "--verify")
    assert "is what was published" in verified.output and f"24 {right} photo" in verified.output


@pytest.mark.parametrize("which", [0, 1])
def test_a_known_archive_is_refused_under_a_wrong_alignment(small_lfw, two_alignments, which):
    right, wrong = ("deepfunneled", "funneled")[:: 1 - 2 * which]
    words = ("--archive", str(two_alignments[which]), "--alignment", wrong)
    result = course("data", "lfw", *words)
    assert result.exit_code == 2
    assert f"holds the {right} photographs, not the {wrong} ones" in " ".join(result.output.split())
    assert not list((small_lfw / "data").rglob(store.MANIFEST))


def test_an_archive_in_the_data_folder_under_a_wrong_name_is_not_believed(
    small_lfw, two_alignments
):
    two_alignments[1].rename(small_lfw / "data" / "lfw-deepfunneled.tgz")
    with pytest.raises(CourseError, match="the funneled photographs, not the deepfunneled ones"):
        data.faces(profile="full")


@pytest.mark.parametrize(("which", "wrong"), [(0, "funneled"), (1, "deepfunneled")])
def test_a_store_that_names_a_wrong_alignment_is_found_out(small_lfw, two_alignments, which, wrong):
    """Made by hand, or by an earlier version, and whole: no file differs from its manifest."""
    packed = two_alignments[which]
    photographs, sha256 = lfw.read_archive(packed), store.sha256_of(packed)
    store.build(small_lfw / "data" / "lfw" / wrong, photographs, wrong, sha256)
    result = course("data", "lfw", "--verify")
    assert result.exit_code == 2 and "is what was published" not in result.output
    with pytest.raises(CourseError, match="photographs, not the"):
        data.faces(profile="full")


def test_photographs_that_nobody_knows_are_not_called_published(small_lfw, few_photographs):
    packed = lfw_like.archive(small_lfw / "lfw-funneled.tgz", few_photographs)
    lfw.LFW.fetch(small_lfw / "data", packed)
    verified = course("data", "lfw", "--verify")
    assert verified.exit_code == 0 and "published cannot be told" in verified.output
    assert "is what was published" not in verified.output


def test_a_store_made_before_archives_were_named_is_read_and_made_anew(small_lfw, two_alignments):
    folder = small_lfw / "data" / "lfw" / "funneled"
    photographs = lfw.read_archive(two_alignments[1])
    store.build(folder, photographs, "funneled")
    manifest = json.loads((folder / store.MANIFEST).read_text())
    del manifest["archive"]
    (folder / store.MANIFEST).write_text(json.dumps(manifest | {"format": 1}))
    assert "cannot be told" in course("data", "lfw", "--verify").output
    lfw.LFW.fetch(small_lfw / "data", two_alignments[1])
    assert "is what was published" in course("data", "lfw", "--verify").output


def test_where_the_data_folder_cannot_be_written_the_store_goes_to_the_cache(
    small_lfw, packed, ordinary_user, capsys
):
    for name in ("cache", "data"):
        (small_lfw / name).mkdir(exist_ok=True)
    (small_lfw / "cache").chmod(0o777)
    (small_lfw / "data").chmod(0o555)
    packed.chmod(0o644)
    with ordinary_user():
        lfw.LFW.fetch(small_lfw / "data", packed)
    assert "the store goes to" in capsys.readouterr().err
    assert (small_lfw / "cache" / "data" / "lfw" / "deepfunneled" / store.MANIFEST).exists()


@pytest.fixture
def server(tmp_path):
    """Return the address of a server of a folder, and the folder."""
    folder = tmp_path / "served"
    folder.mkdir()
    with served(folder) as address:
        yield address, folder


def test_a_mirror_is_asked_and_what_it_gives_is_checked(
    small_lfw, server, few_photographs, monkeypatch
):
    address, folder = server
    packed = lfw_like.archive(folder / "lfw-deepfunneled.tgz", few_photographs)
    monkeypatch.setenv("COURSE_MIRROR", address)
    assert course("data", "lfw").exit_code == 0
    assert data.faces(profile="full").name == "lfw"
    os.rename(packed, folder / "lfw-funneled.tgz")
    monkeypatch.setitem(lfw.MIRRORS, "funneled", (f"{address}/lfw-funneled.tgz", "0" * 64))
    with pytest.raises(CourseError, match="not the published one"):
        lfw.download("funneled")
    (folder / "lfw-funneled.tgz").unlink()
    with pytest.raises(CourseError, match="404"):
        lfw.download("funneled")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import time; time.sleep(60)", "no end after 0.2 s"),
        ("raise SystemExit('no route to the hub')", "no route to the hub"),
    ],
)
def test_a_hub_that_does_not_answer_ends_in_words(small_lfw, monkeypatch, code, says):
    if not store.lake_runs():
        pytest.skip("Deep Lake is not installed here")
    monkeypatch.setattr(hub, "CONVERT", code)
    monkeypatch.setenv("COURSE_HUB_TIMEOUT", "0.2" if "sleep" in code else "60")
    result = course("data", "lfw", "--hub")
    assert result.exit_code == 2 and says in result.output.replace("\n", " ")


# ------------------------------------------------------------------------------------------ drawn


def test_drawn_faces_are_those_of_their_seed():
    x, factors = drawn_faces.faces(70, seed=3)
    assert x.shape == (70, 3, 64, 64) and x.dtype == torch.uint8
    assert factors.shape == (70, 18) and len(drawn_faces.NAMES) == 18
    again, same = drawn_faces.faces(40, seed=3)
    assert x[:40].equal(again) and factors[:40].equal(same)
    assert not drawn_faces.faces(40, seed=4)[0].equal(again)
    assert drawn_faces.faces(0)[0].shape == (0, 3, 64, 64)
    with pytest.raises(CourseError, match="whole number"):
        drawn_faces.faces(-1)


def test_factors_stay_in_their_spans_and_are_used_evenly():
    _, factors = drawn_faces.faces(640)
    for name, column in zip(drawn_faces.NAMES, factors.T, strict=True):
        span = drawn_faces.FACTORS[name]
        if isinstance(span, int):
            counts = torch.bincount(column.long(), minlength=span)
            assert len(counts) == span and counts.min() > 100
        else:
            low, high = span
            assert low <= column.min() and column.max() <= high
            assert abs(float(column.mean()) - (low + high) / 2) < 0.06 * (high - low)
    assert factors.T.corrcoef().fill_diagonal_(0).abs().max() < 0.2


@pytest.mark.parametrize("name", drawn_faces.NAMES)
def test_each_factor_changes_the_picture(name):
    middle = torch.tensor(
        [1.0 if isinstance(s, int) else sum(s) / 2 for s in drawn_faces.FACTORS.values()]
    )
    middle[drawn_faces.NAMES.index("open")] = 0.8
    middle[drawn_faces.NAMES.index("glasses")] = 0
    span = drawn_faces.FACTORS[name]
    low, high = (0, span - 1) if isinstance(span, int) else span
    high = 0.5 if name == "backdrop" else high  # a hue comes round again
    rows = middle.repeat(2, 1)
    rows[:, drawn_faces.NAMES.index(name)] = torch.tensor([low, high], dtype=torch.float32)
    a, b = drawn_faces.from_factors(rows).int()
    assert (a - b).abs().float().mean() > 0.05


def test_the_labels_of_drawn_faces_are_hairstyles(monkeypatch):
    found = data.faces("drawn", "quick")
    assert found.name == "drawn faces" and found.classes == drawn_faces.HAIRSTYLES
    assert [len(s) for s in (found.train, found.val, found.test)] == [2000, 500, 500]
    assert set(found.train.y.unique().tolist()) == {0, 1, 2, 3}
