// Elements of the document, made and replaced.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. In `props`, `on` maps events to listeners, `data` is its dataset, and the rest
 * are attributes; null, undefined and false leave an attribute out, true makes it empty. Children
 * are nodes, texts, or lists of these; null and false are left out.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  dress(element, props);
  element.append(...shown(children));
  return element;
}

/** Makes an element of SVG, as `h` does one of HTML. */
export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  dress(element, props);
  element.append(...shown(children));
  return element;
}

function dress(element, { on = {}, data = {}, ...attributes }) {
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  for (const [name, value] of Object.entries(data)) element.dataset[name] = value;
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
}

function shown(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/**
 * Replaces what is in an element. What had the focus has it again where its like is back: an
 * element of the same `data-key`, or else a link to the same place.
 */
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) && document.activeElement !== element;
  const wanted = focused ? likeness(document.activeElement) : null;
  element.replaceChildren(...shown(children));
  if (wanted) element.querySelector(wanted)?.focus({ preventScroll: true });
}

function likeness(element) {
  if (element.dataset.key) return `[data-key="${CSS.escape(element.dataset.key)}"]`;
  const href = element.getAttribute("href");
  return href ? `[href="${CSS.escape(href)}"]` : null;
}

/** A button. */
export function button(text, click, props = {}) {
  return h("button", { type: "button", class: "button", on: { click }, ...props }, text);
}

/** A button that copies a text. */
export function copyButton(text, what) {
  const made = button("Copy", copy, { class: "button small", "aria-label": `Copy ${what}` });
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      made.textContent = "Copied";
    } catch {
      made.textContent = "Select it and copy";
    }
    setTimeout(() => (made.textContent = "Copy"), 2000);
  }
  return made;
}
