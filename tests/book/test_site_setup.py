"""Where the book finds the address of its repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))

import site_setup


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/octo/course",
        "https://github.com/octo/course.git",
        "https://someone@github.com/octo/course.git/",
        "git@github.com:octo/course.git",
        "ssh://git@github.com/octo/course",
    ],
)
def test_a_github_remote_is_recognised(remote):
    assert site_setup.github_url(remote) == "https://github.com/octo/course"


@pytest.mark.parametrize(
    "remote",
    ["", "https://gitlab.com/octo/course", "/srv/course.git", "https://github.com.evil.org/a/b"],
)
def test_other_remotes_are_not(remote):
    assert site_setup.github_url(remote) is None


@pytest.mark.parametrize(
    ("environ", "ref"),
    [
        ({"GITHUB_REF_NAME": "main"}, "main"),
        ({"GITHUB_REF_NAME": "v1.0"}, "v1.0"),
        ({"GITHUB_REF_NAME": "7/merge", "GITHUB_BASE_REF": "main"}, "main"),
        ({}, "main"),
    ],
    ids=["branch", "tag", "pull request", "unknown"],
)
def test_ci_names_the_repository(environ, ref):
    found = site_setup.repository_from_ci({"GITHUB_REPOSITORY": "Octo/course", **environ})
    assert found == site_setup.Repository("https://github.com/Octo/course", ref)
    assert found.pages_url == "https://octo.github.io/course/"


def test_another_server_has_neither_colab_nor_pages():
    environ = {"GITHUB_REPOSITORY": "octo/course", "GITHUB_SERVER_URL": "https://git.example"}
    assert site_setup.repository_from_ci(environ) is None
    assert site_setup.repository_from_ci({}) is None


def test_a_clone_names_the_repository(tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init", "-q")
    assert site_setup.find_repository(tmp_path, {}) is None
    git("remote", "add", "origin", "git@github.com:octo/course.git")
    found = site_setup.find_repository(tmp_path, {})
    assert found == site_setup.Repository("https://github.com/octo/course", "main")
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    assert site_setup.find_repository(tmp_path, {}).ref == "trunk"
