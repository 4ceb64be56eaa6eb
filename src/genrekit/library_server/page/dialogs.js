// Questions in front of the page, and the field that takes genres.

import { button, byId, element } from "./elements.js";

/** Ask; resolves to what `value` gives when the user agrees, to null when not. */
export function ask({ title, content = [], yes, value = () => true, isDangerous = false }) {
  const dialog = byId("dialog");
  return new Promise((resolve) => {
    const form = element("form", { method: "dialog" });
    form.append(
      element("h2", { id: "dialog-title", tabIndex: -1, autofocus: !yes }, title), ...content,
      element("div", { className: "row end" },
        yes ? button("Cancel", () => dialog.close()) : "",
        element("button", { className: `primary ${isDangerous ? "danger" : ""}`, value: "yes" }, yes ?? "Close")),
    );
    dialog.returnValue = "";
    dialog.replaceChildren(form);
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? value() : null);
      dialog.replaceChildren();
    }, { once: true });
    dialog.showModal();
  });
}

/** A field that takes genres one after another; names are completed. `names()` gives those that it holds. */
export function genreField(id, names) {
  const chosen = [...names];
  const boxes = element("ul", { className: "boxes", "aria-label": "Genres" });
  const input = element("input", { id, autocomplete: "off", placeholder: "Add a genre" });
  input.setAttribute("list", "genre-names");
  const show = () => boxes.replaceChildren(...chosen.map((name, index) => element("li", { className: "box" }, name,
    button("✕", () => {
      chosen.splice(index, 1);
      show();
      input.focus();
    }, { "aria-label": `Remove ${name}` }))));
  const add = () => {
    const name = input.value.trim();
    if (name && !chosen.includes(name)) chosen.push(name);
    input.value = "";
    show();
  };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && input.value.trim()) {
      event.preventDefault();
      add();
    } else if (event.key === "Backspace" && !input.value) {
      chosen.pop();
      show();
    }
  });
  input.addEventListener("change", add);
  show();
  const field = element("div", { className: "genre-field" }, boxes, element("label", { htmlFor: id, className: "unseen" },
    "Add a genre"), input);
  const all = () => {
    add();
    return [...chosen];
  };
  return Object.assign(field, { input, names: all });
}

/** Ask for genres; resolves to the names, or to null. */
export function askGenres(title, names) {
  const field = genreField("dialog-genre", names);
  const answer = ask({ title, content: [field], yes: "Save", value: field.names });
  field.input.focus();
  return answer;
}
