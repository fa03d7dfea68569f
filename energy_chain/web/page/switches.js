// One of several, chosen by buttons in a row.
import { h } from "./dom.js";

/**
 * A row of radio buttons: `options` are [value, text] pairs. `element` is the row, and `choose`
 * sets the choice without calling `chosen`.
 */
export function switches(name, label, options, chosen) {
  const inputs = new Map();
  const element = h(
    "fieldset",
    { class: "switches" },
    h("legend", { class: "hidden" }, label),
    options.map(([value, text]) => {
      const input = h("input", { type: "radio", name, value, on: { change: () => chosen(value) } });
      inputs.set(value, input);
      return h("label", {}, input, h("span", {}, text));
    }),
  );
  return {
    element,
    choose: (value) => {
      const input = inputs.get(value);
      if (input) input.checked = true;
    },
    name: (value, text) => {
      inputs.get(value).nextSibling.textContent = text;
    },
  };
}
