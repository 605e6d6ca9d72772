"""Predict first: questions that are answered before the page tells.

    :::{predict} Which code size halves the error?
    :covers:
    - [ ] Six numbers.

      What is said to those who chose it.
    - [x] Twelve numbers.

      Yes: what is said to them.
    :::

Each answer unfolds its own feedback: `details` and `summary`, which need no script and work from
the keyboard. With JavaScript the first one that is opened is kept as the reader's guess, on this
machine alone; and with `:covers:` what follows, up to the next heading, stays closed until then.
"""

from __future__ import annotations

import hashlib
import re
import sys
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the clone

from course_tools.chapters.predictions import Answer, answers_of
from course_utils.errors import CourseError

SAID = {True: "Right.", False: "Not so."}


class Predict(SphinxDirective):
    """The `predict` directive."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"covers": directives.flag}  # noqa: RUF012

    def run(self):
        """Return the question with its answers, or the error in its place."""
        question = self.arguments[0]
        try:
            answers = answers_of(list(self.content))
        except CourseError as error:
            return [self.state.document.reporter.error(f"predict: {error}", line=self.lineno)]
        key = hashlib.sha256(question.encode()).hexdigest()[:10]
        box = nodes.container(classes=["predict"])
        covers = " data-covers" if "covers" in self.options else ""
        box += raw(
            f'<div class="predict-box" role="group" data-predict="{key}"{covers} '
            f'aria-label="Predict first: {escape(plain(question))}">'
        )
        lead = nodes.strong("", "Predict first. ")
        inline = self.parse_inline(question)[0]
        box += nodes.paragraph("", "", lead, *inline, classes=["predict-question"])
        for one in answers:
            box += self.answer(one)
        box += raw("</div>")
        return [box]

    def answer(self, one: Answer) -> list[nodes.Node]:
        """Return one answer, which unfolds what is said to it."""
        said = nodes.container(classes=["predict-said"])
        lines = f"**{SAID[one.right]}** {one.feedback}".split("\n")
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.lineno, said)
        words = nodes.paragraph("", "", *self.parse_inline(one.words)[0])
        kind = "right" if one.right else "wrong"
        return [
            raw(f'<details class="predict-answer predict-{kind}"><summary>'),
            words,
            raw("</summary>"),
            said,
            raw("</details>"),
        ]


def plain(question: str) -> str:
    """Return a question without its inline markup, for an accessible name."""
    return re.sub(r"[*`$]|\{\w+\}", "", question)


def raw(text: str) -> nodes.raw:
    """Return what stands in the page as it is."""
    return nodes.raw("", text, format="html")


def add_files(app, pagename, templatename, context, doctree) -> None:
    """Put script and style on the pages that have a question, and on no other."""
    asked = doctree is not None and any(
        "predict" in box["classes"] for box in doctree.findall(nodes.container)
    )
    if asked:
        app.add_css_file("predict.css")
        app.add_js_file("predict.js", loading_method="defer")


def setup(app):
    """Register with Sphinx."""
    app.add_directive("predict", Predict)
    app.connect("html-page-context", add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
