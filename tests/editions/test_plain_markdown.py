"""MyST becomes Markdown that Colab shows; what is not known is refused, not shown raw."""

from pathlib import Path

import pytest

from course_tools.chapters import stored
from course_tools.editions import bibliography, markdown
from course_utils.errors import CourseError

BOOK = markdown.read_book(stored.ROOT)
SITE = markdown.read_book(stored.ROOT, "https://ada.github.io/course/")
PATH = stored.FOLDER / "01_vanilla_autoencoder.ipynb"


def plain(text: str, book=BOOK) -> str:
    """Return a text of chapter 01 without MyST."""
    return markdown.plain(text, book, PATH)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{claim}`ae.train:.1f` and {claim}`ae.train/n`", "92.4 and 5"),
        ("{term}`Sharpness <sharpness>` of a {term}`VAE`", "Sharpness of a VAE"),
        ("{math}`x^2`", "$x^2$"),
        ("{kbd}`Ctrl`", "<kbd>Ctrl</kbd>"),
        ("{abbr}`KL (Kullback and Leibler)`", '<abbr title="Kullback and Leibler">KL</abbr>'),
        ("code `{claim}` and ``{cite}`x` `` stay", "code `{claim}` and ``{cite}`x` `` stay"),
        ("a\n(label)=\nb", "a\n\nb"),
        ("[notation](../book/notation.md)", "notation"),
        ("[docs](https://docs.python.org)", "[docs](https://docs.python.org)"),
    ],
)
def test_in_a_line(text, shown):
    assert plain(text) == shown


def test_citations_are_names_and_years_with_links():
    shown = plain("as {cite}`hinton2006,he2016` say")
    assert shown.startswith("as ([Hinton and Salakhutdinov, 2006](http")
    assert "; [He and others, 2016](http" in shown
    assert plain("{cite:t}`adam2015`").startswith("[Kingma and Ba (2015)](https://arxiv")


def test_every_entry_of_the_bibliography_has_names_and_a_year():
    for key in BOOK.sources:
        shown = bibliography.cited(BOOK.sources, key)
        assert "Unknown" not in shown and "no year" not in shown, key
        assert not set("{}\\") & set(shown), shown


def test_accents_become_letters():
    assert bibliography.plain(r"Erd{\H o}s M{\"u}ller Fr{\'e}chet {\o}re")[7:].endswith("øre")
    assert bibliography.plain(r"M{\"u}ller, Fran{\c c}ois") == "Müller, François"


def test_links_lead_to_the_published_book():
    assert plain("[n](../book/notation.md#kl)", SITE) == (
        "[n](https://ada.github.io/course/book/notation.html#kl)"
    )
    assert plain("[two](04_variational_autoencoder.ipynb)", SITE) == (
        "[two](https://ada.github.io/course/notebooks/04_variational_autoencoder.html)"
    )


def test_boxes_become_quotations_and_dropdowns_unfold():
    box = "before\n\n```{admonition} Data card\n:class: note\nOne *line*.\n\n- two\n```\nafter"
    assert plain(box) == "before\n\n> **Data card**\n>\n> One *line*.\n>\n> - two\nafter"
    assert plain(":::{note}\nMind.\n:::") == "> **Note**\n>\n> Mind."
    unfolds = plain("```{admonition} Why\n:class: dropdown\nSo {claim}`ae.train:.0f`.\n```")
    assert unfolds == "<details>\n<summary>Why</summary>\n\nSo 92.\n\n</details>"


def test_boxes_may_hold_boxes_and_code():
    text = "::::{tip}\n:::{dropdown} More\n```python\n{claim}`x`\n```\n:::\n::::"
    shown = plain(text)
    assert shown.startswith("> **Tip**") and "> ```python\n> {claim}`x`\n> ```" in shown


def test_code_and_formulas_stay():
    text = "```python\nx = '{claim}`ae.train`'\n```\n\n```{math}\nx^2\n```"
    assert plain(text) == "```python\nx = '{claim}`ae.train`'\n```\n\n$$\nx^2\n$$"


def test_a_question_keeps_its_answers_folded():
    text = (":::{predict} Which is larger?\n:covers:\n- [ ] The *left*.\n\n  Look again.\n"
            "- [x] The right.\n\n  Yes: {claim}`ae.train:.1f`.\n:::")  # fmt: skip
    shown = plain(text)
    asked, _, folded = shown.partition("<details>")
    assert "Which is larger?" in asked and "A. The *left*." in asked and "92.4" not in asked
    assert "A. No. Look again." in folded and "B. Right. Yes: 92.4." in folded


@pytest.mark.parametrize(
    "body",
    [
        "- [x] one\n- [x] two",
        "- [ ] one\n- [ ] two",
        "- [x] one",
        "?",
        "- [x] one\n\n  Yes.\n- [ ] two\n  without a blank line",
    ],
)
def test_a_question_without_one_right_answer_is_refused(body):
    with pytest.raises(CourseError, match="question"):
        plain(f":::{{predict}} Why?\n{body}\n:::")


def test_a_picture_is_put_into_the_notebook(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    shown = markdown.plain("![A cup](a.png)", BOOK, tmp_path / "x.ipynb")
    assert shown == "![A cup](data:image/png;base64,iVBORw==)"
    figure = markdown.plain(
        "```{figure} a.png\n:alt: A cup\nOf tea.\n```", BOOK, tmp_path / "x.ipynb"
    )
    assert figure.startswith("![A cup](data:image/png") and figure.endswith("*Of tea.*")


@pytest.mark.parametrize(
    "text", ["{wish}`x`", "{cite}`nobody1900`", "{claim}`ae.gone`", "```{wish}\nx\n```",
             "![A cup](gone.png)", ":::\nx\n:::"],
)  # fmt: skip
def test_what_is_not_known_is_an_error(text):
    with pytest.raises(CourseError):
        plain(text)


def test_paths_are_those_of_the_notebook():
    exercise = Path("notebooks/exercises/01_x.ipynb")
    assert markdown.link("a", "../01_y.ipynb", SITE, exercise) == (
        "[a](https://ada.github.io/course/notebooks/01_y.html)"
    )
