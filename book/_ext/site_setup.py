"""What the built site needs beyond `_config.yml`.

- Links to the repository (its button, Colab) appear only when its address is known: from the
  CI environment, else from the git remote `origin` when that is on GitHub.
- A published site, whose address is then known too, gets link previews, a site map and a 404 page.
- sphinx-thebe is silenced: Jupyter Book loads it always, and although unused it adds a script
  that fails ("THEBE_JS_URL has already been declared") and names an outside address.
- The search shows no excerpts in a book opened from a file: it would have to fetch the pages, and
  browsers forbid that to files.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

GITHUB = "https://github.com"
COLAB = "https://colab.research.google.com"
NO_EXCERPTS = (
    "if (location.protocol === 'file:') DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;"
)


@dataclass(frozen=True)
class Repository:
    """Where the book's sources are published: `url` without a final slash, and a branch or tag."""

    url: str
    ref: str

    @property
    def pages_url(self) -> str:
        """The address GitHub Pages serves this repository's site from."""
        owner, name = self.url.rsplit("/", 2)[1:]
        return f"https://{owner.lower()}.github.io/{name}/"


def find_repository(folder: Path, environ=os.environ) -> Repository | None:
    """Return where `folder` is published: CI's word, else the git remote, else None."""
    return repository_from_ci(environ) or repository_from_git(folder)


def repository_from_ci(environ) -> Repository | None:
    """Return the repository that GitHub Actions names; in a pull request, its target branch.

    None on any other server: neither Colab nor GitHub Pages works from there.
    """
    name = environ.get("GITHUB_REPOSITORY")
    if not name or environ.get("GITHUB_SERVER_URL", GITHUB).rstrip("/") != GITHUB:
        return None
    ref = environ.get("GITHUB_BASE_REF") or environ.get("GITHUB_REF_NAME") or "main"
    return Repository(f"{GITHUB}/{name}", ref)


def repository_from_git(folder: Path) -> Repository | None:
    """Return the repository that `origin` points to, with its default branch; GitHub only."""
    url = github_url(git(folder, "config", "--get", "remote.origin.url"))
    if url is None:
        return None
    head = git(folder, "symbolic-ref", "--short", "refs/remotes/origin/HEAD")
    return Repository(url, head.removeprefix("origin/") or "main")


def github_url(remote: str) -> str | None:
    """Return https://github.com/OWNER/NAME for any spelling of a GitHub remote, else None."""
    found = re.fullmatch(
        r"(?:https://(?:[^@/]+@)?github\.com/|(?:ssh://)?git@github\.com[:/])"
        r"([\w.-]+)/([\w.-]+?)(?:\.git)?/?",
        remote,
    )
    return f"{GITHUB}/{found[1]}/{found[2]}" if found else None


def git(folder: Path, *words: str) -> str:
    """Return what git prints, stripped; "" where git or the answer is missing."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def add_repository_links(config, repository: Repository) -> None:
    """Switch on the buttons that lead to `repository`, and Colab on pages that are notebooks."""
    options = config.html_theme_options
    options["repository_url"] = repository.url
    options["repository_branch"] = repository.ref
    options["path_to_docs"] = ""
    options["use_repository_button"] = True
    options["use_issues_button"] = True
    options["launch_buttons"] = {"colab_url": COLAB}


def add_publishing(app, config, url: str) -> None:
    """Add what only a published site can have: link previews, a site map, a 404 page."""
    config.html_baseurl = url
    config.ogp_site_url = url
    config.ogp_social_cards = {"enable": False}
    config.sitemap_url_scheme = "{link}"
    config.notfound_urls_prefix = "/" + url.split("/", 3)[3]


def configure(app, config) -> None:
    """Fill in what depends on where the book is built."""
    repository = find_repository(Path(app.confdir))
    if repository is None:
        config.html_theme_options.pop("repository_url", None)
        return
    add_repository_links(config, repository)
    add_publishing(app, config, repository.pages_url)


def silence_thebe(app) -> None:
    """Disconnect sphinx-thebe's handlers and drop its style sheet."""
    registry = app.registry
    registry.css_files = [entry for entry in registry.css_files if entry[0] != "sphinx-thebe.css"]
    for name, listeners in app.events.listeners.items():
        app.events.listeners[name] = [
            listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"
        ]


def setup(app):
    """Register with Sphinx."""
    if find_repository(Path(app.confdir)):
        for name in ("sphinxext.opengraph", "sphinx_sitemap", "notfound.extension"):
            app.setup_extension(name)
    app.add_js_file(None, body=NO_EXCERPTS)
    app.connect("config-inited", configure, priority=10)
    app.connect("config-inited", lambda app, config: silence_thebe(app), priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
