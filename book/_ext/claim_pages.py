"""Recorded numbers in the prose, and the page that says how to reproduce each of them.

    {claim}`ae.beats-pca3`          the recorded value, with four significant digits
    {claim}`ae.beats-pca3:.1f`      with a format of its own
    {claim}`mlp.source:.1p`         in percentage points: 5.6 for 0.056
    {claim}`ae.beats-pca3/spread`   another number of the record: spread or n

A number that nobody recorded is an error, so that a build with warnings as errors fails.
Each number links to its entry in the list that the `claims-table` directive writes.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective, SphinxRole

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the clone

from course_utils import claims as course_claims
from course_utils import provenance
from course_utils.claims import Verdict

NUMBERS = ("value", "spread", "n")
STATES = {
    "met": "reached",
    "missed": "missed: a goal, and the chapter says so",
    "refuted": "refuted: expected, and not so; the chapter says what was found",
    "failed": "NOT reached",
}
BOUNDS = {"claim": "Bound", "goal": "Goal", "expectation": "Expected"}
# folds, links into what is folded, and the form that narrows the list
SCRIPT = f"<script>\n{Path(__file__).with_name('claims.js').read_text(encoding='utf-8')}</script>"
SIGNS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}


def parse_text(text: str) -> tuple[str, str, str]:
    """Split "ID[/NUMBER][:FORMAT]" into its parts; NUMBER defaults to "value"."""
    name, _, spec = text.partition(":")
    identifier, _, number = name.partition("/")
    return identifier.strip(), number.strip() or "value", spec.strip()


def recorded_text(verdicts: dict[str, Verdict], text: str) -> tuple[str, str]:
    """Return the claim's id and the number as printed; ValueError says what is wrong."""
    identifier, number, spec = parse_text(text)
    if identifier not in verdicts:
        raise ValueError(f"claim {identifier!r} stands in no file of book/claims/")
    if number not in NUMBERS:
        raise ValueError(f"claim {text!r}: {number!r} is not one of {', '.join(NUMBERS)}")
    record = verdicts[identifier].record
    if record is None or record.get(number) is None:
        raise ValueError(
            f"claim {identifier!r} has no recorded {number}; "
            "record it with: course book --execute --record"
        )
    try:
        return identifier, show_number(record[number], spec)
    except ValueError:
        raise ValueError(f"claim {text!r}: {spec!r} is no number format") from None


def show_number(number: float, spec: str = "") -> str:
    """Return a number as the book prints it: four significant digits unless `spec` says else.

    `spec` is a format of Python; one that ends in "p" gives percentage points: ".1p" 5.6 for 0.056.
    """
    if spec.endswith("p"):
        return format(100 * number, spec[:-1] + "f")
    if spec:
        return format(number, spec)
    return f"{number:.0f}" if abs(number) >= 1000 else f"{float(f'{number:.4g}'):g}"


def anchor(identifier: str) -> str:
    """Return the HTML id of a claim's entry."""
    return "claim-" + nodes.make_id(identifier)


class ClaimRole(SphinxRole):
    """The `claim` role."""

    def run(self):
        """Return the number as a link to its evidence, or the error in its place."""
        try:
            identifier, shown = recorded_text(verdicts_of(self.env), self.text)
        except ValueError as error:
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        link = addnodes.pending_xref(
            "",
            nodes.inline("", shown),
            refdomain="std",
            reftype="ref",
            refexplicit=True,
            reftarget=anchor(identifier),
            refdoc=self.env.docname,
            refwarn=True,
        )
        return [link], []


class ClaimsTable(SphinxDirective):
    """The `claims-table` directive: every claim with its evidence and its command."""

    def run(self):
        """Return a summary and one section per chapter, an entry per claim."""
        verdicts = verdicts_of(self.env)
        if not verdicts:
            return [nodes.paragraph("", "No statement is registered yet.")]
        chapters: dict[str, list[Verdict]] = {}
        for verdict in verdicts.values():
            chapters.setdefault(verdict.claim.chapter, []).append(verdict)
        parts = [nodes.paragraph("", summary(verdicts.values()))]
        parts += [self.section(name, members) for name, members in chapters.items()]
        return [*parts, html(SCRIPT)]

    def section(self, chapter: str, verdicts: list[Verdict]) -> nodes.section:
        """Return the section of one chapter, folded; what most records share is said once."""
        title = heading(chapter)
        section = nodes.section("", nodes.title("", title), ids=[nodes.make_id(title)])
        usual = Counter(conditions(v.record) for v in verdicts if v.record).most_common(1)
        shared = usual[0][0] if usual else None
        section += html(f'<details class="claim-chapter"><summary>{summary(verdicts)}</summary>')
        if shared:
            note = f"Unless an entry says otherwise, measured on {shared}."
            section += nodes.paragraph("", note)
        for verdict in verdicts:
            section += self.entry(verdict, shared)
        section += html("</details>")
        return section

    def entry(self, verdict: Verdict, shared: str | None) -> nodes.Node:
        """Return one claim: the sentence, what was measured, how to measure it again."""
        claim = verdict.claim
        if verdict.state not in STATES or verdict.state == "failed":
            words = f"claim {claim.id!r} is {verdict.state}: {claim.bound}"
            return self.state.document.reporter.error(words, line=self.lineno)
        label = anchor(claim.id)
        standard = self.env.get_domain("std")
        standard.labels[label] = (self.env.docname, label, claim.id)
        standard.anonlabels[label] = (self.env.docname, label)
        command = f"course claims --rerun {claim.id}"
        box = nodes.container(ids=[label], classes=["claim-entry", f"is-{verdict.state}"])
        if claim.stated:
            box["classes"].append(f"stated-{claim.stated}")
        box += nodes.paragraph("", "", *self.parse_inline(claim.says)[0], classes=["claim-says"])
        box += field_list(evidence(verdict, shared))
        box += nodes.literal_block(command, command, language="console")
        return box


