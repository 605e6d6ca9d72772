"""Where the book's notebooks are published, as far as this machine can know.

A link to Colab leads to a student notebook on the branch of the published pages. It is set where
that notebook is known to be there: on that branch as git last saw it, or while the publish workflow
is building what it will push there.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

GITHUB = "https://github.com"
HOSTS = r"(?:(?:www|ssh)\.)?github\.com"
REMOTE = re.compile(
    rf"(?:(?:https?|git|ssh|git\+ssh)://(?:[^@/]+@)?{HOSTS}(?::\d+)?/+"  # an address
    rf"|(?:[^@/:]+@)?{HOSTS}:/*)"  # user@host:path, as ssh has it
    r"([\w.-]+)/([\w.-]+?)(?:\.git)?/*",
    re.IGNORECASE,
)
# what a hook sets for git would lead it to another repository
PAGES = "gh-pages"  # the branch of the published pages
STUDENT = "student/"  # the student edition on it
PUBLISHING = "COURSE_PUBLISHING"  # set while that branch is being made
HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


class Unknown(Exception):
    """There is no published place; the message says why."""


@dataclass(frozen=True)
class Repository:
    """Where the book's sources are published.

    Attributes:
        url: without a final slash.
        ref: a branch or tag.
        path: of the book in it, "" for its root, else with a final slash.
        files: the notebooks that are there, relative to the book; None where nobody can say.
        handed_out: the notebooks of the student edition on the branch of the pages.
    """

    url: str
    ref: str
    path: str = ""
    files: frozenset[str] | None = field(default=None, compare=False)
    handed_out: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def pages_url(self) -> str:
        """The address GitHub Pages serves this repository's site from."""
        owner, name = self.url.rsplit("/", 2)[1:]
        return f"https://{owner.lower()}.github.io/{name}/"

    def holds(self, file: str) -> bool:
        """Tell whether a file, relative to the book, is there."""
        return self.files is None or file in self.files

    def student_path(self, file: str) -> str | None:
        """Return where on GitHub the student's version of a notebook is; None where it is not."""
        if file not in self.handed_out:
            return None
        return f"{self.url.removeprefix(GITHUB)}/blob/{PAGES}/{STUDENT}{file}"


def find_repository(folder: Path, environ=os.environ) -> Repository:
    """Return where `folder` is published: CI's word, else the git remote; else raise Unknown."""
    found = repository_from_ci(folder, environ) or repository_from_git(folder)
    return replace(found, handed_out=handed_out(folder, found, environ))


def handed_out(folder: Path, found: Repository, environ) -> frozenset[str]:
    """Return the student notebooks that are on the branch of the pages, relative to the edition.

    While that branch is being made, they are those of the book: each of them will be on it.
    """
    if environ.get(PUBLISHING):
        return found.files or frozenset()
    remotes = lines(git(folder, "remote"))
    return frozenset(
        name.removeprefix(STUDENT)
        for remote in remotes
        if github_or_none(addresses(folder, remote)) == found.url
        for name in lines(
            git(folder, "-c", "core.quotePath=false", "ls-tree", "-r", "--full-tree", "--name-only",
                f"refs/remotes/{remote}/{PAGES}", f"{STUDENT}notebooks/")
        )
        if name.endswith(".ipynb")
    )  # fmt: skip


def github_or_none(remotes: list[str]) -> str | None:
    """Return the address on GitHub of a remote, None for any other remote."""
    try:
        return github_url(*remotes)
    except Unknown:
        return None


def repository_from_ci(folder: Path, environ) -> Repository | None:
    """Return the repository that GitHub Actions names; in a pull request, its target branch.

    None outside of GitHub Actions. Raises Unknown on another server, from where neither Colab nor
    GitHub Pages works, and where the checked-out repository does not hold the book.
    """
    name = environ.get("GITHUB_REPOSITORY")
    if not name:
        return None
    server = environ.get("GITHUB_SERVER_URL", GITHUB)
    if server.rstrip("/").lower() != GITHUB:
        raise Unknown(f"the repository is on {server}, and Colab opens those of github.com only")
    ref = environ.get("GITHUB_BASE_REF") or environ.get("GITHUB_REF_NAME") or "main"
    url = f"{GITHUB}/{name}"
    workspace = environ.get("GITHUB_WORKSPACE")
    if workspace and not folder.resolve().is_relative_to(Path(workspace).resolve()):
        raise Unknown(f"the book is not in the checkout of {name}")
    if git(folder, "rev-parse", "--verify", "HEAD") is None:  # no git here to ask
        return Repository(url, ref)
    files = notebooks(folder, "HEAD")
    if not files:
        raise Unknown(f"{name} holds no notebooks of this book in {where(folder)}")
    return Repository(url, ref, prefix(folder), files)


