"""The instructor's edition: answers, notes that add up, slides of the figures."""

import re

import nbformat
import pytest
import sample

from course_tools.chapters import stored
from course_tools.editions import instructor, markdown, slides, student
from course_utils.errors import CourseError


def test_answers_hold_the_graded_solutions_too(clone, tmp_path):
    (path,) = instructor.write(tmp_path / "out", clone)
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    for solution in sample.SOLUTIONS.values():
        assert solution in text
    assert "Not to be published" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_the_same_bytes_twice(clone, tmp_path):
    def written(name):
        instructor.write(tmp_path / name, clone)
        files = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        return {path.relative_to(tmp_path / name): path.read_bytes() for path in files}

    assert written("a") == written("b")


@pytest.mark.parametrize("path", stored.chapters(), ids=lambda path: path.stem)
def test_every_chapter_has_notes_that_add_up(path):
    notes = stored.ROOT / instructor.NOTES / f"{path.stem}.md"
    assert notes.is_file(), f"write {notes}: see the others there"
    assert instructor.faults(notes.read_text(encoding="utf-8")) == []


def test_notes_that_do_not_add_up_are_refused(clone, tmp_path):
    nbformat.write(sample.notebook(), clone / "notebooks" / "90_chapter.ipynb")
    (clone / "book" / "teaching").unlink()
    (clone / "book" / "teaching").mkdir()
    notes = clone / "book" / "teaching" / "90_chapter.md"
    notes.write_text("### 50 minutes\n\n- 40 min: talk\n", encoding="utf-8")
    with pytest.raises(CourseError, match="50 minutes adds up to 40"):
        instructor.write(tmp_path / "out", clone)
    assert not (tmp_path / "out").exists()


@pytest.mark.notebook
@pytest.mark.parametrize("path", stored.chapters()[:1], ids=lambda path: path.stem)
def test_slides_show_each_described_figure_and_load_nothing(path):
    nb = student.read(path)
    page = slides.of(nb, path, markdown.read_book(stored.ROOT))
    count = sum(bool(cell.metadata.get("mystnb", {}).get("image")) for cell in nb.cells)
    assert page.count("<figure>") == page.count('<img src="data:image/') == count > 5
    assert not re.search(r'(?:src|href)="https?:', page)
    assert all(alt for alt in re.findall(r'alt="([^"]*)"', page))


def test_a_slide_shows_photographs_too():
    assert slides.picture({"image/jpeg": "/9j/\n4AA="}) == "data:image/jpeg;base64,/9j/4AA="
    assert slides.picture({"text/plain": "<Figure>"}) == ""
