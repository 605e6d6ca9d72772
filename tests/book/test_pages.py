"""The checks on built pages catch what they are for, and let sound pages pass."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from course_tools.site import pages

CELL = '<div class="cell {tags}"><div class="cell_output">{output}</div></div>'

# check -> (a part of a page that is sound, parts that are not)
EXAMPLES = {
    pages.failures_in_outputs: (
        CELL.format(tags="tag_raises-exception", output='<div class="traceback">ValueError</div>'),
        [
            CELL.format(tags="", output='<div class="output traceback">ValueError: no</div>'),
            CELL.format(tags="", output="<pre>Traceback (most recent call last):\n ...</pre>"),
            CELL.format(tags="", output="<pre>ModuleNotFoundError: No module named 'torch'</pre>"),
        ],
    ),
    pages.empty_outputs: (
        CELL.format(tags="", output='<img src="a.png" alt="a curve"/>'),
        [
            CELL.format(tags="", output="<pre> \n</pre>"),
            CELL.format(tags="", output="<pre>interactive(children=(FloatSlider(</pre>"),
        ],
    ),
    pages.system_messages: (
        "<article><p>Write <code>{claim}`ae.x`</code> for a number.</p></article>",
        [
            '<article><div class="system-message">Unknown role</div></article>',
            '<article><span class="problematic">x</span></article>',
            "<article><p>The error is {claim}`ae.x`.</p></article>",
        ],
    ),
    pages.images_without_alt: (
        '<article><img src="a.png" alt="Ten digits"/><svg aria-hidden="true"></svg></article>',
        [
            '<article><img src="a.png"/></article>',
            '<article><img src="a.png" alt=" "/></article>',
            '<article><img src="_images/a.png" alt="_images/a.png"/></article>',
            "<article><svg><path/></svg></article>",
        ],
    ),
    pages.remote_addresses: (
        '<a href="https://example.org">away</a><link rel="canonical" href="https://example.org">',
        [
            '<script src="https://cdn.example/x.js"></script>',
            '<script src="//cdn.example/x.js"></script>',
            '<img alt="a" srcset="a.png 1x, https://img.example/a.png 2x">',
            '<link rel="stylesheet" href="https://fonts.example/css">',
            '<iframe src="http://example.org"></iframe>',
            "<style>@import 'https://fonts.example/css';</style>",
            '<p style="background:url(https://img.example/a.png)"></p>',
            '<script>import x from "https://cdn.example/x.mjs"</script>',
            '<script>var s; s.src = "https://cdn.example/x.js"</script>',
        ],
    ),
    pages.broken_links: (
        '<p id="here"></p><a href="#here">here</a><a href="other.html#there">there</a>',
        [
            '<a href="gone.html">gone</a>',
            '<a href="#nowhere">nowhere</a>',
            '<a href="other.html#nowhere">nowhere</a>',
            '<img alt="a" src="gone.png">',
            '<script src="gone.js"></script>',
        ],
    ),
    pages.structure: (
        "<article><h1>One</h1></article>",
        ["<article><h2>None</h2></article>", "<article><h1>One</h1><h1>Two</h1></article>"],
    ),
}


def page(folder: Path, body: str, frame: str = '<html lang="en"><title>t</title>{}</html>'):
    """Return a page with this body in a small site."""
    (folder / "other.html").write_text('<html><p id="there"></p></html>', encoding="utf-8")
    path = folder / "page.html"
    path.write_text(frame.format(body), encoding="utf-8")
    return pages.Page(path, folder)


def test_every_check_has_examples():
    assert set(EXAMPLES) == set(pages.CHECKS)


@pytest.mark.parametrize("check", EXAMPLES, ids=lambda check: check.__name__)
def test_a_sound_page_passes(check, tmp_path):
    assert list(check(page(tmp_path, EXAMPLES[check][0]))) == []


@pytest.mark.parametrize(
    ("check", "body"),
    [(check, body) for check, (_, bad) in EXAMPLES.items() for body in bad],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_planted_fault_is_caught(check, body, tmp_path):
    assert list(check(page(tmp_path, body))) != []


@pytest.mark.parametrize("frame", ["<html><title>t</title>{}</html>", '<html lang="en">{}</html>'])
def test_language_and_title_are_wanted(frame, tmp_path):
    assert list(pages.structure(page(tmp_path, "<article><h1>One</h1></article>", frame)))


def test_a_page_that_is_built_anew_is_read_anew(tmp_path):
    linking = page(tmp_path, '<a href="other.html#there">there</a>')
    assert list(pages.broken_links(linking)) == []
    other = tmp_path / "other.html"
    other.write_text('<html><p id="elsewhere"></p></html>', encoding="utf-8")
    later = other.stat().st_mtime + 1  # clocks of files are coarse
    os.utime(other, (later, later))
    assert list(pages.broken_links(linking))


def test_the_404_page_may_use_addresses_from_the_top(tmp_path):
    body = '<a href="/course/other.html">other</a>'
    assert list(pages.broken_links(page(tmp_path, body))) == []
    body = '<a href="/course/gone.html">gone</a>'
    assert list(pages.broken_links(page(tmp_path, body)))


def test_a_site_reports_the_page_of_each_fault_and_its_style_sheets(tmp_path):
    page(tmp_path, "<article><h1>One</h1><img src='other.html'></article>")
    (tmp_path / "other.html").unlink()
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "a.css").write_text("p {background: url(https://img.example/a)}")
    found = pages.faults(tmp_path)
    assert any(line.startswith("page.html: image other.html has no alt text") for line in found)
    assert any(line.startswith("_static/a.css: loads https://img.example") for line in found)


def test_an_empty_site_is_a_fault(tmp_path):
    assert pages.faults(tmp_path)


def test_the_command_reports_and_fails(tmp_path, capsys):
    page(tmp_path, "<article><h1>One</h1><a href='gone.html'>gone</a></article>")
    assert pages.main([str(tmp_path)]) == 1
    assert "gone.html" in capsys.readouterr().err
