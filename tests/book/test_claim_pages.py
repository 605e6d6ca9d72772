"""The claim role and the page of claims, on a small book of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
EXTENSIONS = ROOT / "book" / "_ext"

STATEMENTS = """
[[claim]]
id = "toy.error"
says = "The *error* is small."
metric = "test error per image"
bound = "< 100"
judged = "always"

[[claim]]
id = "toy.goal"
says = "We wanted less."
metric = "test error per image"
bound = "<= 80"
judged = "full"
kind = "goal"
"""

RECORD = {
    "value": 83.4321,
    "spread": 0.2134,
    "n": 5,
    "profile": "full",
    "data": "mnist",
    "device": "cpu",
    "versions": {"torch": "2.15.0"},
    "date": "2026-11-21",
}
RECORDS = {"toy.error": RECORD, "toy.goal": {**RECORD, "device": "cuda", "value": 1234567.0}}


def build(folder: Path, text: str, records: dict, statements: str = STATEMENTS):
    """Build a book of one page, every warning an error; return the process and the page."""
    claims = folder / "book" / "claims"
    claims.mkdir(parents=True, exist_ok=True)
    (claims / "01.toml").write_text(statements, encoding="utf-8")
    (claims / "01.json").write_text(json.dumps(records), encoding="utf-8")
    (folder / "index.md").write_text(f"# Page\n\n{text}\n", encoding="utf-8")
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(EXTENSIONS)!r})\n"
        "extensions = ['myst_parser', 'claim_pages']\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, str(folder), str(folder / "out")], capture_output=True, text=True
    )
    page = folder / "out" / "index.html"
    return done, page.read_text(encoding="utf-8") if page.is_file() else ""


TABLE = "\n\n```{claims-table}\n```"


def test_numbers_come_from_the_record_and_link_to_their_evidence(tmp_path):
    text = "Error {claim}`toy.error`, or {claim}`toy.error:.1f`, ± {claim}`toy.error/spread:.2f`."
    text += " In points {claim}`toy.error:+.0p`."
    done, page = build(tmp_path, text + TABLE, RECORDS)
    assert done.returncode == 0, done.stderr
    assert page.count('href="#claim-toy-error"') == 4
    for shown in (">83.43<", ">83.4<", ">0.21<", ">+8343<"):
        assert shown in page


def test_the_table_gives_evidence_and_command(tmp_path):
    done, page = build(tmp_path, TABLE, RECORDS)
    assert done.returncode == 0, done.stderr
    for shown in (
        "The <em>error</em> is small.",
        "83.43 ± 0.21 (5 seeds)",
        "below 100; ",
        "at most 80; ",
        "missed: a goal",
        "1234567",
        "measured on mnist in the full profile, cpu, with torch 2.15.0, on 2026-11-21",
        "2 statements; every bound is reached but 1: toy.goal.",
    ):
        assert shown in page
    assert "cuda" in page, "what differs from the rest is said where it differs"
    assert "course claims --rerun toy.goal" in page.replace("<span></span>", "")


def test_a_refuted_expectation_and_the_time_of_its_statement_are_told(tmp_path):
    refuted = STATEMENTS.replace('kind = "goal"', 'kind = "expectation"\nstated = "before"')
    done, page = build(tmp_path, TABLE, RECORDS, refuted)
    assert done.returncode == 0, done.stderr
    for shown in ("Expected", "at most 80; ", "refuted: expected, and not so",
                  "before the value had been seen", "reached but 1: toy.goal."):  # fmt: skip
        assert shown in page
    assert page.count("had been seen") == 1  # the other does not say


def test_each_chapter_is_folded_and_a_link_into_it_opens_it(tmp_path):
    """A chapter without a number has its section too; the script is for browsers that need it."""
    folder = tmp_path / "book" / "claims"
    folder.mkdir(parents=True)
    scoring = STATEMENTS.split("[[claim]]")[1].replace("toy.error", "scoring.error")
    (folder / "scoring_faces.toml").write_text("[[claim]]" + scoring, encoding="utf-8")
    (folder / "scoring_faces.json").write_text(json.dumps({"scoring.error": RECORD}))
    done, page = build(tmp_path, TABLE, RECORDS)
    assert done.returncode == 0, done.stderr
    parsed = BeautifulSoup(page, "html.parser")
    titles = [heading.get_text().rstrip("#¶") for heading in parsed.select("section section h2")]
    folded = parsed.select("section > details.claim-chapter")
    assert titles == ["Chapter 01", "Scoring faces"]
    assert [len(chapter.select("div.claim-entry")) for chapter in folded] == [2, 1]
    summaries = [chapter.summary.get_text() for chapter in folded]
    assert summaries[0] == "2 statements; every bound is reached but 1: toy.goal."
    assert summaries[1] == "One statement; every bound is reached."
    assert "details.claim-chapter" in page and not folded[0].has_attr("open")


@pytest.fixture(scope="module")
def listed(tmp_path_factory) -> str:
    """Return the address of a list of two chapters: three statements, one missed, one foretold."""
    folder = tmp_path_factory.mktemp("claims")
    claims = folder / "book" / "claims"
    claims.mkdir(parents=True)
    second = STATEMENTS.split("[[claim]]")[1].replace("toy.error", "conv.sharp")
    (claims / "02.toml").write_text(f'[[claim]]{second}stated = "before"\n', encoding="utf-8")
    (claims / "02.json").write_text(json.dumps({"conv.sharp": RECORD}))
    done, _ = build(folder, TABLE, RECORDS)
    assert done.returncode == 0, done.stderr
    return (folder / "out" / "index.html").as_uri()


def seen(page) -> list[str]:
    """Return the ids of the statements that a reader sees."""
    return [e.get_attribute("id") for e in page.locator(".claim-entry").all() if e.is_visible()]


@pytest.mark.browser
def test_the_list_is_narrowed_from_the_keyboard(browser, listed):
    page = browser.new_page()
    page.goto(listed)
    assert seen(page) == [] and page.locator("output").inner_text() == "3 statements"
    page.get_by_label("Words or id").focus()
    page.keyboard.type("error small")
    assert seen(page) == ["claim-toy-error", "claim-conv-sharp"]
    assert page.locator("output").inner_text() == "2 of 3 statements"
    page.keyboard.type(" conv")
    assert seen(page) == ["claim-conv-sharp"]
    assert not page.get_by_role("heading", name="Chapter 01").is_visible()
    for _ in range(3):  # past both lists of choices to the button
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('output').value === '3 statements'")
    assert seen(page) == [] and page.get_by_role("heading", name="Chapter 01").is_visible()
    page.close()


@pytest.mark.browser
def test_the_list_is_narrowed_by_outcome_and_by_when_it_was_stated(browser, listed):
    page = browser.new_page()
    page.goto(listed)
    page.get_by_label("Outcome").select_option("missed or refuted")
    assert seen(page) == ["claim-toy-goal"]
    page.evaluate("location.hash = '#claim-conv-sharp'")  # a link to one that is left out
    page.wait_for_function("!document.getElementById('claim-conv-sharp').hidden")
    assert seen(page) == ["claim-conv-sharp"]  # its chapter is open, and the form asks nothing
    assert page.get_by_label("Outcome").input_value() == ""
    page.get_by_label("Stated").select_option("before the value was seen")
    assert seen(page) == ["claim-conv-sharp"]
    page.get_by_label("Stated").select_option("after it")
    assert seen(page) == [] and page.locator("output").inner_text() == "0 of 3 statements"
    page.close()


@pytest.mark.browser
def test_without_scripts_every_statement_can_be_read(browser, listed):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(listed)
    assert page.locator("form.claim-filter").count() == 0
    for fold in page.locator("details.claim-chapter > summary").all():
        fold.click()
    assert len(seen(page)) == 3
    context.close()


FAULTY = {  # what is written into the text: what the build says
    "{claim}`toy.unknown`": "stands in no file",
    "{claim}`toy.error/mean`": "'mean' is not one of",
    "{claim}`toy.error:.1q`": "no number format",
    "{claim}`toy.goal`": "no recorded value",
    "{claim}`toy.error/n`": "no recorded n",
    "{claim}`toy.error`": "claim-toy-error",  # no table to link to
}


def test_numbers_without_evidence_fail_the_build(tmp_path):
    done, _ = build(tmp_path, "\n\n".join(FAULTY), {"toy.error": {**RECORD, "n": None}})
    assert done.returncode != 0
    for words in FAULTY.values():
        assert words in done.stderr


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ({"toy.error": RECORD}, "'toy.goal' is unrecorded"),
        ({**RECORDS, "toy.error": {**RECORD, "value": 101.0}}, "'toy.error' is failed"),
        ({**RECORDS, "toy.ghost": RECORD}, "recorded but not stated: toy.ghost"),
    ],
)
def test_statements_without_evidence_fail_the_build(tmp_path, records, expected):
    done, _ = build(tmp_path, TABLE, records)
    assert done.returncode != 0
    assert expected in done.stderr


def test_a_book_without_claims_says_so(tmp_path):
    done, page = build(tmp_path, TABLE, {}, statements="")
    assert done.returncode == 0, done.stderr
    assert "No statement is registered yet." in page


def test_the_extensions_need_no_torch(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(EXTENSIONS)!r}); import claim_pages, site_setup;"
        "print(any(name.split('.')[0] in ('torch', 'numpy') for name in sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout.strip() == "False", answer.stderr
