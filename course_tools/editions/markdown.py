"""MyST as plain Markdown, which Colab, Jupyter and GitHub show alike.

Roles become text (claims their numbers, citations names and years), directives become quotes,
details and formulas, and links lead to the published book where its address is known. What this
file does not know is an error: better than a role that a reader sees raw.
"""

from __future__ import annotations

import base64
import html
import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import util
from pathlib import Path, PurePosixPath
from types import ModuleType

from course_tools.chapters import predictions
from course_tools.editions import bibliography
from course_utils import claims, folders
from course_utils.errors import CourseError

# a role, or code between backticks: what comes first in the text decides
ROLE_OR_CODE = re.compile(r"(?:\{([a-zA-Z][\w:+-]*)\})?(?<!`)(`+)(?!`)(.+?)(?<!`)\2(?!`)", re.S)
TARGETED = re.compile(r"^(.*?)\s*<([^<>]+)>$", re.S)
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>.*)$")
DIRECTIVE = re.compile(r"^\{([\w:+-]+)\}\s*(.*)$")
OPTION = re.compile(r"^:([\w-]+):\s*(.*)$")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
NOT_SHOWN = re.compile(r"^(?:\([\w:-]+\)=|%.*|\{[#.][^}]*\})\s*$", re.M)  # labels, comments
BOXES = {"note": "Note", "tip": "Tip", "hint": "Hint", "important": "Important", "margin": "Aside",
         "warning": "Warning", "caution": "Caution", "attention": "Attention", "danger": "Danger",
         "error": "Error", "seealso": "See also", "sidebar": "Aside", "topic": "",
         "admonition": "", "card": ""}  # fmt: skip
QUIET = {"bibliography", "contents", "toctree", "index", "raw", "tableofcontents"}


@dataclass(frozen=True)
class Book:
    """What roles and links refer to.

    Attributes:
        verdicts: of the claims, by id.
        sources: the bibliography, by key.
        site: address of the published book with a final slash, "" where nobody knows it.
    """

    verdicts: dict[str, claims.Verdict] = field(default_factory=dict)
    sources: dict[str, dict[str, str]] = field(default_factory=dict)
    site: str = ""


def read_book(root: Path, site: str = "") -> Book:
    """Return what the texts of the clone at `root` refer to."""
    verdicts = {verdict.claim.id: verdict for verdict in claims.check(root / "book" / "claims")}
    return Book(verdicts, bibliography.load(root / "book" / "references.bib"), site)


def plain(text: str, book: Book, path: Path) -> str:
    """Return a Markdown cell without MyST.

    Args:
        text: of the cell.
        book: what it refers to.
        path: of the notebook: pictures and links are relative to it.

    Raises CourseError for a role, a directive or a picture that cannot be resolved.
    """
    out: list[str] = []
    prose: list[str] = []
    lines = text.split("\n")
    number = 0

    def flush() -> None:
        if prose:
            out.append(inline("\n".join(prose), book, path))
            prose.clear()

    while number < len(lines):
        found = FENCE.match(lines[number])
        if not found:
            prose.append(lines[number])
            number += 1
            continue
        flush()
        end = closing(lines, number, found)
        out.append(block(lines[number : end + 1], found, book, path))
        number = end + 1
    flush()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip("\n")


def closing(lines: list[str], start: int, opened: re.Match) -> int:
    """Return the number of the line that closes a fence; the last one where none does."""
    fence = opened["fence"]
    pattern = re.compile(rf"^ {{0,{len(opened['indent']) + 3}}}{fence[0]}{{{len(fence)},}}\s*$")
    depth = 0  # fences of colons may nest at equal length
    for number in range(start + 1, len(lines)):
        inner = FENCE.match(lines[number])
        if pattern.match(lines[number]):
            if depth == 0:
                return number
            depth -= 1
        elif inner and fence[0] == ":" and inner["info"].strip() and inner["fence"] == fence:
            depth += 1
    return len(lines) - 1


def block(lines: list[str], opened: re.Match, book: Book, path: Path) -> str:
    """Return a fenced block: code as it is, a directive as plain Markdown."""
    named = DIRECTIVE.match(opened["info"].strip())
    closed = FENCE.match(lines[-1]) is not None and len(lines) > 1
    body = lines[1:-1] if closed else lines[1:]
    if named is None:
        if opened["fence"][0] == ":":
            raise CourseError(f"a block of colons names no directive: {lines[0]!r}")
        return "\n".join(lines)
    options: dict[str, str] = {}
    while body and (option := OPTION.match(body[0].strip())):
        options[option[1]] = option[2]
        body = body[1:]
    return directive(named[1], named[2].strip(), options, "\n".join(body).strip("\n"), book, path)


def directive(
    name: str, argument: str, options: dict[str, str], body: str, book: Book, path: Path
) -> str:
    """Return a directive as plain Markdown; CourseError for one that is not known."""
    if name in QUIET:
        return ""
    if name == "math":
        return f"$$\n{body or argument}\n$$"
    if name in ("code", "code-block", "sourcecode", "parsed-literal"):
        return f"```{argument}\n{body}\n```"
    if name in ("figure", "image"):
        caption = f"\n\n*{plain(body, book, path)}*" if body else ""
        return picture(options.get("alt", ""), argument, path) + caption
    if name == "predict":
        return question(argument, body, book, path)
    inside = plain(body, book, path)
    if name == "dropdown" or "dropdown" in options.get("class", ""):
        return details(inline(argument, book, path) or BOXES.get(name) or "More", inside)
    if name in BOXES:
        title = inline(argument, book, path) if argument else BOXES[name]
        if argument and BOXES[name]:  # a note takes its first words, not a title, as argument
            title, inside = BOXES[name], f"{title}\n{inside}".strip()
        return quote(title, inside)
    if name in DIRECTIVES:
        return DIRECTIVES[name](argument, inside)
    raise CourseError(f"the directive {{{name}}} has no plain form yet ({path.name})")


