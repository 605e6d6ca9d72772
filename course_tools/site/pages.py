"""Checks on the built book: what a green build can still hide.

Each check takes one `Page` and yields sentences, one per fault. `python -m course_tools.site.pages`
prints them for _build/html and exits 1 when there are any; `make book` and the tests do the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from course_utils import console

REMOTE = re.compile(r"^(?:https?:)?//", re.IGNORECASE)
REMOTE_IN_CSS = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')]+)""")
REMOTE_IN_SCRIPT = re.compile(
    r"""(?:import\s[^;]*?|import\(|fetch\(|src\s*=)\s*["'](https?://[^"']+)"""
)
FILE_NAME = re.compile(r"^\S+\.(?:png|svg|jpe?g|gif|webp)$", re.IGNORECASE)
TRACEBACK = re.compile(r"Traceback \(most recent call last\)|^\w+Error(?:: |\s+Traceback)", re.M)
RAW_ROLE = re.compile(r"\{[a-z][a-z:-]+\}`")
WIDGET_TEXT = re.compile(r"^\s*(?:interactive\(children=|[HV]Box\(children=|FloatSlider\()")
# what makes an output visible when it has no text
VISIBLE = ("img", "svg", "canvas", "table", "video", "iframe", "object", "button", "input")


@dataclass
class Page:
    """One HTML file of a site: `path` on disk, `root` the site's folder."""

    path: Path
    root: Path
    html: str = field(repr=False, default="")

    def __post_init__(self):
        if not self.html:
            self.html = self.path.read_text(encoding="utf-8")

    @cached_property
    def soup(self) -> BeautifulSoup:
        """The parsed page."""
        return BeautifulSoup(self.html, "html.parser")

    @cached_property
    def ids(self) -> set[str]:
        """Everything a fragment of an address may name."""
        named = {tag["name"] for tag in self.soup.find_all("a", attrs={"name": True})}
        return {tag["id"] for tag in self.soup.find_all(id=True)} | named

    @property
    def content(self) -> Tag:
        """The article, without navigation; the whole page where there is none."""
        return self.soup.find("article") or self.soup

    @property
    def is_redirect(self) -> bool:
        """Tell whether the page only sends the reader on (index.html)."""
        return self.soup.find("meta", attrs={"http-equiv": re.compile("refresh", re.I)}) is not None


def failures_in_outputs(page: Page) -> Iterator[str]:
    """Find tracebacks, except in cells that are tagged to raise one."""
    for output in page.soup.select("div.cell_output"):
        cell = output.find_parent("div", class_="cell")
        if cell is not None and "tag_raises-exception" in cell.get("class", []):
            continue
        if output.select(".traceback") or TRACEBACK.search(output.get_text()):
            yield f"an output is a traceback: {excerpt(output)}"


def empty_outputs(page: Page) -> Iterator[str]:
    """Find outputs that show nothing, or only the name of a widget that needs a kernel."""
    for output in page.soup.select("div.cell_output"):
        text = output.get_text()
        shown = output.find(VISIBLE) is not None
        if not shown and not text.strip():
            yield f"an output is empty: {str(output)[:80]!r}"
        if WIDGET_TEXT.match(text):
            yield f"an output needs a kernel: {excerpt(output)}"


def system_messages(page: Page) -> Iterator[str]:
    """Find what the parser could not read, which it leaves in the page."""
    for message in page.soup.select(".system-message, .problematic"):
        yield f"the parser left a message: {excerpt(message)}"
    for text in page.content.find_all(string=RAW_ROLE):
        if text.find_parent(["code", "pre", "script"]) is None:
            yield f"a role was not resolved: {text.strip()[:80]!r}"


def images_without_alt(page: Page) -> Iterator[str]:
    """Find images that say nothing to a reader who cannot see them."""
    for image in page.soup.find_all("img"):
        alt = image.get("alt")
        source = image.get("src", "?")
        if alt is None or not alt.strip():
            yield f"image {source} has no alt text"
        elif FILE_NAME.match(alt.strip()):
            yield f"image {source} has a file name as its alt text: {alt!r}"
    for drawing in page.content.find_all("svg"):
        if not (drawing.get("aria-label") or drawing.get("aria-hidden") or drawing.find("title")):
            yield "an inline drawing has neither title, aria-label nor aria-hidden"


def remote_addresses(page: Page) -> Iterator[str]:
    """Find what the browser would fetch from elsewhere; links to follow are none of it."""
    for tag in page.soup.find_all(["script", "img", "iframe", "source", "video", "audio", "embed"]):
        for address in (tag.get("src"), *split_srcset(tag.get("srcset", ""))):
            if address and REMOTE.match(address):
                yield f"<{tag.name}> loads {address}"
    for link in page.soup.find_all("link"):
        rel = set(link.get("rel") or [])
        if REMOTE.match(link.get("href", "")) and not rel <= {"canonical", "alternate", "author"}:
            yield f"<link rel={' '.join(rel)}> loads {link['href']}"
    yield from remote_in_code(page)


