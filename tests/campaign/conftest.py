"""What the tests of kills and damage share."""

from __future__ import annotations

import pytest


@pytest.fixture
def tell(capsys):
    """Return a function that prints a line past pytest's capture."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)

    return say
