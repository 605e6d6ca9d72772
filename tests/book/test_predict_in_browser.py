"""A question on a page, from the keyboard alone; what is kept, and what is sent."""

from __future__ import annotations

import pytest
from looking import DESKTOP, expect, window

from course_tools.chapters.stored import ROOT

pytestmark = pytest.mark.browser

STATIC = ROOT / "book" / "_static"
PAGE = """<!doctype html><html lang="en"><title>Chapter</title>
<style>{css}</style><article class="bd-article"><section><h2>How far?</h2>
<div class="predict"><div class="predict-box" role="group" data-predict="k1" data-covers
 aria-label="Predict first: How far?"><p class="predict-question">How far?</p>
<details class="predict-answer predict-wrong"><summary><p>Near.</p></summary>
<div class="predict-said"><p>Not so. It is far.</p></div></details>
<details class="predict-answer predict-right"><summary><p>Far.</p></summary>
<div class="predict-said"><p>Right. It is.</p></div></details></div></div>
<p id="result">The result: far.</p><h2>Next</h2><p id="next">Something else.</p>
</section></article><script>{script}</script></html>"""


@pytest.fixture
def page_with_a_question(tmp_path):
    """Write a page with a question that covers what follows it; return its folder."""
    css = (STATIC / "predict.css").read_text(encoding="utf-8")
    script = (STATIC / "predict.js").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(PAGE.format(css=css, script=script), encoding="utf-8")
    return tmp_path


def press(page, *keys):
    """Press keys, one after the other. An answer reports later that it is open: `expect` waits."""
    for key in keys:
        page.keyboard.press(key)


def test_a_guess_from_the_keyboard_opens_what_was_covered(page_with_a_question, browser, serve):
    home = serve(page_with_a_question)
    with window(browser, home, DESKTOP, "light") as visitor:
        page = visitor.page
        page.goto(f"{home}/page.html")
        expect(page.locator("#result")).to_be_hidden()
        expect(page.locator("#next")).to_be_visible()
        expect(page.locator("[role=status]")).to_contain_text("opens with your guess")
        press(page, "Tab", "Enter")  # the first answer, which is wrong
        expect(page.locator("#result")).to_be_visible()
        expect(page.get_by_text("Not so. It is far.")).to_be_visible()
        expect(page.locator(".predict-chosen")).to_contain_text("Near.")
        press(page, "Tab", "Enter")  # a second answer may be read, and is no second guess
        expect(page.get_by_text("Right. It is.")).to_be_visible()
        expect(page.locator(".predict-chosen")).to_have_count(1)
        page.reload()
        expect(page.locator("#result")).to_be_visible()
        expect(page.locator(".predict-chosen")).to_contain_text("Near.")
        press(page, "Tab", "Tab", "Tab", "Enter")  # "Forget it"
        expect(page.locator(".predict-chosen")).to_have_count(0)
        expect(page.locator("summary").first).to_be_focused()
        page.reload()
        expect(page.locator("#result")).to_be_hidden()
        assert not visitor.faults, "a request left the machine"


def test_what_is_kept_stays_in_the_browser(page_with_a_question, browser, serve):
    home = serve(page_with_a_question)
    with window(browser, home, DESKTOP, "light") as visitor:
        page, asked = visitor.page, []
        page.goto(f"{home}/page.html")
        page.on("request", lambda request: asked.append(request.url))
        press(page, "Tab", "Tab", "Enter")
        expect(page.locator(".predict-chosen")).to_have_count(1)
        kept = page.evaluate("({...localStorage})")
        assert kept == {"predict:page.html:k1": "1"}
        assert page.evaluate("document.cookie") == ""
        assert page.evaluate("sessionStorage.length") == 0
        assert page.evaluate("(async () => (await indexedDB.databases()).length)()") == 0
        page.wait_for_timeout(300)
        assert not asked


def test_it_works_where_nothing_may_be_kept(page_with_a_question, browser, serve):
    home = serve(page_with_a_question)
    with window(browser, home, DESKTOP, "light") as visitor:
        page = visitor.page
        page.add_init_script(
            "Object.defineProperty(window, 'localStorage', "
            "{ get() { throw new DOMException('denied', 'SecurityError'); } });"
        )
        page.goto(f"{home}/page.html")
        press(page, "Tab", "Enter")
        expect(page.locator("#result")).to_be_visible()
        assert not visitor.faults


def test_without_a_script_everything_is_open(page_with_a_question, browser, serve):
    home = serve(page_with_a_question)
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{home}/page.html")
        expect(page.locator("#result")).to_be_visible()
        press(page, "Tab", "Enter")
        expect(page.get_by_text("Not so. It is far.")).to_be_visible()
    finally:
        context.close()


def test_the_result_can_be_had_without_a_guess(page_with_a_question, browser, serve):
    home = serve(page_with_a_question)
    with window(browser, home, DESKTOP, "light") as visitor:
        page = visitor.page
        page.goto(f"{home}/page.html")
        page.get_by_role("button", name="Show it without one").press("Enter")
        expect(page.locator("#result")).to_be_visible()
        assert page.evaluate("localStorage.length") == 0
