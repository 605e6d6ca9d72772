"""Chromium opens every page with the network cut and finds nothing wrong."""

from __future__ import annotations

import pytest
from looking import DESKTOP, PHONE, axe_faults, chromium_or_skip, expect, window

from course_tools.site import pages

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("transport", "size", "scheme"),
    [
        ("http", DESKTOP, "light"),
        ("file", DESKTOP, "dark"),
        ("file", PHONE, "light"),
        ("http", PHONE, "dark"),
    ],
    ids=["desktop-light", "desktop-dark-file", "phone-light-file", "phone-dark"],
)
def test_every_page_is_all_right(site, browser, serve, transport, size, scheme):
    home = serve(site) if transport == "http" else site.as_uri()
    found = []
    with window(browser, home, size, scheme) as visitor:
        for page in pages.pages_of(site):
            if page.is_redirect:
                continue
            found += visitor.look_at(f"{home}/{page.path.relative_to(page.root).as_posix()}")
        assert visitor.page.evaluate("document.documentElement.dataset.theme") == scheme
    assert not found, "\n" + "\n".join(found)


@pytest.mark.timeout(1800)  # seconds a page on an idle machine, a minute on a busy one
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_axe_finds_nothing_on_any_page(site, browser, size, scheme):
    found = []
    with window(browser, site.as_uri(), size, scheme) as visitor:
        for page in pages.pages_of(site):
            if not page.is_redirect:
                path = page.path.relative_to(page.root).as_posix()
                found += axe_faults(visitor, f"{site.as_uri()}/{path}")
    assert not found, "\n" + "\n".join(found)


def test_the_front_door_leads_in(site, browser):
    with window(browser, site.as_uri(), DESKTOP, "light") as visitor:
        visitor.page.goto(f"{site.as_uri()}/index.html")
        visitor.page.wait_for_url("**/book/intro.html")
        assert not visitor.faults


def test_mathematics_is_drawn(site, browser):
    with window(browser, site.as_uri(), DESKTOP, "light") as visitor:
        visitor.look_at(f"{site.as_uri()}/book/notation.html")
        assert visitor.page.locator("article mjx-container").count() > 20
        # what a screen reader gets
        assert visitor.page.locator("article mjx-assistive-mml math").count() > 20


def test_keyboard_reaches_navigation_search_and_theme(site, browser):
    with window(browser, site.as_uri(), DESKTOP, "light") as visitor:
        visitor.page.goto(f"{site.as_uri()}/book/notation.html")
        reached = tab_through(visitor.page, 40)
    assert "skip" in reached[0].lower(), f"the first stop is {reached[0]!r}"
    for wanted in ("Search", "Glossary", "Sources and what we changed", "Color mode"):
        assert any(wanted.lower() in stop.lower() for stop in reached), f"{wanted}: {reached}"


def tab_through(page, presses: int) -> list[str]:
    """Return what has the focus after each press of Tab: its label or its text."""
    reached = []
    for _ in range(presses):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(e => e.getAttribute('aria-label') || e.getAttribute('placeholder')"
                " || e.textContent.trim())(document.activeElement)"
            )
        )
    return reached


def test_search_works_from_the_keyboard_and_without_a_server(site, browser):
    with window(browser, site.as_uri(), DESKTOP, "light") as visitor:
        page = visitor.page
        page.goto(f"{site.as_uri()}/book/intro.html")
        page.keyboard.press("Control+k")
        page.keyboard.type("overcomplete")
        page.keyboard.press("Enter")
        expect(page.locator("#search-results")).to_contain_text("Glossary")  # one after the other
        assert not visitor.faults


def test_the_theme_button_changes_the_theme(site, browser):
    with window(browser, site.as_uri(), DESKTOP, "light") as visitor:
        page = visitor.page
        page.goto(f"{site.as_uri()}/book/intro.html")
        seen = set()
        for _ in range(3):
            page.locator("button.theme-switch-button:visible").first.click()
            seen.add(page.evaluate("document.documentElement.dataset.theme"))
    assert seen == {"light", "dark"}


