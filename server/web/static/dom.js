// Elements without markup in strings: text stays text, whatever it holds.

/**
 * Make an element. Attributes that are functions are listeners (`onclick`), those that are null or
 * false are left out, and `true` is an attribute without a value. Children are nodes or text; null
 * and false are left out, arrays are flattened.
 *
 *     build("button", { type: "button", onclick: start, disabled: !ready }, t("lobbies.start"))
 */
export function build(tag, attributes = {}, ...children) {
  return fill(setAttributes(document.createElement(tag), attributes), children);
}

/** The same for SVG. */
export function buildSvg(tag, attributes = {}, ...children) {
  return fill(setAttributes(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes), children);
}

function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

function fill(element, children) {
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// A button that is replaced between press and release is never clicked. While something is pressed,
// what contains it is therefore left alone; the newest replacement happens right after.
let pressed = null;
const postponed = new Map();

function press(event) {
  if (event.type === "pointerdown" || event.key === " ") pressed = event.target;
}

function release(event) {
  if (event.type === "keyup" && event.key !== " ") return;
  setTimeout(() => {
    pressed = null;
    const waiting = [...postponed];
    postponed.clear();
    for (const [element, children] of waiting) replace(element, ...children);
  });
}

for (const type of ["pointerdown", "keydown"]) addEventListener(type, press, true);
for (const type of ["pointerup", "pointercancel", "keyup"]) addEventListener(type, release, true);

/** Put other children into an element. Whatever had the focus keeps it, if it has a `data-key` that is there again. */
export function replace(element, ...children) {
  if (pressed && element.contains(pressed)) {
    postponed.set(element, children);
    return element;
  }
  postponed.delete(element);
  const focused = element.contains(document.activeElement) ? document.activeElement.closest("[data-key]") : null;
  element.replaceChildren();
  fill(element, children);
  if (focused) element.querySelector(`[data-key="${CSS.escape(focused.dataset.key)}"]`)?.focus({ preventScroll: true });
  return element;
}

/** Text in which `code` is marked up. */
export function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? build("code", {}, part) : part));
}

/** A label with its field below; `field` is an input, select or textarea with an id. */
export function labelled(label, field, hint) {
  if (hint) field.setAttribute("aria-describedby", `${field.id}-hint`);
  return build("p", { class: "field" },
    build("label", { for: field.id }, label), field,
    hint && build("small", { id: `${field.id}-hint`, class: "small" }, hint));
}

/** Read a public address. */
export async function getJson(address) {
  const response = await fetch(address, { signal: AbortSignal.timeout(30_000) });
  if (!response.ok) throw new Error(`${address} answered ${response.status}`);
  return response.json();
}
