"""What stands in the built pages, and that a build with faults fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from course_tools.site import build, pages
from course_utils import claims

ROOT = Path(__file__).resolve().parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))


def files_in(entry: dict) -> list[str]:
    """Return the files that an entry of the contents names, with those below it."""
    below = [file for inner in entry.get("sections", []) for file in files_in(inner)]
    return [entry["file"], *below] if "file" in entry else below


DOCUMENTS = [
    TOC["root"],
    *(file for part in TOC["parts"] for chapter in part["chapters"] for file in files_in(chapter)),
]


def notebooks_in(folder: str) -> list[str]:
    """Return the notebooks of a folder, as the contents name them."""
    paths = sorted((ROOT / folder).glob("*.ipynb"))
    return [path.relative_to(ROOT).with_suffix("").as_posix() for path in paths]


def soup(path: Path) -> BeautifulSoup:
    """Return a parsed page."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_the_site_has_no_fault(site):
    assert pages.faults(site) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_document_of_the_contents_is_a_page(site, document):
    assert (site / f"{document}.html").is_file()


def test_every_chapter_is_in_the_contents_and_on_the_front_page(site):
    linked = {link["href"] for link in soup(site / "book/intro.html").select("article a[href]")}
    for notebook in notebooks_in("notebooks"):
        assert notebook in DOCUMENTS
        assert f"../{notebook}.html" in linked
    assert set(notebooks_in("notebooks/exercises")) <= set(DOCUMENTS)


def test_mathematics_comes_from_the_site(site):
    scripts = soup(site / "book/notation.html").find_all("script", src=re.compile("mathjax"))
    assert [script["src"].split("?")[0] for script in scripts] == [
        "../_static/mathjax/tex-mml-chtml.js"
    ]


def test_pages_load_no_more_than_they_need(site):
    for page in pages.pages_of(site):
        loaded = " ".join(script["src"] for script in page.soup.find_all("script", src=True))
        assert "require" not in loaded and "thebe" not in loaded
        assert "THEBE_JS_URL" not in page.html


def test_every_page_can_be_downloaded(site):
    for document in DOCUMENTS:
        page = site / f"{document}.html"
        button = soup(page).select_one(".btn-download-source-button")
        assert (page.parent / button["href"]).resolve().is_file()


def test_every_claim_has_an_entry_with_its_value_and_command(site):
    entries = soup(site / "book/reproduce.html").select(".claim-entry")
    by_command = {entry.pre.get_text().strip(): entry.get_text() for entry in entries}
    stated, recorded = claims.load(), claims.records()
    assert len(entries) == len(stated)
    for id in stated:
        text = by_command[f"course claims --rerun {id}"]
        value = re.search(r"Measured:?\s*([-\d.e]+)", text)[1]
        assert float(value) == pytest.approx(recorded[id]["value"], rel=1e-3)


