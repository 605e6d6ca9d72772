"""What the tests of notebooks share."""

from __future__ import annotations

from pathlib import Path

import making
import pytest

from course_tools.chapters.stored import Notebook


def pytest_collection_modifyitems(items):
    """Mark everything in this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("notebook")


@pytest.fixture
def good() -> Notebook:
    """Return a chapter that obeys every rule, as number 11."""
    records = {id: dict(record) for id, record in making.RECORDS.items()}
    return Notebook(making.good_notebook(), "11", dict(making.CLAIMS), records)
