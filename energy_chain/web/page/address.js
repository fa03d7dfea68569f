// What the page shows, as its address says it: `market`, `view`, `at`, `zone`, `home` and `show`.
import { VIEWS } from "./ranges.js";
import { here, isDate, isZone } from "./zones.js";

const SHOWN =
  /^(requests|releases|matches|transactions|audit|match-\d{1,15}|period-\d{1,15}|tx-0x[0-9a-fA-F]{64})$/;
let listener = () => {};

/** What the address says; what cannot be understood is left out. */
export function read(search = location.search) {
  const said = new URLSearchParams(search);
  const valid = (name, test, otherwise = null) => (test(said.get(name) ?? "") ? said.get(name) : otherwise);
  return {
    market: valid("market", (text) => /^0x[0-9a-fA-F]{40}$/.test(text)),
    view: valid("view", (text) => VIEWS.includes(text), "day"),
    at: valid("at", isDate),
    zone: valid("zone", (text) => text !== "" && isZone(text), here),
    home: valid("home", (text) => /^[1-9]\d{0,4}$/.test(text)),
    show: valid("show", (text) => SHOWN.test(text)),
  };
}

/** The address that says the same but for some changes; null leaves a part out. */
export function hrefOf(changes) {
  const said = { ...read(), ...changes };
  const parts = new URLSearchParams();
  if (said.market) parts.set("market", said.market);
  if (said.view !== "day") parts.set("view", said.view);
  if (said.at) parts.set("at", said.at);
  // A date is one of a zone: whoever is sent the address may live in another.
  if (said.zone && (said.at || said.zone !== here)) parts.set("zone", said.zone);
  if (said.home) parts.set("home", said.home);
  if (said.show) parts.set("show", said.show);
  return `?${parts}`;
}

/** Goes to another address of this page. */
export function go(href, replace = false) {
  const before = read();
  history[replace ? "replaceState" : "pushState"](null, "", href);
  listener(before, read());
}

/** Calls back, with what was said before and what now, whenever the address changes. */
export function onChange(callback) {
  let last = read();
  listener = (before, now) => {
    last = now;
    callback(before, now);
  };
  addEventListener("popstate", () => listener(last, read()));
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-go]");
    const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (!link || !plain) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
}
