// A part of the page with a heading, which loads, shows, or says why it cannot.
import { Unanswered } from "./api.js";
import { button, h, replace } from "./dom.js";

/**
 * A section: `element`, and `body` within it. `tools` are put beside the heading.
 */
export class Card {
  constructor(id, title, { tools = [], note = null, wide = false } = {}) {
    this.heading = h("h2", { id: `${id}-title` }, title);
    this.note = h("p", { class: "note" }, note);
    this.note.hidden = note === null;
    this.body = h("div", { class: "card-body" }, skeleton());
    this.element = h(
      "section",
      { id, class: wide ? "card wide" : "card", "aria-labelledby": `${id}-title`, "aria-busy": "true" },
      h("div", { class: "card-head" }, this.heading, h("div", { class: "tools" }, ...tools)),
      this.note,
      this.body,
    );
    this.empty = true;
  }

  /** Says something under the heading, or nothing. */
  say(note) {
    this.note.textContent = note ?? "";
    this.note.hidden = !note;
  }

  /**
   * Shows what a promise brings, by `draw(body, answer)`. What was there before stays until then,
   * and stays if the promise fails, with a word about that; `again` is what a button then calls.
   * Done when one of these has happened.
   */
  async show(promise, draw, again) {
    this.element.setAttribute("aria-busy", "true");
    try {
      const answer = await promise;
      this.trouble?.remove();
      draw(this.body, answer);
      this.empty = false;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.trouble?.remove();
      this.trouble = problem(error, again);
      if (this.empty) replace(this.body);
      this.body.before(this.trouble);
      if (!(error instanceof Unanswered)) throw error;
    }
    this.element.setAttribute("aria-busy", "false");
  }
}

/** Keeps what cards show of one context from standing under the heading of another that cannot be loaded. */
export function forgetOthers(cards, before, now) {
  const of = ({ market, range, address }) => [market.address, range.title, range.zone, address.home].join();
  if (before && of(before) !== of(now)) for (const card of Object.values(cards)) card.empty = true;
}

/** Grey lines where something is about to be. */
export function skeleton(lines = 4) {
  return h(
    "div",
    { class: "skeleton", "aria-hidden": "true" },
    Array.from({ length: lines }, () => h("div", { class: "bone" })),
  );
}

/** Why something cannot be shown, and a way to try it again. */
export function problem(error, again) {
  const said = error instanceof Unanswered ? [error.message, error.remedy] : ["a fault of this page", "load it again"];
  return h(
    "div",
    { class: "problem" },
    h("p", {}, h("strong", {}, "This cannot be shown: "), `${said[0]}; ${said[1]}.`),
    again && button("Try again", again, { class: "button small" }),
  );
}

/** What is said where there is nothing, and why. */
export function nothing(title, text, ...more) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), text && h("p", {}, text), more);
}
