"""What learning platforms hand back, sorted by student."""

import csv
import io
import zipfile

import pytest
from commands import course, refused

from course_tools.editions import collect, folder
from course_utils.errors import CourseError

NB = b'{"cells": []}'


def packed(path, files):
    """Write a ZIP file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 26, 9, 0, 0)), content)
    return path


@pytest.mark.parametrize(
    ("name", "student", "file"),
    [
        ("Ada Lovelace_123_assignsubmission_file/01_x.ipynb", "Ada Lovelace_123", "01_x.ipynb"),
        ("Ada Lovelace_123_assignsubmission_file_01_x.ipynb", "Ada Lovelace_123", "01_x.ipynb"),
        ("lovelaceada_LATE_55_901_01_x-1.ipynb", "lovelaceada_55", "01_x.ipynb"),
        ("lovelaceada_55_901_01_x.ipynb", "lovelaceada_55", "01_x.ipynb"),
        ("HW_al3_attempt_2026-11-26-09-00-00_01_x.ipynb", "al3", "01_x.ipynb"),
        ("ada/deep/01_x (2).ipynb", "ada", "01_x.ipynb"),
        ("ada_01_x.ipynb", "ada", "01_x.ipynb"),
        ("ada.ipynb", "ada", "ada.ipynb"),
        ("../../../etc/01_x.ipynb", "etc", "01_x.ipynb"),
        ("con/01:x?.ipynb", "_con", "01-x-.ipynb"),
        ("Zoë Müller/01_x.ipynb", "Zoë Müller", "01_x.ipynb"),
    ],
)
def test_whose(name, student, file):
    assert collect.whose(name) == (student, file)


def test_a_zip_file_of_a_platform(tmp_path):
    inner = packed(tmp_path / "inner.zip", {"work/01_x.ipynb": NB}).read_bytes()
    source = packed(tmp_path / "all.zip", {
        "Ada_1_assignsubmission_file/01_x.ipynb": NB,
        "Ada_1_assignsubmission_file/notes.txt": b"?",
        "Ben_2_assignsubmission_file/all.zip": inner,
        "__MACOSX/Ada_1_assignsubmission_file/._01_x.ipynb": b"",
        "../evil_9_assignsubmission_file/01_x.ipynb": NB,
        "Cleo_3_assignsubmission_file/broken.zip": b"PK",
    })  # fmt: skip
    found = collect.collect(source, tmp_path / "out")
    assert found == {"Ada_1": ["01_x.ipynb"], "Ben_2": ["01_x.ipynb"], "evil_9": ["01_x.ipynb"]}
    assert (tmp_path / "out" / "Ada_1" / "01_x.ipynb").read_bytes() == NB
    listed = (tmp_path / "out" / "collected.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(listed)))
    became = {row[0]: row[2] for row in rows}
    assert became["Ada_1_assignsubmission_file/notes.txt"] == "left out: no notebook"
    assert "no ZIP file" in became["Cleo_3_assignsubmission_file/broken.zip"]
    assert not list(tmp_path.parent.glob("evil*"))


def test_the_later_attempt_counts(tmp_path):
    names = [f"HW_al_attempt_2026-11-{day}-09-00-00_01_x.ipynb" for day in (27, 25, 26)]
    files = {name: b'{"cells": [], "day": %d}' % i for i, name in enumerate(names)}
    collect.collect(packed(tmp_path / "all.zip", files), tmp_path / "out")
    assert (tmp_path / "out" / "al" / "01_x.ipynb").read_bytes().endswith(b"0}")
    listed = (tmp_path / "out" / "collected.csv").read_text(encoding="utf-8")
    assert listed.count("an earlier one") == 2


def test_a_folder_and_again_over_an_older_collection(tmp_path):
    source = tmp_path / "in" / "ada"
    source.mkdir(parents=True)
    (source / "01_x.ipynb").write_bytes(NB)
    (source / "link.ipynb").symlink_to(source / "01_x.ipynb")
    result = course("collect", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0 and "1 students in" in result.stdout
    assert course("collect", tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    assert folder.kind_of(tmp_path / "out") == "collected"
    assert not (tmp_path / "out" / "ada" / "link.ipynb").exists()


def test_mistakes(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no zip")
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    good = packed(tmp_path / "good.zip", {"ada/01_x.ipynb": NB})
    out = tmp_path / "out"
    assert "is not there" in refused("collect", tmp_path / "gone.zip", "--out", out)
    assert "download it again" in refused("collect", tmp_path / "x.zip", "--out", out)
    assert "no notebook" in refused("collect", tmp_path / "empty", "--out", out)
    assert "something else" in refused("collect", good, "--out", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    assert "beside it" in refused("collect", tmp_path / "mine", "--out", tmp_path / "mine" / "out")
    assert not out.exists()


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "MOST_TOGETHER", 1000)
    source = packed(tmp_path / "all.zip", {"ada/01_x.ipynb": b" " * 2000})
    with pytest.raises(CourseError, match="would unpack to more"):
        collect.collect(source, tmp_path / "out")


def test_a_formula_stays_a_text(tmp_path):
    collect.collect(packed(tmp_path / "a.zip", {"=cmd()/01_x.ipynb": NB}), tmp_path / "out")
    assert ",=cmd" not in (tmp_path / "out" / "collected.csv").read_text(encoding="utf-8")


def test_a_zip_file_inside_that_would_fill_the_memory_is_left_out(tmp_path):
    big = {f"{i}.ipynb": bytes(20_000_000) for i in range(6)}
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in big.items():
            archive.writestr(name, content)
    source = packed(tmp_path / "all.zip", {
        "Ada_1_assignsubmission_file/01_x.ipynb": NB,
        "Ben_2_assignsubmission_file/all.zip": inner.read_bytes(),
    })  # fmt: skip
    assert collect.collect(source, tmp_path / "out") == {"Ada_1": ["01_x.ipynb"]}
    listed = (tmp_path / "out" / "collected.csv").read_text(encoding="utf-8")
    assert "more than 100 MB" in listed
