"""Archives of photographs: what is taken, and what is refused in words."""

import tarfile

import lfw_like
import pytest

from course_utils.data import archive
from course_utils.errors import CourseError


def test_an_archive_and_its_folder_give_the_same_photographs(tmp_path, few_photographs):
    packed = lfw_like.archive(tmp_path / "lfw.tgz", few_photographs)
    with tarfile.open(packed) as opened:
        opened.extractall(tmp_path / "out", filter="data")
    from_tar = archive.photographs(packed)
    assert (
        from_tar == archive.photographs(tmp_path / "out") == dict(sorted(few_photographs.items()))
    )
    assert from_tar == archive.photographs(packed.name, packed.read_bytes())


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda b: b[: len(b) // 2], "truncated"),
        (lambda b: b"not an archive" * 50, "cannot be read as an archive"),
        (lambda b: b"", "cannot be read as an archive"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, few_photographs, spoil, says):
    packed = lfw_like.archive(tmp_path / "lfw.tgz", few_photographs)
    packed.write_bytes(spoil(packed.read_bytes()))
    with pytest.raises(CourseError, match=says):
        archive.photographs(packed)


@pytest.mark.parametrize("name", ["../Eve/Eve_0001.jpg", "/tmp/Eve_0001.jpg", "a/../../x.jpg"])
def test_a_member_that_leads_out_is_refused(tmp_path, few_photographs, name):
    packed = lfw_like.archive(tmp_path / "lfw.tgz", few_photographs | {name: b"x"})
    with pytest.raises(CourseError, match="leads out of the archive"):
        archive.photographs(packed)


def test_a_link_is_refused(tmp_path):
    with tarfile.open(tmp_path / "lfw.tgz", "w:gz") as packed:
        link = tarfile.TarInfo("lfw/Eve/Eve_0001.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    with pytest.raises(CourseError, match="leads out of the archive"):
        archive.photographs(tmp_path / "lfw.tgz")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda b: b"GIF89a" + b, "is no JPEG"),
        (lambda b: b[:-200], "is no JPEG, or a part of one"),
        (lambda b: b"", "is no JPEG"),
    ],
)
def test_what_is_no_jpeg_is_named(tmp_path, few_photographs, spoil, says):
    name = "Person_03_0002.jpg"
    spoiled = few_photographs | {name: spoil(few_photographs[name])}
    with pytest.raises(CourseError, match=f"{name} in .*{says}"):
        archive.photographs(lfw_like.archive(tmp_path / "lfw.tgz", spoiled))


def test_a_photograph_of_another_size_is_refused(few_photographs):
    import torch

    small = lfw_like.jpeg(torch.zeros(3, 100, 80, dtype=torch.uint8))
    with pytest.raises(CourseError, match="80x100 in 3 colours; photographs of LFW are 250x250"):
        archive.check_jpeg(small, "a.jpg")


def test_an_archive_without_photographs_or_without_itself(tmp_path):
    with pytest.raises(CourseError, match="no photograph named like"):
        archive.photographs(lfw_like.archive(tmp_path / "a.tgz", {"a/readme.txt": b"hello"}))
    with pytest.raises(CourseError, match="is not there"):
        archive.photographs(tmp_path / "b.tgz")
