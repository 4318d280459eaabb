// Elements. Text is only ever set as text, so that no name a caller chose becomes markup.
export const $ = (id) => document.getElementById(id);

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Sets text only where it differs: a screen reader hears a status once.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function list(element, items) {
  const focused = document.activeElement;
  if (items.length === element.children.length && items.every((item, i) => element.children[i] === item)) return;
  element.replaceChildren(...items);
  if (element.contains(focused)) focused.focus({ preventScroll: true });
}

export function details(summary, ...children) {
  return h("details", {}, h("summary", {}, summary), ...children);
}

export function table(caption, head, rows) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) =>
        h(i ? "td" : "th", i ? {} : { scope: "row" }, cell)))))));
}

export function bytes(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}
