"""The sources of the book as names and years: "Hinton and Salakhutdinov, 2006"."""

from __future__ import annotations

import re
from pathlib import Path

from course_utils import folders
from course_utils.errors import CourseError

ENTRY = re.compile(r"^@(?P<kind>\w+)\{(?P<key>[^,\s]+),(?P<body>.*?)^\}", re.S | re.M)
FIELD = re.compile(r"(\w+)\s*=\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
ACCENTS = {'"a': "ä", '"o': "ö", '"u': "ü", "'e": "é", "'a": "á", "'i": "í", "'o": "ó", "'u": "ú",
           "`e": "è", "`a": "à", "~n": "ñ", "^o": "ô", "^e": "ê", "cc": "ç", "o": "ø", "aa": "å",
           "ss": "ß", "'c": "ć", "vs": "š", "vc": "č", "vz": "ž", "l": "ł"}  # fmt: skip


def load(path: Path) -> dict[str, dict[str, str]]:
    """Return the entries of a BibTeX file by key: their fields, in small letters.

    Raises CourseError when the file cannot be read.
    """
    text = folders.read_text(path)
    return {
        entry["key"]: {name.lower(): plain(value) for name, value in FIELD.findall(entry["body"])}
        for entry in ENTRY.finditer(text)
    }


def plain(text: str) -> str:
    """Return BibTeX's text without braces and commands, accents as letters."""

    def letter(found: re.Match) -> str:
        return ACCENTS.get(found[1] + found[2], found[2])

    text = re.sub(r"\{?\\([\"'`^~])\{?\\?([a-zA-Z])\}?\}?", letter, text)
    text = re.sub(r"\{?\\([cv])\s*\{?([a-zA-Z])\}?\}?", letter, text)
    text = re.sub(r"\{\\(o|aa|ss|l)\s*\}", lambda found: ACCENTS[found[1]], text)
    return " ".join(re.sub(r"[{}]", "", text).replace("--", "–").replace("\\&", "&").split())


def names(entry: dict[str, str]) -> str:
    """Return the family names of the authors: one, two, or the first "and others"."""
    people = re.split(r"\s+and\s+", entry.get("author", entry.get("editor", "Unknown")))
    family = [person.split(",")[0] if "," in person else person.split()[-1] for person in people]
    if len(family) > 2 or family[-1] == "others":
        return f"{family[0]} and others"
    return " and ".join(family)


def cited(entries: dict[str, dict[str, str]], key: str, in_text: bool = False) -> str:
    """Return a citation as Markdown: "Hinton and Salakhutdinov, 2006", linked where it has a URL.

    Args:
        entries: of `load`.
        key: of the entry.
        in_text: the year in brackets of its own: "Hinton and Salakhutdinov (2006)".

    Raises CourseError for a key that is not there.
    """
    if key not in entries:
        raise CourseError(f"the source {key!r} stands in no bibliography")
    entry = entries[key]
    year = entry.get("year", "no year")
    shown = f"{names(entry)} ({year})" if in_text else f"{names(entry)}, {year}"
    address = entry.get("url") or (f"https://doi.org/{entry['doi']}" if "doi" in entry else "")
    return f"[{shown}]({address})" if address else shown