def heading(chapter: str) -> str:
    """Return the title of a chapter's section: "Chapter 01", or the words of its file's name."""
    return f"Chapter {chapter}" if chapter.isdigit() else chapter.replace("_", " ").capitalize()


def html(text: str) -> nodes.raw:
    """Return what stands in the page as it is."""
    return nodes.raw("", text, format="html")


def evidence(verdict: Verdict, shared: str | None) -> Iterator[tuple[str, list[nodes.Node]]]:
    """Yield what is known of a recorded claim, as (label, content)."""
    claim, record = verdict.claim, verdict.record
    state = nodes.inline("", STATES[verdict.state], classes=[f"claim-{verdict.state}"])
    yield "Quantity", [nodes.Text(claim.metric)]
    yield "Measured", [nodes.strong("", measured(record))]
    yield BOUNDS[claim.kind], [nodes.Text(f"{in_words(claim.bound)}; "), state]
    if claim.stated:
        yield "Stated", [nodes.Text(f"{claim.stated} the value had been seen")]
    if conditions(record) != shared:
        yield "Measured on", [nodes.Text(conditions(record))]


def conditions(record: dict) -> str:
    """Return on which data, machine, versions and day a record was made."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    device = provenance.said_today(record["device"])
    where = f"{record['data']} in the {record['profile']} profile, {device}"
    return f"{where}, with {versions}, on {record['date']}"


def in_words(bound: str) -> str:
    """Return a bound as a reader says it: "< 3" as "below 3", "1 .. 2" as "between 1 and 2"."""
    if " .. " in bound:
        return "between {} and {}".format(*bound.split(" .. "))
    sign, limit = bound.split()
    return f"{SIGNS[sign]} {limit}"


def measured(record: dict) -> str:
    """Return the value with what is known of its spread, e.g. "83.4 ± 0.21 (5 seeds)"."""
    text = show_number(record["value"])
    if record.get("spread") is None:
        return text
    return f"{text} ± {show_number(record['spread'], '.2g')} ({record['n']} seeds)"


def summary(verdicts: Iterable[Verdict]) -> str:
    """Return one sentence: how many statements there are, and which bounds are not reached."""
    verdicts = list(verdicts)
    missed = [verdict.claim.id for verdict in verdicts if verdict.state != "met"]
    count = "One statement" if len(verdicts) == 1 else f"{len(verdicts)} statements"
    if not missed:
        return f"{count}; every bound is reached."
    return f"{count}; every bound is reached but {len(missed)}: {', '.join(missed)}."


def field_list(rows: Iterable[tuple[str, list[nodes.Node]]]) -> nodes.field_list:
    """Return labelled lines."""
    fields = nodes.field_list(classes=["claim-evidence"])
    for label, content in rows:
        body = nodes.field_body("", nodes.paragraph("", "", *content))
        fields += nodes.field("", nodes.field_name("", label), body)
    return fields


def verdicts_of(env) -> dict[str, Verdict]:
    """Return all claims and their records by id, read once per build.

    Makes the page depend on their files, so that a new record rebuilds it.
    """
    folder = Path(env.srcdir) / "book" / "claims"
    for path in sorted(folder.glob("*.*")):
        env.note_dependency(str(path))
    if not hasattr(env.app, "course_verdicts"):
        found = course_claims.check(folder)
        env.app.course_verdicts = {verdict.claim.id: verdict for verdict in found}
    return env.app.course_verdicts


def setup(app):
    """Register with Sphinx."""
    app.add_role("claim", ClaimRole())
    app.add_directive("claims-table", ClaimsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
