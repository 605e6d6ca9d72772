"""What it means that a page is all right in a browser."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

# Formulas that are still text, that MathJax could not read, that are cut and cannot be scrolled, or
# that begin to the left of what is seen.
MATHS_FAULTS = """() => {
  const article = document.querySelector("article") || document.body;
  const formulas = [...article.querySelectorAll(".math")];
  const bare = formulas.filter(f => !f.querySelector("mjx-container"));
  const cut = [...article.querySelectorAll(".math mjx-math")].filter(f => {
    const box = f.closest(".math"), room = box.clientWidth;
    return room && f.getBoundingClientRect().width > room + 1
      && !(getComputedStyle(box).overflowX === "auto" && box.tabIndex === 0);
  });
  const hidden = [...article.querySelectorAll(".math mjx-math")].filter(f =>
    f.getBoundingClientRect().left < f.closest(".math").getBoundingClientRect().left - 1);
  return bare.map(f => "not rendered: " + f.textContent.trim().slice(0, 60))
    .concat(cut.map(f => "cut: " + f.closest(".math").textContent.trim().slice(0, 60)))
    .concat(hidden.map(f => "begins outside: "
      + f.closest(".math").textContent.trim().slice(0, 60)))
    .concat([...article.querySelectorAll("mjx-merror")].map(e => "unreadable: " + e.textContent));
}"""

# Images that came to nothing, and fonts that did not load.
ASSET_FAULTS = """() => [...document.images]
  .filter(i => i.complete && i.naturalWidth === 0).map(i => "image without content: " + i.src)
  .concat([...document.fonts].filter(f => f.status === "error").map(f => "font: " + f.family))"""

# Text whose contrast with what lies behind it is below WCAG AA (4.5, or 3 for large text).
CONTRAST_FAULTS = """() => {
  const rgb = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const shade = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * shade(r) + 0.7152 * shade(g) + 0.0722 * shade(b);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const faults = new Set();
  for (const e of document.querySelectorAll("article *, nav a, .claim-entry *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.offsetParent || e.closest("svg, mjx-container, .MathJax")) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const [a, b] = [light(rgb(style.color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5))
      faults.add(`contrast ${ratio.toFixed(2)}, ${e.tagName}.${e.className}: `
        + e.textContent.trim().slice(0, 30));
  }
  return [...faults];
}"""


# What axe-core objects to; contrast is measured above, in a fraction of its time.
AXE_FAULTS = """async () => {
  const rules = { "color-contrast": { enabled: false } };
  const found = await axe.run(document, { rules, resultTypes: ["violations"] });
  return found.violations.flatMap(v => v.nodes.map(
    n => `axe: ${v.id}: ${v.help}: ${n.html.slice(0, 100)}`));
}"""


def find_axe() -> Path:
    """Return axe-core's script, which a package of the tests brings along; skip without it."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    return Path(package.__file__).with_name("axe.min.js")


def expect(locator):
    """Return playwright's assertions on a locator; they wait as long as a busy machine may need."""
    from playwright.sync_api import expect as assertions

    assertions.set_options(timeout=20_000)  # milliseconds
    return assertions(locator)


def find_chromium() -> str | None:
    """Return a Chromium or Chrome of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def chromium_or_skip(path: str | None, environ=os.environ) -> str:
    """Return the path; without one skip the test, but fail it in CI, where none may be skipped."""
    if path:
        return path
    words = "no Chromium is installed (Debian and Ubuntu: sudo apt install chromium)"
    if environ.get("CI"):
        pytest.fail(f"{words}, and in CI no page test may be skipped")
    pytest.skip(words)


@dataclass
class Visitor:
    """A browser window and what went wrong in it."""

    page: object
    faults: list[str] = field(default_factory=list)

    def look_at(self, address: str) -> list[str]:
        """Open a page and return its faults, each with the page's name."""
        self.faults.clear()
        self.page.goto(address)
        self.page.wait_for_function("!window.MathJax || window.MathJax.startup?.promise")
        self.page.evaluate("window.MathJax?.startup?.promise.then(() => document.fonts.ready)")
        width = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        found = list(self.faults)
        if width > 0:
            found.append(f"the page is {width} pixels wider than the window")
        for script in (MATHS_FAULTS, ASSET_FAULTS, CONTRAST_FAULTS):
            found += self.page.evaluate(script)
        return [f"{Path(urlsplit(address).path).name}: {fault}" for fault in found]


def axe_faults(visitor: Visitor, address: str) -> list[str]:
    """Open a page and return what axe-core finds in it, each with the page's name."""
    visitor.look_at(address)
    visitor.page.evaluate(find_axe().read_text(encoding="utf-8") + ";0")
    found = visitor.page.evaluate(AXE_FAULTS)
    return [f"{Path(urlsplit(address).path).name}: {fault}" for fault in found]


@contextlib.contextmanager
def window(browser, home: str, size: dict, scheme: str) -> Iterator[Visitor]:
    """Open a window for the site at `home`, with the network cut.

    Args:
        home: "file:///..." or "http://127.0.0.1:PORT"; anything else that a page asks for is a
            fault, and is not answered.
        size: {"width", "height"} in pixels.
        scheme: "light" or "dark", what the reader's system prefers.
    """
    local = home.startswith("file:")
    context = browser.new_context(viewport=size, color_scheme=scheme, offline=local)
    visitor = Visitor(context.new_page())
    note = visitor.faults.append

    def allowed(url: str) -> bool:
        return url.startswith((home, "data:", "blob:"))

    def answer(route):
        route.continue_() if allowed(route.request.url) else route.abort()

    context.route("**/*", answer)
    page = visitor.page
    page.on("request", lambda r: None if allowed(r.url) else note(f"asks for {r.url}"))
    # ERR_ABORTED: the page itself went on before the file was there; a refused request fails else
    page.on("requestfailed", lambda r: None if r.failure == "net::ERR_ABORTED" else
            note(f"cannot load {r.url}"))  # fmt: skip
    page.on("response", lambda r: note(f"{r.status} for {r.url}") if r.status >= 400 else None)
    page.on("pageerror", lambda error: note(f"script error: {error}"))
    page.on("console", lambda m: note(f"console: {m.text}") if m.type == "error" else None)
    try:
        yield visitor
    finally:
        context.close()
