// Which day, week or month is looked at, and in which time zone.
import { go, hrefOf, read } from "./address.js";
import { button, h } from "./dom.js";
import { latestDate, moved } from "./ranges.js";
import { switches } from "./switches.js";
import { dateOf, here, isDate } from "./zones.js";

const KEYS = { d: "day", w: "week", m: "month" };

/** The row with the picker: `element`, and `draw(market, range)`. */
export function makePicker() {
  let market = null;
  let range = null;
  const views = switches(
    "view",
    "Look at a day, a week or a month",
    [["day", "Day"], ["week", "Week"], ["month", "Month"]],
    (view) => go(hrefOf({ view })),
  );
  const before = button("‹", () => step(-1), { class: "button square" });
  const after = button("›", () => step(1), { class: "button square" });
  const date = h("input", { type: "date", "aria-label": "Go to the date", on: { change: picked } });
  const latest = button("Latest", () => go(hrefOf({ at: null })), { title: "The latest day that there is (T)" });
  const zones = h("select", { "aria-label": "Time zone", on: { change: () => go(hrefOf({ zone: zones.value })) } });
  fillZones(zones);

  const current = () => read().at ?? latestDate(market, range.zone);
  const step = (by) => {
    if (!range || (by < 0 ? before : after).disabled) return;
    go(hrefOf({ at: moved(range.view, current(), by) }));
  };
  function picked() {
    if (isDate(date.value)) go(hrefOf({ at: date.value }));
  }

  const element = h(
    "div",
    { class: "picker", role: "group", "aria-label": "Period", on: { keydown: letters } },
    views.element,
    h("div", { class: "steps" }, before, date, after, latest),
    h("label", { class: "zone" }, h("span", {}, "Times in"), zones),
  );
  // Letters only in here, arrows wherever they mean nothing else.
  function letters(event) {
    if (event.target.matches("select, input[type=date]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (KEYS[key]) go(hrefOf({ view: KEYS[key] }));
    else if (key === "t") go(hrefOf({ at: null }));
  }
  document.addEventListener("keydown", (event) => {
    const free = [document.body, document.getElementById("main")].includes(event.target);
    if (!free || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });

  return {
    element,
    draw(newMarket, newRange) {
      market = newMarket;
      range = newRange;
      views.choose(range.view);
      const ends = latestDate(market, range.zone);
      const began = market.began ? dateOf(market.began, range.zone) : ends;
      before.setAttribute("aria-label", `The ${range.view} before`);
      after.setAttribute("aria-label", `The ${range.view} after`);
      before.disabled = range.first <= began;
      after.disabled = range.next > ends;
      latest.disabled = read().at === null;
      date.min = began;
      date.max = ends;
      if (date !== document.activeElement) date.value = current();
      zones.value = range.zone;
    },
  };
}

function fillZones(select) {
  const names = new Set([here, "UTC", ...Intl.supportedValuesOf("timeZone"), read().zone]);
  select.append(...[...names].map((name) => h("option", { value: name }, name.replaceAll("_", " "))));
}
