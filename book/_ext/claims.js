// The list of statements: a link opens the chapter that it leads into, and a form narrows the list.
// Without this script the list is whole, folded by chapter.
(() => {
  const CHOICES = {
    Outcome: { "any": "", "reached": "is-met", "missed or refuted": "is-missed is-refuted" },
    Stated: { "any time": "", "before the value was seen": "stated-before",
              "after it": "stated-after" },
  };

  function reveal() {
    const entry = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = entry && entry.closest("details.claim-chapter");
    if (!folded) return;
    const form = document.querySelector("form.claim-filter");
    if (form && entry.hidden) clear(form);
    if (!folded.open) { folded.open = true; entry.scrollIntoView(); }
  }

  function clear(form) {
    for (const field of form.querySelectorAll("input, select")) field.value = "";
    narrow(form);
  }

  function make(tag, properties, ...inside) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside);
    return element;
  }

  function addForm() {
    const first = document.querySelector("details.claim-chapter");
    if (!first) return;
    const words = make("input", { type: "search", name: "words", autocomplete: "off" });
    const search = make("label", {}, "Words or id", words);
    const form = make("form", { className: "claim-filter" }, search);
    form.setAttribute("role", "search");
    form.setAttribute("aria-label", "Narrow the list of statements");
    for (const [name, options] of Object.entries(CHOICES)) {
      const list = Object.entries(options).map(([text, value]) => make("option", { text, value }));
      form.append(make("label", {}, name, make("select", { name }, ...list)));
    }
    form.append(make("button", { type: "reset" }, "Show all"), make("output", {}));
    form.addEventListener("input", () => narrow(form));
    form.addEventListener("reset", event => { event.preventDefault(); clear(form); });
    form.addEventListener("submit", event => event.preventDefault());
    first.closest("section").before(form);
    narrow(form);
  }

  function fits(entry, wanted, classes) {
    const text = entry.textContent.toLowerCase();
    return wanted.every(word => text.includes(word))
      && classes.every(list => list.some(name => entry.classList.contains(name)));
  }

  // Show what fits, and open the chapters that hold some of it; with nothing asked for, fold all.
  function narrow(form) {
    const wanted = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = Object.keys(CHOICES).map(name => form.elements[name].value).filter(Boolean);
    const classes = chosen.map(value => value.split(" "));
    const asked = wanted.length + classes.length > 0;
    let shown = 0, all = 0;
    for (const chapter of document.querySelectorAll("details.claim-chapter")) {
      const entries = [...chapter.querySelectorAll(".claim-entry")];
      entries.forEach(entry => { entry.hidden = !fits(entry, wanted, classes); });
      const left = entries.filter(entry => !entry.hidden).length;
      chapter.closest("section").hidden = left === 0;
      chapter.open = asked && left > 0;
      shown += left;
      all += entries.length;
    }
    form.querySelector("output").value = `${asked ? `${shown} of ` : ""}${all} statements`;
  }

  addEventListener("hashchange", reveal);
  addEventListener("DOMContentLoaded", () => { addForm(); reveal(); });
})();