def repository_from_git(folder: Path) -> Repository:
    """Return the repository on GitHub that a remote of this clone points to, and its branch.

    Raises Unknown where there is none, or where its branches, as git last saw them, do not hold
    the book's notebooks.
    """
    if git(folder, "--version") is None:
        raise Unknown("git is not installed, so nobody can say where this clone comes from")
    if git(folder, "rev-parse", "--git-dir") is None:
        raise Unknown("this folder is no clone: git knows nothing of it")
    remote = remote_of(folder)
    url = github_url(*addresses(folder, remote))
    for branch in branches(folder, remote):
        files = notebooks(folder, f"refs/remotes/{remote}/{branch}")
        if files:
            return Repository(url, branch, prefix(folder), files)
    raise Unknown(
        f"no branch of {url}, as git last saw it, holds the notebooks of {where(folder)}; "
        f"push them, or type: git fetch {remote}"
    )


def remote_of(folder: Path) -> str:
    """Return origin, else the remote that the current branch follows, else the only one there is.

    Raises Unknown where there is none to choose.
    """
    remotes = lines(git(folder, "remote"))
    branch = git(folder, "symbolic-ref", "--short", "-q", "HEAD")
    followed = git(folder, "config", "--get", f"branch.{branch}.remote") if branch else None
    for name in ("origin", followed):
        if name in remotes:
            return name
    if len(remotes) == 1:
        return remotes[0]
    raise Unknown(
        "this clone has several remotes and none is called origin"
        if remotes
        else "this clone has no remote: git remote add origin ADDRESS"
    )


def addresses(folder: Path, remote: str) -> list[str]:
    """Return the address of a remote as it is written, and as git's `insteadOf` spells it out."""
    written = git(folder, "config", "--get", f"remote.{remote}.url")
    return [found for found in (written, git(folder, "remote", "get-url", remote)) if found]


def github_url(*remotes: str) -> str:
    """Return https://github.com/OWNER/NAME for the first GitHub remote, in any spelling.

    Raises Unknown where none is on GitHub.
    """
    for remote in remotes:
        if found := REMOTE.fullmatch(remote):
            return f"{GITHUB}/{found[1]}/{found[2]}"
    shown = re.sub(r"//[^@/]+@", "//", remotes[0]) if remotes else "nowhere"  # no passwords
    raise Unknown(f"the remote is {shown}, which is not on github.com; Colab opens nothing else")


def branches(folder: Path, remote: str) -> list[str]:
    """Return the branches of a remote, as git last saw them, the likeliest first.

    First its default branch, then the one that the current branch follows, main, master, others.
    """
    listed = lines(
        git(folder, "for-each-ref", "--format=%(refname:lstrip=3)", f"refs/remotes/{remote}")
    )
    default = git(folder, "symbolic-ref", "--short", "-q", f"refs/remotes/{remote}/HEAD") or ""
    followed = git(folder, "rev-parse", "--abbrev-ref", "HEAD@{upstream}") or ""
    first = [name.removeprefix(f"{remote}/") for name in (default, followed)]
    wanted = [*first, "main", "master", *sorted(listed)]
    return [name for name in dict.fromkeys(wanted) if name in listed and name != "HEAD"]


def notebooks(folder: Path, ref: str) -> frozenset[str]:
    """Return the notebooks of the book in a commit, relative to the book."""
    found = git(folder, "-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", ref,
                "notebooks/")  # fmt: skip
    return frozenset(name for name in lines(found) if name.endswith(".ipynb"))


def prefix(folder: Path) -> str:
    """Return the path of a folder in its repository, with a final slash; "" for the root."""
    return git(folder, "rev-parse", "--show-prefix") or ""


def where(folder: Path) -> str:
    """Return the folder in the words of its repository."""
    return prefix(folder) or "its root"


def lines(text: str | None) -> list[str]:
    """Return the lines of what git printed."""
    return (text or "").splitlines()


def git(folder: Path, *words: str) -> str | None:
    """Return what git prints, stripped; None where it fails or is not installed.

    A clone that belongs to another user is read as well: nothing of it is run.
    """
    environment = {name: value for name, value in os.environ.items() if name not in HOOKS}
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", env=environment
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
