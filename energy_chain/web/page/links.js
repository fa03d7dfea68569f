// Links from a number to what is behind it.
import { hrefOf } from "./address.js";
import { h } from "./dom.js";
import { short } from "./format.js";
import { dateOf } from "./zones.js";

/** A link within the page, to the same place but for some changes. */
export function link(changes, text, props = {}) {
  return h("a", { href: hrefOf(changes), "data-go": true, ...props }, text);
}

/** A link to a home's own view. */
export function homeLink(number, props = {}) {
  if (number === null || number === undefined) return "–";
  return link({ home: String(number), show: null }, `Home ${number}`, props);
}

/** A link to a transaction. */
export function transactionLink(hash) {
  return hash ? link({ show: `tx-${hash}` }, short(hash), { class: "mono", title: hash }) : "–";
}

/** A link to a match. */
export function matchLink(index, text = `#${index}`) {
  return link({ show: `match-${index}` }, text, { "aria-label": `Match ${index}` });
}

/** A link to a period. */
export function periodLink(number, text) {
  return number ? link({ show: `period-${number}` }, text) : text;
}

/** Where a bucket of the chart leads: a month's to its day, a week's to its day, a day's to its period. */
export function bucketHref(bucket, { market, range }) {
  const date = dateOf(bucket.start, range.zone);
  if (range.by !== "period") return range.view === "day" ? hrefOf({ show: "matches" }) : hrefOf({ view: "day", at: date });
  return hrefOf({ show: `period-${Math.floor(Date.parse(bucket.start) / 1000 / market.period_length)}` });
}
