"""Solutions of graded exercises stand in no file of the built book."""

import html
import json
import re

import nbformat

from course_tools.chapters import exercises, stored

TAG = re.compile(r"<[^>]+>")
TEXTS = {".html", ".ipynb", ".js", ".json", ".txt", ".md"}


def shown(path) -> str:
    """Return the text of a file of the site, without markup, a notebook's cells as lines."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".ipynb":
        return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return html.unescape(TAG.sub("", text)).replace("\\n", "\n")


def test_no_file_of_the_site_gives_a_graded_solution_away(site):
    notebooks = [nbformat.read(path, 4) for path in stored.exercises()]
    known = [each for nb in notebooks for each in exercises.exercises(nb)]
    graded = [each for each in known if each.graded]
    found = {path: shown(path) for path in site.rglob("*") if path.suffix in TEXTS}
    for path, text in found.items():
        assert not exercises.leaks(text, graded), path
    practice = [each for each in known if each.name == "max_pool"]
    pages = [path.name for path, text in found.items() if exercises.leaks(text, practice)]
    assert "02_convolutional_autoencoder.html" in pages, "solutions would not be seen at all"
    assert len({each.name for each in graded}) >= 3, "an instructor can hand out some"