# other directives, by name: (argument, content already plain) to Markdown
DIRECTIVES: dict[str, Callable[[str, str], str]] = {
    "epigraph": lambda argument, inside: quote("", inside),
    "table": lambda argument, inside: "\n\n".join(filter(None, [argument and f"*{argument}*",
                                                                inside])),
}  # fmt: skip


def question(words: str, body: str, book: Book, path: Path) -> str:
    """Return a question with its answers to choose from; what is said to each unfolds."""
    try:
        answers = predictions.answers_of(body.splitlines())
    except CourseError as error:
        raise CourseError(f"the question {words!r}: {error} ({path.name})") from error
    choices = [f"{letter}. {plain(answer.words, book, path)}"
               for letter, answer in zip(LETTERS, answers, strict=False)]  # fmt: skip
    said = [
        f"{letter}. {'Right.' if answer.right else 'No.'} {plain(answer.feedback, book, path)}"
        for letter, answer in zip(LETTERS, answers, strict=False)
    ]
    asked = f"**Predict first.** {inline(words, book, path)}"
    unfold = details("The answer, once you have chosen", "\n\n".join(said))
    return "\n\n".join([asked, *choices, unfold])


LETTERS = "ABCDEFGH"


def details(title: str, inside: str) -> str:
    """Return what unfolds at a click; the empty lines let Markdown be read inside."""
    return f"<details>\n<summary>{title}</summary>\n\n{inside}\n\n</details>"


def quote(title: str, inside: str) -> str:
    """Return a box as a quotation with a title."""
    text = f"**{title}**\n\n{inside}" if title else inside
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


# -------------------------------------------------------------------------------------- in a line


def inline(text: str, book: Book, path: Path) -> str:
    """Return running text without roles, labels and links that lead nowhere.

    Code between backticks stays as it is.
    """
    kept: list[str] = []

    def resolved(found: re.Match) -> str:
        if found[1]:
            return role(found[1], found[3].strip(), book)
        kept.append(found[0])
        return f"\x00{len(kept) - 1}\x00"

    text = NOT_SHOWN.sub("", text)
    text = ROLE_OR_CODE.sub(resolved, text)
    text = PICTURE.sub(lambda found: picture(found[1], found[2], path), text)
    text = LINK.sub(lambda found: link(found[1], found[2], book, path), text)
    return re.sub("\x00(\\d+)\x00", lambda found: kept[int(found[1])], text)


def role(name: str, text: str, book: Book) -> str:
    """Return a role as text; CourseError for one that is not known."""
    if name == "claim":
        return claim(text, book)
    if name in ("cite", "cite:p", "cite:ps"):
        return f"({'; '.join(bibliography.cited(book.sources, key) for key in keys(text))})"
    if name in ("cite:t", "cite:ts"):
        return ", ".join(bibliography.cited(book.sources, key, True) for key in keys(text))
    if name == "math":
        return f"${text}$"
    if name in ("kbd", "sub", "sup", "abbr"):
        tag = name
        found = re.match(r"^(.*?)\s*\((.+)\)$", text, re.S) if name == "abbr" else None
        if found:
            return f'<abbr title="{html.escape(found[2])}">{found[1]}</abbr>'
        return f"<{tag}>{text}</{tag}>"
    if name in ("term", "ref", "numref", "eq", "doc", "prf:ref", "download"):
        found = TARGETED.match(text)
        return found[1] if found else text
    raise CourseError(f"the role {{{name}}}`{text}` has no plain form yet")


def keys(text: str) -> list[str]:
    """Return the keys of a citation."""
    return [key.strip() for key in text.split(",")]


def claim(text: str, book: Book) -> str:
    """Return the number of a claim as the page prints it.

    Raises CourseError where nobody stated or recorded it.
    """
    try:
        return pages_extension("claim_pages").recorded_text(book.verdicts, text)[1]
    except ValueError as error:
        raise CourseError(str(error)) from None


@cache
def pages_extension(name: str) -> ModuleType:
    """Return a module of book/_ext, so that a number is printed here as on its page."""
    path = Path(__file__).resolve().parents[2] / "book" / "_ext" / f"{name}.py"
    spec = util.spec_from_file_location(f"course_pages_{name}", path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def picture(alt: str, name: str, path: Path) -> str:
    """Return a picture with its content in it, so that the notebook is one file."""
    if re.match(r"^(?:https?:|data:)", name):
        return f"![{alt}]({name})"
    file = path.parent / name
    kind = mimetypes.guess_type(file.name)[0]
    if kind is None or not kind.startswith("image/"):
        raise CourseError(f"{name} in {path.name} is no picture that a notebook can hold")
    content = base64.b64encode(folders.read_bytes(file)).decode()
    return f"![{alt}](data:{kind};base64,{content})"


def link(shown: str, target: str, book: Book, path: Path) -> str:
    """Return a link that leads somewhere outside the clone too, or its words alone."""
    if re.match(r"^(?:[a-z]+:|#)", target):
        return f"[{shown}]({target})"
    if not book.site:
        return shown
    name, _, anchor = target.partition("#")
    page = PurePosixPath(path.parent.name if path.parent.name != "exercises"
                         else "notebooks/exercises") / name  # fmt: skip
    parts: list[str] = []
    for part in page.parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    address = re.sub(r"\.(?:md|ipynb)$", ".html", "/".join(parts))
    return f"[{shown}]({book.site}{address}{'#' + anchor if anchor else ''})"
