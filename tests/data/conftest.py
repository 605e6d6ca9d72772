"""What the tests of the faces share: a few photographs, and a course that takes them for LFW."""

import pytest


@pytest.fixture(scope="session")
def few_photographs():
    """Return 24 JPEGs of eight people, by name."""
    import lfw_like

    return lfw_like.photographs()


@pytest.fixture
def small_lfw(monkeypatch, tmp_path):
    """Let LFW have 24 photographs, and give the process a data folder and a cache of its own."""
    from course_utils import data
    from course_utils.data import lfw

    monkeypatch.setattr(lfw, "COUNT", 24)
    monkeypatch.setattr(lfw, "CONTENT", {})
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COURSE_SOURCE", raising=False)
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    data.forget()
    yield tmp_path
    data.forget()