def remote_in_code(page: Page) -> Iterator[str]:
    """Find addresses in the styles and scripts that are written into the page."""
    styles = [tag.get_text() for tag in page.soup.find_all("style")]
    styles += [tag["style"] for tag in page.soup.find_all(style=True)]
    for text in styles:
        yield from (f"a style loads {address}" for address in REMOTE_IN_CSS.findall(text))
    for tag in page.soup.find_all("script", src=False):
        found = REMOTE_IN_SCRIPT.findall(tag.get_text())
        yield from (f"a script loads {address}" for address in found)


def broken_links(page: Page) -> Iterator[str]:
    """Find links within the site whose file or anchor is not there."""
    for tag, attribute in (("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")):
        for element in page.soup.find_all(tag, attrs={attribute: True}):
            address = element[attribute]
            problem = problem_with(page, address)
            if problem:
                yield f"<{tag} {attribute}={address!r}> {problem}"


def problem_with(page: Page, address: str) -> str | None:
    """Return what is wrong with an address on `page`; None for a good or an outside one."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or address in ("", "#"):
        return None
    target = target_of(page, unquote(parts.path))
    if not target.is_file():
        return "leads to no file"
    if parts.fragment and target.suffix == ".html":
        same = target == page.path
        ids = page.ids if same else ids_of(target, page.root, target.stat().st_mtime_ns)
        if unquote(parts.fragment) not in ids:
            return "names an anchor that is not there"
    return None


@lru_cache(maxsize=100)
def ids_of(path: Path, root: Path, written: int) -> set[str]:
    """Return the ids of another page: hundreds of links lead to one, which is parsed once.

    `written` is when the file was, so that a page that is built anew is read anew.
    """
    return Page(path, root).ids


def target_of(page: Page, path: str) -> Path:
    """Return the file that a relative or root-relative path means."""
    if not path:
        return page.path
    if path.startswith("/"):  # only the 404 page: it may be shown at any depth
        path = path.split("/", 2)[-1]
        target = (page.root / path).resolve()
    else:
        target = (page.path.parent / path).resolve()
    return target / "index.html" if target.is_dir() else target


def structure(page: Page) -> Iterator[str]:
    """Find what assistive software needs and does not get: language, title, one first heading."""
    if page.is_redirect:
        return
    if not (page.soup.html and page.soup.html.get("lang")):
        yield "the page does not say its language"
    if not (page.soup.title and page.soup.title.get_text(strip=True)):
        yield "the page has no title"
    headings = page.content.find_all("h1")
    if len(headings) != 1:
        yield f"the page has {len(headings)} first-level headings, not one"


CHECKS: tuple[Callable[[Page], Iterator[str]], ...] = (
    failures_in_outputs,
    empty_outputs,
    system_messages,
    images_without_alt,
    remote_addresses,
    broken_links,
    structure,
)


def pages_of(root: Path) -> list[Page]:
    """Return the pages of a site, without what lies in its folders for files."""
    paths = sorted(path for path in root.rglob("*.html"))
    inner = {"_static", "_sources", "_images", "_downloads"}
    return [
        Page(path.resolve(), root.resolve())
        for path in paths
        if not inner & set(path.relative_to(root).parts)
    ]


def faults(root: Path) -> list[str]:
    """Return every fault of the site in `root`, each with the page it is on."""
    pages = pages_of(root)
    if not pages:
        return [f"{root} holds no pages"]
    found = [
        f"{page.path.relative_to(page.root)}: {problem}"
        for page in pages
        for check in CHECKS
        for problem in check(page)
    ]
    return found + list(remote_in_stylesheets(root))


def remote_in_stylesheets(root: Path) -> Iterator[str]:
    """Find addresses that the site's style sheets load from elsewhere."""
    for path in sorted((root / "_static").rglob("*.css")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for address in REMOTE_IN_CSS.findall(text):
            yield f"{path.relative_to(root)}: loads {address}"


def split_srcset(text: str) -> list[str]:
    """Return the addresses of a srcset attribute."""
    return [part.split()[0] for part in text.split(",") if part.strip()]


def excerpt(tag: Tag) -> str:
    """Return the start of a tag's text, on one line."""
    return repr(" ".join(tag.get_text().split())[:100])


def main(arguments: list[str]) -> int:
    """Check the site named, or _build/html; print its faults; return the exit status."""
    console.be_lenient()
    root = Path(arguments[0]) if arguments else Path("_build/html")
    found = faults(root)
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(pages_of(root))} pages checked, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
