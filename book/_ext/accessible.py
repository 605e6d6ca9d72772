"""What readers with a keyboard or a screen reader need, and the theme and its tools do not give.

- The list of sources has roles that no longer exist (`doc-biblioentry`) in a list whose children
  are not its items: the plain text reads better without.
- A formula or a plot that is wider than its place scrolls (custom.css); so that the keys can scroll
  it too, it can have the focus, but only while it is too wide.
- What folds a chapter's exercises in the list of pages is a mark without a word.
"""

from __future__ import annotations

ROLES = (' role="doc-biblioentry"', '<div role="list" class="citation-list">')
WIDE_THINGS = """
(() => {
  function mark() {
    for (const formula of document.querySelectorAll(".math mjx-math")) {
      const box = formula.closest(".math");
      const wide = formula.getBoundingClientRect().width > box.clientWidth + 1;
      box.classList.toggle("wide", wide);
      if (wide) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
    for (const box of document.querySelectorAll(".wide-plot")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }
  const drawn = () => window.MathJax?.startup?.promise || Promise.resolve();
  addEventListener("load", () => drawn().then(mark));
  addEventListener("resize", mark);
})();
"""


def drop_old_roles(app, pagename, template, context, tree) -> None:
    """Take from the body of a page the roles of a bibliography."""
    if "doc-biblioentry" in context.get("body", ""):
        entry, whole = ROLES
        plain = whole.replace(' role="list"', "")
        context["body"] = context["body"].replace(entry, "").replace(whole, plain)


def name_folds(app, pagename, template, context, tree) -> None:
    """Give what folds a part of the list of pages a name: that of the page above it."""
    made = context.get("generate_toctree_html")
    if made is None:
        return

    def named(*arguments, **options):
        listed = made(*arguments, **options)  # kept by the theme, so named once a page
        for fold in listed.select("li > details > summary"):
            fold["aria-label"] = f"Pages of {fold.find_parent('li').a.get_text().strip()}"
        return listed

    context["generate_toctree_html"] = named


def setup(app):
    """Register with Sphinx."""
    app.add_js_file(None, body=WIDE_THINGS)
    app.connect("html-page-context", drop_old_roles)
    app.connect("html-page-context", name_folds, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}
