// The first answer that is opened is the reader's guess. It is kept in this browser and sent
// nowhere. Without this script every answer still unfolds what is said to it.
(() => {
  "use strict";

  const store = {
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem(key, value); } catch { /* private window */ } },
    drop(key) { try { localStorage.removeItem(key); } catch { /* private window */ } },
  };

  function note(box, words, label, act) {
    box.querySelector(".predict-note")?.remove();
    const line = document.createElement("p");
    line.className = "predict-note";
    line.setAttribute("role", "status");
    line.append(`${words} `);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    line.append(button);
    box.append(line);
  }

  // what follows the question, up to the next heading or question
  function cover(box) {
    const frame = box.closest(".predict") || box;
    const hidden = document.createElement("div");
    hidden.className = "predict-cover";
    let next = frame.nextElementSibling;
    while (next && !next.matches("section, .predict, h1, h2, h3")) {
      const after = next.nextElementSibling;
      hidden.append(next);
      next = after;
    }
    if (!hidden.children.length) return null;
    frame.after(hidden);
    hidden.setAttribute("hidden", "until-found"); // a search in the page still finds it
    return hidden;
  }

  function start(box) {
    const key = `predict:${location.pathname.split("/").pop()}:${box.dataset.predict}`;
    const answers = [...box.querySelectorAll(".predict-answer")];
    const hidden = "covers" in box.dataset && store.get(key) === null ? cover(box) : null;
    const reveal = () => {
      if (!hidden || !hidden.isConnected) return;
      hidden.replaceWith(...hidden.childNodes);
    };

    function forget() {
      store.drop(key);
      answers.forEach((answer) => {
        answer.classList.remove("predict-chosen");
        answer.open = false;
      });
      box.querySelector(".predict-note")?.remove();
      answers[0].querySelector("summary").focus();
    }

    function choose(index) {
      reveal();
      answers[index].classList.add("predict-chosen");
      note(box, "Your guess is in bold; it stays on this machine.", "Forget it", forget);
    }

    answers.forEach((answer, index) => {
      answer.addEventListener("toggle", () => {
        if (!answer.open || box.querySelector(".predict-chosen")) return;
        store.set(key, String(index));
        choose(index);
      });
    });

    const kept = Number(store.get(key) ?? NaN);
    if (answers[kept]) {
      choose(kept);
      answers[kept].open = true;
    } else if (hidden) {
      note(box, "What follows opens with your guess.", "Show it without one", () => {
        reveal();
        box.querySelector(".predict-note").remove();
      });
      hidden.addEventListener("beforematch", reveal);
      addEventListener("beforeprint", reveal);
      const target = () => {
        const id = decodeURIComponent(location.hash.slice(1));
        const wanted = id && document.getElementById(id);
        if (wanted && hidden.contains(wanted)) { reveal(); wanted.scrollIntoView(); }
      };
      addEventListener("hashchange", target);
      target();
    }
  }

  document.querySelectorAll("[data-predict]").forEach(start);
})();
