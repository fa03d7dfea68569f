// The numbers of a range, large.
import { h } from "./dom.js";
import { counted, exactKwh, kwh, percent, wei, count } from "./format.js";
import { link } from "./links.js";

/** Of the whole neighbourhood: `totals` as /usage answers them. */
export function marketTiles(totals) {
  const { offered_wh: offered, needed_wh: needed, matched_wh: matched } = totals;
  return tiles([
    energy("Produced", "sun", offered, counted(totals.requests, "request"), "requests"),
    energy("Needed", "need", needed, counted(totals.releases, "release"), "releases"),
    energy("Matched", "match", matched, counted(totals.matches, "match", "matches"), "matches"),
    share("Self-sufficiency", "need", totals.self_sufficiency, matched, needed, "needed"),
    share("Self-consumption", "sun", totals.self_consumption, matched, offered, "produced"),
    {
      name: "Gas per kWh",
      value: count(totals.gas_per_kwh === null ? null : Math.round(totals.gas_per_kwh)),
      note: [
        totals.gas_per_kwh === null ? null : `${wei(totals.cost_wei_per_kwh)} a kWh matched`,
        `${count(totals.gas)} gas in ${counted(totals.transactions, "transaction")}`,
      ]
        .filter(Boolean)
        .join("; "),
      show: "transactions",
      of: counted(totals.transactions, "transaction"),
    },
  ]);
}

/** Of one home: `totals` as the meter's usage answers them. */
export function homeTiles(totals) {
  const { offered_wh: offered, needed_wh: needed, sold_wh: sold, bought_wh: bought } = totals;
  return tiles([
    energy("Produced", "sun", offered, counted(totals.requests, "request"), "requests"),
    energy("Sold to neighbours", "match", sold, left("to the grid", totals.to_grid_wh, totals.pending_offered_wh), "matches"),
    energy("Needed", "need", needed, counted(totals.releases, "release"), "releases"),
    energy("Bought from neighbours", "match", bought, left("from the grid", totals.from_grid_wh, totals.pending_needed_wh), "matches"),
  ]);
}

function left(where, wh, pending) {
  const waits = pending ? `, ${exactKwh(pending)} waiting` : "";
  return `${exactKwh(wh)} ${where}${waits}`;
}

function energy(name, hue, wh, note, show) {
  return { name, hue, value: kwh(wh), unit: "kWh", note, title: exactKwh(wh), show, of: note };
}

function share(name, hue, part, matched, whole, what) {
  return {
    name,
    hue,
    value: percent(part),
    note: part === null ? `nothing was ${what}` : `${kwh(matched)} of ${kwh(whole)} kWh ${what}`,
    part,
    show: "matches",
    of: "matches",
  };
}

function tiles(all) {
  return h("ul", { class: `tiles of-${all.length}` }, all.map(tile));
}

function tile({ name, hue, value, unit, note, title, part, show, of }) {
  const bar = part === undefined ? null : h("span", { class: "share", "aria-hidden": "true" }, h("span", {}));
  if (bar) bar.firstChild.style.inlineSize = `${Math.round((part ?? 0) * 1000) / 10}%`;
  return h(
    "li",
    { class: `tile ${hue ?? ""}` },
    link(
      { show },
      [
        h("span", { class: "tile-name" }, name),
        h("span", { class: "tile-value", title }, value, unit && h("small", {}, ` ${unit}`)),
        bar,
        h("span", { class: "tile-note" }, note),
        h("span", { class: "hidden" }, `. Look at the ${of.replace(/^[\d,]+ /, "")}`),
      ],
      { class: "tile-link", data: { key: `tile ${name}` } },
    ),
  );
}
