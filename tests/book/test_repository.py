"""Where the book finds its repository, and that no button leads where nothing is."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))

import site_setup
from repository import Repository, Unknown, find_repository, github_url, repository_from_ci

NOTEBOOK = "notebooks/01_chapter.ipynb"
COURSE = "https://github.com/octo/course"


# ---------------------------------------------------------------------------------------- remotes


@pytest.mark.parametrize(
    "remote",
    [
        "https://github.com/octo/course",
        "https://github.com/octo/course.git",
        "https://someone@github.com/octo/course.git/",
        "https://someone:secret@github.com/octo/course",
        "http://www.github.com/octo/course",
        "https://GitHub.com/octo/course.git",
        "git@github.com:octo/course.git",
        "git@GitHub.com:octo/course",
        "github.com:octo/course",
        "org-123@github.com:octo/course.git",
        "ssh://git@github.com/octo/course",
        "ssh://git@github.com:22/octo/course.git",
        "ssh://git@ssh.github.com:443/octo/course.git",
        "git+ssh://git@github.com/octo/course",
        "git://github.com/octo/course.git",
        "git@ssh.github.com:octo/course.git",
        "git@github.com:/octo/course.git",
    ],
)
def test_a_github_remote_is_recognised(remote):
    assert github_url(remote) == COURSE


@pytest.mark.parametrize(
    "remote",
    [
        "https://gitlab.com/octo/course",
        "/srv/github.com/octo/course.git",
        "https://github.com.evil.org/octo/course",
        "https://notgithub.com/octo/course",
        "git@gitlab.com:github.com/octo",
        "https://github.com/octo",
        "https://gist.github.com/octo/course",
    ],
)
def test_other_remotes_are_not_and_the_reason_is_given(remote):
    with pytest.raises(Unknown, match=r"which is not on github\.com"):
        github_url(remote)


def test_the_reason_holds_no_password():
    with pytest.raises(Unknown) as reason:
        github_url("https://someone:secret@gitlab.com/octo/course")
    assert "secret" not in str(reason.value)


# -------------------------------------------------------------------------------- GitHub's actions


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
def test_ci_names_the_repository(tmp_path, environ, ref):
    found = repository_from_ci(tmp_path, {"GITHUB_REPOSITORY": "Octo/course", **environ})
    assert found == Repository("https://github.com/Octo/course", ref)
    assert found.pages_url == "https://octo.github.io/course/"


def test_another_server_has_neither_colab_nor_pages(tmp_path):
    environ = {"GITHUB_REPOSITORY": "octo/course", "GITHUB_SERVER_URL": "https://git.example"}
    with pytest.raises(Unknown, match=r"https://git\.example"):
        repository_from_ci(tmp_path, environ)
    assert repository_from_ci(tmp_path, {}) is None


def test_a_book_outside_of_the_checkout_is_not_in_the_repository(tmp_path):
    environ = {"GITHUB_REPOSITORY": "octo/other", "GITHUB_WORKSPACE": str(tmp_path / "work")}
    with pytest.raises(Unknown, match="not in the checkout of octo/other"):
        repository_from_ci(tmp_path / "course", environ)


def test_in_a_checkout_the_book_must_be_committed(course):
    environ = {"GITHUB_REPOSITORY": "octo/course", "GITHUB_REF_NAME": "main"}
    found = repository_from_ci(course.path, environ)
    assert found.holds(NOTEBOOK) and not found.holds("notebooks/02_new.ipynb")
    course("rm", "-q", NOTEBOOK)
    course("commit", "-q", "-m", "gone")
    with pytest.raises(Unknown, match="holds no notebooks of this book"):
        repository_from_ci(course.path, environ)


# ----------------------------------------------------------------------------------------- clones


class Git:
    """Runs git in one folder, whatever the user's settings."""

    def __init__(self, path: Path):
        self.path = path

    def __call__(self, *words: str) -> None:
        settings = {
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | settings
        subprocess.run(["git", "-C", self.path, *words], check=True, capture_output=True, env=env)


@pytest.fixture(autouse=True)
def plain_git(monkeypatch):
    """Keep the user's settings of git, and a hook's, out of the tests."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def committed(path: Path, branch: str = "main", file: str = NOTEBOOK) -> Git:
    """Make a repository at `path` with one file on one branch."""
    (path / file).parent.mkdir(parents=True)
    (path / file).write_text("{}", encoding="utf-8")
    git = Git(path)
    git("init", "-q", "-b", branch)
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return git


def pushed(git: Git, branch: str = "main", remote: str = "origin") -> None:
    """Note that the remote has what is committed, as a push or a fetch would."""
    git("update-ref", f"refs/remotes/{remote}/{branch}", "HEAD")


@pytest.fixture
def course(tmp_path) -> Git:
    """Return git in a clone of the course, as `git clone` leaves it."""
    git = committed(tmp_path / "course")
    git("remote", "add", "origin", f"{COURSE}.git")
    pushed(git)
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    return git


def why_not(folder: Path) -> str:
    """Return the reason for which `folder` has no links."""
    with pytest.raises(Unknown) as reason:
        find_repository(folder, {})
    return str(reason.value)


def test_a_clone_names_its_repository(course):
    found = find_repository(course.path, {})
    assert found == Repository(COURSE, "main")
    assert found.holds(NOTEBOOK) and not found.holds("notebooks/02_new.ipynb")


@pytest.mark.parametrize("branch", ["master", "trunk"])
def test_without_a_default_branch_the_one_that_has_the_notebooks_is_taken(tmp_path, branch):
    """As after `git init`, `git remote add` and `git push`, which set no origin/HEAD."""
    git = committed(tmp_path / "course", branch)
    git("remote", "add", "origin", COURSE)
    pushed(git, branch)
    assert find_repository(git.path, {}) == Repository(COURSE, branch)


def test_a_branch_without_the_notebooks_is_not_taken(course):
    """The default branch first, but only where it holds them."""
    course("checkout", "-q", "--orphan", "empty")
    course("rm", "-q", "-r", "-f", ".")
    course("commit", "-q", "--allow-empty", "-m", "nothing")
    pushed(course, "gh-pages")
    course("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/gh-pages")
    assert find_repository(course.path, {}).ref == "main"


def test_what_was_never_pushed_has_no_links(tmp_path):
    git = committed(tmp_path / "course")
    assert "has no remote" in why_not(git.path)
    git("remote", "add", "origin", COURSE)
    assert "push them" in why_not(git.path) and "git fetch origin" in why_not(git.path)


def test_a_zip_unpacked_in_somebody_elses_repository_has_no_links(tmp_path):
    git = committed(tmp_path / "thesis", file="thesis.tex")
    git("remote", "add", "origin", "https://github.com/somebody/thesis")
    pushed(git)
    book = tmp_path / "thesis" / "course-main"
    (book / "notebooks").mkdir(parents=True)
    (book / NOTEBOOK).write_text("{}", encoding="utf-8")
    assert "somebody/thesis" in why_not(book) and "course-main/" in why_not(book)
    git("add", ".")
    git("commit", "-q", "-m", "the course")
    assert "push them" in why_not(book)  # committed is not published
    pushed(git)
    found = find_repository(book, {})
    assert found == Repository("https://github.com/somebody/thesis", "main", "course-main/")
    assert found.holds(NOTEBOOK)


def test_student_notebooks_are_those_on_the_branch_of_the_pages(course):
    assert find_repository(course.path, {}).student_path(NOTEBOOK) is None
    course("checkout", "-q", "--orphan", "gh-pages")
    (course.path / "student" / "notebooks").mkdir(parents=True)
    (course.path / "student" / NOTEBOOK).write_text("{}", encoding="utf-8")
    course("add", "student")
    course("commit", "-q", "-m", "pages")
    pushed(course, "gh-pages")
    course("checkout", "-q", "main")
    found = find_repository(course.path, {})
    assert found.student_path(NOTEBOOK) == f"/octo/course/blob/gh-pages/student/{NOTEBOOK}"
    assert found.student_path("notebooks/02_new.ipynb") is None


def test_what_is_being_published_is_taken_for_published(course):
    environ = {"GITHUB_REPOSITORY": "octo/course", "COURSE_PUBLISHING": "1"}
    found = find_repository(course.path, environ)
    assert found.student_path(NOTEBOOK) and not found.student_path("notebooks/02_new.ipynb")


def test_a_folder_that_is_no_clone(tmp_path):
    assert "is no clone" in why_not(tmp_path)


def test_without_git(course, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "git is not installed" in why_not(course.path)


def test_short_names_for_addresses_are_spelled_out(course):
    course("config", "url.https://github.com/.insteadOf", "gh:")
    course("remote", "set-url", "origin", "gh:octo/course")
    assert find_repository(course.path, {}).url == COURSE


def test_an_address_that_git_takes_elsewhere_is_still_the_one_written(course):
    """A company's mirror of GitHub, by insteadOf: the page is read elsewhere."""
    course("config", "url.https://mirror.example/.insteadOf", "https://github.com/")
    assert find_repository(course.path, {}).url == COURSE


def test_a_remote_by_another_name(course):
    course("remote", "rename", "origin", "github")
    assert find_repository(course.path, {}) == Repository(COURSE, "main")


def test_of_several_remotes_the_one_that_is_followed(course):
    course("remote", "rename", "origin", "github")
    course("remote", "add", "backup", "https://gitlab.com/octo/course")
    assert "several remotes" in why_not(course.path)
    course("config", "branch.main.remote", "github")
    assert find_repository(course.path, {}).url == COURSE


@pytest.mark.skipif(os.name != "posix", reason="owners are POSIX's")
@pytest.mark.skipif(os.name == "posix" and os.geteuid() != 0, reason="only root gives files away")
def test_a_clone_that_belongs_to_another_user(course):
    for path in [course.path, *course.path.rglob("*")]:
        os.chown(path, 12345, 12345)
    assert find_repository(course.path, {}) == Repository(COURSE, "main")


def test_a_hook_does_not_lead_git_astray(course, tmp_path, monkeypatch):
    other = committed(tmp_path / "other", file="other.txt")
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    assert find_repository(course.path, {}).url == COURSE


# ----------------------------------------------------------------------------------------- buttons


class Page:
    """Stands in for Sphinx's app: finds the source of a page."""

    class env:
        @staticmethod
        def doc2path(name, base):
            return f"{name}.ipynb" if name.startswith("notebooks/") else f"{name}.md"


def test_a_page_opens_the_students_notebook_or_has_no_button(capsys):
    repository = Repository(COURSE, "main", "", frozenset([NOTEBOOK]), frozenset([NOTEBOOK]))
    source = {"type": "link", "url": COURSE}
    colab = {"type": "link", "url": "https://colab.research.google.com/github/octo/course/x"}
    menu = {"type": "group", "buttons": [colab]}

    def buttons(page):
        context = {"header_buttons": copy.deepcopy([source, menu, colab])}
        site_setup.point_to_students(Page, page, context, repository)
        return context["header_buttons"]

    there = "https://colab.research.google.com/github/octo/course/blob/gh-pages/student/" + NOTEBOOK
    kept = buttons("notebooks/01_chapter")
    assert kept[0] == source and kept[2]["url"] == kept[1]["buttons"][0]["url"] == there
    assert buttons("book/intro") == [source, menu, colab]
    assert capsys.readouterr().out == ""
    assert buttons("notebooks/02_new") == [source]
    assert "No link to Colab from notebooks/02_new.ipynb" in capsys.readouterr().out


def test_the_build_says_why_there_are_no_links(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert site_setup.published(tmp_path) is None
    assert capsys.readouterr().out.startswith("No links to Colab: this folder is no clone")
