"""What readers with a keyboard or a screen reader need, and the theme and its tools do not give.

- The list of sources has roles that no longer exist (`doc-biblioentry`) in a list whose children
  are not its items: the plain text reads better without.
- A formula that is wider than its place scrolls (custom.css); so that the keys can scroll it too,
  it can have the focus, but only while it is too wide.
"""

from __future__ import annotations

ROLES = (' role="doc-biblioentry"', '<div role="list" class="citation-list">')
WIDE_FORMULAS = """
(() => {
  function mark() {
    for (const formula of document.querySelectorAll(".math mjx-math")) {
      const box = formula.closest(".math");
      const wide = formula.getBoundingClientRect().width > box.clientWidth + 1;
      box.classList.toggle("wide", wide);
      if (wide) box.tabIndex = 0;
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


def setup(app):
    """Register with Sphinx."""
    app.add_js_file(None, body=WIDE_FORMULAS)
    app.connect("html-page-context", drop_old_roles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
