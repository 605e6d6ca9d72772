"""What the built site needs beyond `_config.yml`.

- Links to the repository (its button, Colab) appear only where what they lead to is known to be
  there (see `repository`); the build says in a line why there are none. Colab opens the student's
  version of a notebook, on the branch of the pages.
- A published site, whose address is then known too, gets link previews, a site map and a 404 page.
- sphinx-thebe is silenced: Jupyter Book loads it always, and although unused it adds a script
  that fails ("THEBE_JS_URL has already been declared") and names an outside address.
- The search shows no excerpts in a book opened from a file: it would have to fetch the pages, and
  browsers forbid that to files.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from repository import PAGES, Repository, Unknown, find_repository

COLAB = "https://colab.research.google.com"
NO_EXCERPTS = (
    "if (location.protocol === 'file:') DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;"
)


def add_repository_links(config, repository: Repository) -> None:
    """Switch on the buttons that lead to `repository`, and Colab on pages that are notebooks."""
    options = config.html_theme_options
    options["repository_url"] = repository.url
    options["repository_branch"] = repository.ref
    options["path_to_docs"] = repository.path
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


def published(folder: Path) -> Repository | None:
    """Return where the book is published, else None, and say in a line why there are no links."""
    try:
        return find_repository(folder)
    except Unknown as error:
        print(f"No links to Colab: {error}")
        return None


def configure(app, config, repository: Repository | None) -> None:
    """Fill in what depends on where the book is built."""
    if repository is None:
        config.html_theme_options.pop("repository_url", None)
        return
    add_repository_links(config, repository)
    add_publishing(app, config, repository.pages_url)


def point_to_students(app, pagename, context, repository: Repository | None) -> None:
    """Let a page's button to Colab open the student's notebook; take it where there is none."""
    source = Path(app.env.doc2path(pagename, base=False)).as_posix()
    if repository is None or not source.endswith(".ipynb"):
        return
    path = repository.student_path(source)
    if path is None:
        print(f"No link to Colab from {source}: it is not on {PAGES} of {repository.url} yet")
    kept = []
    for button in context.get("header_buttons", []):
        links = [entry for entry in [button, *button.get("buttons", [])] if leads_to_colab(entry)]
        for entry in links:
            entry["url"] = f"{COLAB}/github{path}"
        kept += [button] if path or not links else []
    context["header_buttons"] = kept


def leads_to_colab(entry: dict) -> bool:
    """Tell whether a button of the theme, or an entry of its menu, opens Colab."""
    return entry.get("url", "").startswith(COLAB)


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
    repository = published(Path(app.confdir))
    if repository:
        for name in ("sphinxext.opengraph", "sphinx_sitemap", "notfound.extension"):
            app.setup_extension(name)
    app.add_js_file(None, body=NO_EXCERPTS)
    app.connect(
        "config-inited", lambda app, config: configure(app, config, repository), priority=10
    )
    app.connect("config-inited", lambda app, config: silence_thebe(app), priority=900)
    app.connect(  # after the theme has made its buttons
        "html-page-context",
        lambda app, page, template, context, tree: point_to_students(
            app, page, context, repository
        ),
        priority=900,
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