# -------------------------------------------------------------------- builds of changed copies


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """Return a copy of what the book is made from, without chapters, outside of any repository."""
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("book", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    package = tmp_path / "course_utils"
    package.mkdir()
    for path in (ROOT / "course_utils").glob("*.py"):
        shutil.copy(path, package)
    shutil.copytree(ROOT / "course_tools", tmp_path / "course_tools")
    (tmp_path / "notebooks").mkdir()
    toc = {**TOC, "parts": [part for part in TOC["parts"] if part["caption"] != "Chapters"]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    for page in (tmp_path / "book").glob("*.md"):
        text = page.read_text("utf-8")
        text = re.sub(r"\[([^]]+)\]\((?:\.\./notebooks/[^)]+|closing\.md)\)", r"\1", text)
        page.write_text(text, encoding="utf-8")
    for name in ("REPOSITORY", "SERVER_URL", "BASE_REF", "REF_NAME", "WORKSPACE"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    return tmp_path


def add_notebook(clone: Path, output: dict) -> None:
    """Add a chapter of one code cell with this output to the copy."""
    import nbformat

    cell = nbformat.v4.new_code_cell("show()", execution_count=1, outputs=[output])
    title = nbformat.v4.new_markdown_cell("# A chapter")
    notebook = nbformat.v4.new_notebook(
        cells=[title, cell],
        metadata={"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}},
    )
    nbformat.write(notebook, clone / "notebooks" / "05_chapter.ipynb")
    toc = yaml.safe_load((clone / "_toc.yml").read_text(encoding="utf-8"))
    toc["parts"][0]["chapters"].append({"file": "notebooks/05_chapter"})
    (clone / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")


def stream(text: str) -> dict:
    """Return a notebook output that prints `text`."""
    import nbformat

    return nbformat.v4.new_output("stream", name="stdout", text=text)


def test_an_unknown_word_builds_nothing(capsys):
    with pytest.raises(SystemExit, match="2"):
        build.main(["--nonsense"])
    assert "unrecognized arguments: --nonsense" in capsys.readouterr().err


def test_a_build_is_fresh_until_a_source_changes(clone):
    index = build.build(clone)
    assert index.is_file() and build.is_fresh(clone)
    with (clone / "book" / "glossary.md").open("a", encoding="utf-8") as file:
        file.write("\nMore words.\n")
    assert not build.is_fresh(clone)


def test_without_a_repository_there_is_a_download_button_alone(clone):
    add_notebook(clone, stream("12\n"))
    build.build(clone)
    page = (clone / "_build/html/notebooks/05_chapter.html").read_text(encoding="utf-8")
    assert "btn-download-source-button" in page
    assert "colab.research" not in page and "github.com" not in page


@pytest.mark.slow
def test_a_published_build_links_to_its_repository(clone, monkeypatch):
    add_notebook(clone, stream("12\n"))
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/course")
    monkeypatch.setenv("GITHUB_REF_NAME", "v1.0")
    monkeypatch.setenv("COURSE_PUBLISHING", "1")
    subprocess.run(["git", "init", "-q", clone], check=True)
    subprocess.run(["git", "-C", clone, "add", "notebooks"], check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", clone, *who, "commit", "-q", "-m", "a chapter"], check=True)
    build.build(clone)
    html = clone / "_build" / "html"
    links = {link["href"] for link in soup(html / "notebooks/05_chapter.html").select("a[href]")}
    colab = "https://colab.research.google.com/github/octo/course/blob/gh-pages/student/notebooks/"
    assert f"{colab}05_chapter.ipynb" in links
    assert "https://github.com/octo/course" in links
    assert "colab.research" not in (html / "book/intro.html").read_text(encoding="utf-8")
    assert "/course/_static/" in (html / "404.html").read_text(encoding="utf-8")
    assert "https://octo.github.io/course/book/intro.html" in (html / "sitemap.xml").read_text()


FAULTS = {
    "See [there](nowhere.md).": "nowhere",
    "The error is {claim}`ae.never-stated`.": "ae.never-stated",
    "A {nosuchrole}`thing`.": "nosuchrole",
    "{term}`no such word`": "no such word",
}


def test_faults_in_a_page_fail_the_build(clone):
    with (clone / "book" / "glossary.md").open("a", encoding="utf-8") as file:
        file.write("\n" + "\n\n".join(FAULTS) + "\n")
    with pytest.raises(build.BookFailed) as failure:
        build.build(clone)
    for expected in FAULTS.values():
        assert expected in str(failure.value)
    assert not (clone / "_build" / "html").exists()
    assert not build.is_fresh(clone)


def test_a_fault_that_sphinx_does_not_see_fails_the_build(clone):
    with (clone / "book" / "glossary.md").open("a", encoding="utf-8") as file:
        file.write("\n![](_static/logo.svg)\n")
    with pytest.raises(build.BookFailed, match="alt text"):
        build.build(clone)


def test_a_traceback_in_a_notebook_fails_the_build(clone):
    add_notebook(clone, stream("Traceback (most recent call last):\n  ...\nValueError: no\n"))
    with pytest.raises(build.BookFailed, match=r"05_chapter\.html: an output is a traceback"):
        build.build(clone)


def test_a_widget_without_a_picture_fails_the_build(clone):
    import nbformat

    shown = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "a"},
        "text/plain": "interactive(children=(FloatSlider(value=0.0), Output()))",
    }
    add_notebook(clone, nbformat.v4.new_output("display_data", data=shown))
    with pytest.raises(build.BookFailed, match="needs a kernel"):
        build.build(clone)


FOLDED = {  # the source of a cell: what the page says beside it
    "import torch\nprint(1)": "Show code: imports",
    "plotting.curves(x);": "Show code: drawing",
    "plt.plot(x)\nclaims.judge('a.b', x)": "Show code: drawing and judging",
    "notebook.table(rows)\nplt.plot(x)\nclaims.judge('a.b', x)": (
        "Show code: table, drawing and judging"
    ),
    "x = 1 < 2 and f(x)": "Show code: measuring",
}


def test_a_folded_cell_says_what_it_holds(clone):
    import nbformat

    add_notebook(clone, stream("said"))
    path = clone / "notebooks" / "05_chapter.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for source in FOLDED:
        cell = nbformat.v4.new_code_cell(source, execution_count=1, outputs=[stream("said")])
        cell.metadata["tags"] = ["hide-input"]
        notebook.cells.append(cell)
    nbformat.write(notebook, path)
    build.build(clone)
    page = soup(clone / "_build/html/notebooks/05_chapter.html")
    cells = page.select("div.cell.tag_hide-input")
    assert len(cells) == len(FOLDED)
    for cell, (source, words) in zip(cells, FOLDED.items(), strict=True):
        (folded,) = cell.select("details.hide")
        assert folded.summary.select_one("p.collapsed").get_text() == words
        assert folded.select_one("pre").get_text().strip() == source
        assert not folded.summary.has_attr("aria-label")  # it would be read in place of the words
        assert cell.select_one("div.cell_output pre").get_text().strip() == "said"


def test_the_environment_decides_about_freshness(clone, monkeypatch):
    before = build.digest(clone)
    monkeypatch.setenv("GITHUB_REPOSITORY", "octo/course")
    assert "GITHUB_REPOSITORY" in os.environ
    assert build.digest(clone) != before


# ------------------------------------------------------------------------------------- two at once

BUILD = (
    "import sys, time; from pathlib import Path; from course_tools.site import build\n"
    "root = Path(sys.argv[1])\n"
    "def written(root):\n"
    "    print('building', flush=True); time.sleep(1)\n"
    "    (root / '_build' / 'html').mkdir(parents=True)\n"
    "    (root / '_build' / 'html' / 'index.html').write_text('a page', encoding='utf-8')\n"
    "    return []\n"
    "build.run_jupyter_book, build.site_faults = written, lambda site: []\n"
    "print(build.build(root).is_file())\n"
)


def test_of_two_builds_at_once_the_second_waits_and_finds_it_done(clone):
    command = [sys.executable, "-c", BUILD, clone]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first:
        assert first.stdout.readline() == "building\n"
        second = subprocess.run(command, **pipes)
        assert first.communicate() == ("True\n", "")
    assert second.stdout == "True\n"  # it built nothing
    assert second.stderr.startswith("waiting for the book in ")


def test_a_build_that_is_cut_off_leaves_no_word_that_the_site_is_fresh(clone, monkeypatch):
    """The word goes before the first page does."""
    build.build(clone)

    real, removed = build.remove, []

    def remove(path):
        removed.append(path.name)
        if len(removed) > 1:
            raise KeyboardInterrupt
        real(path)

    monkeypatch.setattr(build, "remove", remove)
    with pytest.raises(KeyboardInterrupt):
        build.build(clone)
    assert not build.is_fresh(clone)


def test_where_the_book_is_published_decides_about_freshness(clone):
    before = build.digest(clone)
    subprocess.run(["git", "init", "-q", clone], check=True)
    assert build.digest(clone) != before
