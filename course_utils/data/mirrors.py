"""Files from wherever they can be had: folders and addresses, asked one after the other."""

from __future__ import annotations

import http.client
import os
import string
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from course_utils import folders
from course_utils.errors import CourseError

TIMEOUT = 20.0  # seconds without a byte
LIMIT = 1 << 30  # bytes of one file: what never ends is no data set
Accepted = TypeVar("Accepted")


class Unreachable(Exception):
    """A mirror did not give a file; the message says why."""


class Mirrors:
    """Places that hold the same files; one that fails is not asked again.

    Args:
        published: addresses, in the order in which they are asked.
        title: of what they hold.

    COURSE_MIRROR, where set, is asked before all others: an address (http, https, ftp, file) or a
    plain folder.
    """

    def __init__(self, published: Sequence[str], title: str):
        own = os.environ.get("COURSE_MIRROR", "").strip()
        self.own, self.title = own, title
        self.places = ([own] if own else []) + list(published)
        self.failures: list[str] = []

    def get(self, name: str, accept: Callable[[bytes], Accepted]) -> Accepted:
        """Return what `accept` makes of the file `name` from the first place where that works.

        Args:
            name: of the file below the place.
            accept: turns its bytes into the result; raises ValueError for wrong ones.

        Raises CourseError when no place is left, with what was wrong at each.
        """
        while self.places:
            try:
                return accept(fetched(self.places[0], name))
            except (Unreachable, CourseError) as error:
                self.drop(str(error))
            except ValueError as error:
                self.drop(f"{name} there is damaged: {error}")
        raise CourseError(
            f"{self.title} could not be downloaded ({'; '.join(self.failures) or 'no mirrors'}); "
            "check the network, name a mirror or a folder in COURSE_MIRROR, "
            "or put the files below COURSE_DATA yourself"
        )

    def drop(self, reason: str) -> None:
        """Ask the first place no more; say so where the user named it and others follow."""
        place = self.places.pop(0)
        self.failures.append(f"{place}: {reason}")
        if place == self.own and self.places:
            line = f"COURSE_MIRROR is {place!r}, which gives no {self.title} ({reason})"
            print(f"{line}; the next mirror is asked", file=sys.stderr, flush=True)


def fetched(place: str, name: str) -> bytes:
    """Return the content of the file `name` at an address or in a folder.

    Raises Unreachable, or CourseError where a folder may not be read.
    """
    folder = local_folder(place)
    if folder is None:
        return downloaded(place.rstrip("/") + "/" + name)
    if not folders.is_dir(folder):
        raise Unreachable("there is no such folder; an address begins with https:// or http://")
    for path in (folder / name, folder / name.removesuffix(".gz")):
        if folders.is_file(path):
            return folders.read_bytes(path)
    raise Unreachable(f"{name} is not in this folder")


def local_folder(place: str) -> Path | None:
    """Return the folder that a place names, as a path or as file:///path; None for an address."""
    if place.lower().startswith("file:"):
        parts = urllib.parse.urlsplit(place)
        if parts.netloc not in ("", "localhost"):
            raise Unreachable("a file: address names this machine: file:///PATH, or plainly PATH")
        return folders.located(urllib.request.url2pathname(parts.path))
    return None if "://" in place else folders.located(place)


def downloaded(address: str) -> bytes:
    """Return what an address serves; raise Unreachable with the reason when it serves nothing."""
    spelled = urllib.parse.quote(address, safe=string.punctuation)  # blanks, umlauts
    try:
        with urllib.request.urlopen(spelled, timeout=TIMEOUT) as answer:
            content = answer.read(LIMIT + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise Unreachable(f"{error.code} {error.reason}") from None
    except http.client.HTTPException as error:
        raise Unreachable(f"no answer in HTTP: {one_line(error)}") from None
    except (OSError, ValueError) as error:  # no name, no connection, no certificate, no address
        raise Unreachable(one_line(getattr(error, "reason", error))) from None
    if len(content) > LIMIT:
        raise Unreachable("the file does not end")
    return content


def one_line(error: object) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__
