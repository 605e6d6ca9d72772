"""The rules about claims: what is stated is judged, and what is printed is what was recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from course_tools.chapters.cells import judged_ids, stdout
from course_tools.chapters.stored import Notebook, numbered
from course_utils import claims

CLAIMS = 25  # of a chapter; the rest goes into tables
JUDGED_LINE = re.compile(
    r"^(?P<mark>[✓✗]) (?P<id>\S+): (?P<value>[^\s,]+)(?: ± (?P<spread>\S+) \((?P<n>\d+) seeds\))?"
    r"(?:, expected)? (?P<bound>.+) "
    r"\((?P<profile>\w+), (?P<data>[^();]+)(?:; stated (?P<stated>\w+))?\)$"
)
NOT_JUDGED_LINE = re.compile(r"^– (?P<id>\S+): ", re.M)
CLAIM_LINE = re.compile(r"^[✓✗–] (\S+): ", re.M)


def claims_are_judged(notebook: Notebook) -> Iterator[str]:
    """Find statements that the chapter does not judge, and judged ones that it does not state."""
    seen: list[str] = []
    for name, cell in numbered(notebook):
        printed = set(CLAIM_LINE.findall(stdout(cell)))
        judged = judged_ids(cell)
        if None in judged:
            yield f"{name} judges a claim whose id is not written out"
        judged = [id for id in judged if id]
        seen += judged
        for id in sorted(set(judged) - printed):
            yield f"{name} judges {id}, but its output has no line about it"
        for id in sorted(printed - set(judged)):
            yield f"{name} prints a line about {id}, but does not judge it"
    stated = notebook.stated()
    for id in sorted(set(seen) - set(stated)):
        yield f"{id} is judged here, but not stated in book/claims/{notebook.chapter}.toml"
    for id in [id for id in stated if id not in (*seen, *notebook.elsewhere)]:
        yield f"{id} is stated in book/claims/{notebook.chapter}.toml, but not judged here"
    for id in sorted({id for id in seen if seen.count(id) > 1}):
        yield f"{id} is judged {seen.count(id)} times"
    for id in sorted(set(seen) & set(notebook.elsewhere)):
        yield f"{id} is judged in another notebook of the chapter too"
    if len(stated) > CLAIMS:
        yield f"{len(stated)} claims are stated; {CLAIMS} are the most: the rest goes into tables"


def claims_are_recorded(notebook: Notebook) -> Iterator[str]:
    """Find lines that differ from the committed record, and records that miss their bound."""
    for name, cell in numbered(notebook):
        printed = stdout(cell)
        for id in NOT_JUDGED_LINE.findall(printed):
            yield f"{name}: {id} was not judged; execute the notebook in full, on real data"
        for line in printed.splitlines():
            if CLAIM_LINE.match(line) and not line.startswith("–"):
                yield from (f"{name}: {fault}" for fault in line_faults(notebook, line))
    for id in sorted(set(notebook.records) & set(notebook.stated())):
        yield from record_faults(notebook.claims[id], notebook.records[id])


def line_faults(notebook: Notebook, line: str) -> Iterator[str]:
    """Compare one printed line with its claim and its record."""
    match = JUDGED_LINE.match(line)
    if not match:
        yield f"the line {line!r} cannot be read"
        return
    claim, record = notebook.claims.get(match["id"]), notebook.records.get(match["id"])
    if claim is None:
        return  # claims_are_judged says so
    if record is None:
        yield f"{claim.id} has no record in book/claims/{claim.chapter}.json; use --record"
        return
    where = (match["profile"], match["data"])
    if where != (record["profile"], record["data"]):
        yield f"{claim.id} was judged on {where}, and recorded on another profile or data"
    if match["bound"] != claims.shown(claim.bound):
        yield f"{claim.id} was judged against {match['bound']!r}, and is now {claim.bound!r}"
    if match["stated"] != claim.stated:
        yield f"{claim.id} was judged as stated {match['stated']}, and is now {claim.stated}"
    if (match["mark"] == "✓") != claim.met(record["value"]):
        yield f"{claim.id} is marked {match['mark']}, which its record contradicts"
    shown = (match["value"], match["spread"], match["n"] and int(match["n"]))
    if not same_numbers(shown, record):
        yield f"{claim.id}: the output says {match['value']}, the record {record['value']}"


def same_numbers(shown: tuple[str, str | None, int | None], record: dict) -> bool:
    """Tell whether printed value, spread and number of runs are the recorded ones, rounded."""
    value, spread, n = shown
    if not agrees(value, record["value"], 4):
        return False
    if record.get("spread") is None:
        return spread is None
    return spread is not None and n == record["n"] and agrees(spread, record["spread"], 2)


def agrees(shown: str, recorded: float, digits: int) -> bool:
    """Tell whether `shown` is `recorded`, rounded to `digits` significant digits.

    The record is rounded too (to 6 and 3 digits), so a tie may have gone either way.
    """
    slack = 10.0 ** -(digits + 1)
    near = (recorded, recorded * (1 - slack), recorded * (1 + slack))
    return any(f"{number:.{digits}g}" == shown for number in near)


def record_faults(claim: claims.Claim, record: dict) -> Iterator[str]:
    """Find a record that misses the bound of a claim, or comes from a quick run or other data."""
    if claim.kind == "claim" and not claim.met(record["value"]):
        yield f"the record of {claim.id} is {record['value']}, not {claim.bound}"
    if record["profile"] != "full" or record["data"] != claim.about:
        yield f"the record of {claim.id} comes from {record['profile']}, {record['data']}"
