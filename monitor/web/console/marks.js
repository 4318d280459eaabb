// Small marks that mean the same on every page: a shape and a word, never a colour alone.
import { h } from "./dom.js";
import { STATES } from "./words.js";

export function badge(state, id = null) {
  const known = STATES[state] ?? { mark: "?", name: state };
  const word = h("span", id ? { id } : {}, known.name);
  if (id) word.dataset.state = state;
  const found = h("span", { class: `badge ${state}` }, h("span", { "aria-hidden": "true" }, known.mark), " ", word);
  found.dataset.state = state;
  return found;
}

export const lost = () => h("span", { class: "swatch lost", "aria-hidden": "true" });

export function legend() {
  const item = (kind, text) => h("li", {}, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
  return h("ul", { class: "legend", "aria-label": "Legend" },
    item("fake", "bar up: leans fake"), item("genuine", "bar down: leans genuine"),
    item("abstained", "hatched: not judged"), item("lost", "dotted: lost, never arrived"));
}

export function empty(text) {
  return h("p", { class: "empty" }, text);
}