def test_a_phone_reader_can_open_the_chapters(site, browser):
    with window(browser, site.as_uri(), PHONE, "light") as visitor:
        page = visitor.page
        page.goto(f"{site.as_uri()}/book/intro.html")
        page.locator("button.primary-toggle:visible").first.click()
        page.get_by_role("link", name="Notation").first.click()
        page.wait_for_url("**/notation.html")
        expect(page.locator("article h1")).to_contain_text("Notation")


# ------------------------------------------------------------- the looking itself, on bad pages

FAULTY = {
    "an outside script": ('<script src="https://cdn.example/x.js"></script>', "asks for"),
    "an outside font": (
        "<style>@font-face{font-family:f;src:url(https://fonts.example/f.woff)}"
        "p{font-family:f}</style><p>text</p>",
        "asks for",
    ),
    "a missing file": ('<img alt="a" src="gone.png">', "gone.png"),
    "a script that throws": ("<script>nothing.at.all()</script>", "script error"),
    "a logged error": ('<script>console.error("broken widget")</script>', "broken widget"),
    "a formula left as text": ('<span class="math">\\(x^2\\)</span>', "not rendered"),
    "a page wider than the screen": ('<div style="width:2000px">wide</div>', "wider"),
    "pale text": ('<p style="color:#bbb">pale words</p>', "pale words"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_planted_fault_is_seen(name, browser, serve, tmp_path):
    body, expected = FAULTY[name]
    html = f'<html lang="en"><title>t</title><body><article>{body}</article></body></html>'
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    (tmp_path / "favicon.ico").touch()
    home = serve(tmp_path)
    with window(browser, home, DESKTOP, "light") as visitor:
        assert expected in "\n".join(visitor.look_at(f"{home}/page.html"))


UNFIT = {  # what is on the page: what axe says
    '<img src="data:,">': "image-alt",
    '<div role="list"><a href="#">one</a></div>': "aria-required-children",
    "<button></button>": "button-name",
    "<ul><p>no item</p></ul>": "list",
}


@pytest.mark.parametrize("body", UNFIT)
def test_axe_sees_a_planted_fault(body, browser, tmp_path):
    html = f'<html lang="en"><title>t</title><body><main><h1>t</h1>{body}</main></body></html>'
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    with window(browser, tmp_path.as_uri(), DESKTOP, "light") as visitor:
        found = axe_faults(visitor, f"{tmp_path.as_uri()}/page.html")
    assert any(f"axe: {UNFIT[body]}:" in fault for fault in found), found


@pytest.mark.parametrize("fit", [True, False])
def test_a_formula_that_is_cut_is_seen(fit, browser, tmp_path):
    """One that scrolls, and that the keys can reach, is none."""
    box = 'style="overflow-x:auto" tabindex="0"' if fit else 'style="overflow:hidden"'
    formula = '<mjx-container><mjx-math style="display:block;width:900px">x</mjx-math>'
    body = f'<article><div class="math" {box}>{formula}</mjx-container></div></article>'
    (tmp_path / "page.html").write_text(f"<title>t</title>{body}", encoding="utf-8")
    with window(browser, tmp_path.as_uri(), PHONE, "light") as visitor:
        found = visitor.look_at(f"{tmp_path.as_uri()}/page.html")
    assert (found == []) if fit else any("cut: x" in fault for fault in found)


def test_a_sound_page_is_not_blamed(browser, serve, tmp_path):
    (tmp_path / "page.html").write_text("<title>t</title><article><p>words</p></article>")
    (tmp_path / "favicon.ico").touch()
    home = serve(tmp_path)
    with window(browser, home, PHONE, "dark") as visitor:
        assert visitor.look_at(f"{home}/page.html") == []


def test_a_missing_browser_fails_in_ci_and_skips_elsewhere():
    with pytest.raises(pytest.fail.Exception, match="no page test may be skipped"):
        chromium_or_skip(None, {"CI": "true"})
    with pytest.raises(pytest.skip.Exception):
        chromium_or_skip(None, {})
    assert chromium_or_skip("/usr/bin/chromium", {"CI": "true"}) == "/usr/bin/chromium"
