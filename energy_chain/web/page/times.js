// What was produced and needed over time, as a chart and as a table.
import { go } from "./address.js";
import { h, replace } from "./dom.js";
import { exactKwh } from "./format.js";
import { drawUsage, sayBucket } from "./usage_chart.js";

/** A column of energies. */
export function energy(name, text) {
  return { name, text, number: true, value: (row) => row[name], cell: (row) => exactKwh(row[name]) };
}

/**
 * Shows buckets of usage in `body`. `names` says which of their energies go up and down, and which
 * parts of these were matched; `words` how these are called; `leads(bucket)` is the address behind a
 * bucket; `columns` are those of the table after the time; `empty` is shown where there is nothing.
 */
export function showTimes(picture, body, buckets, { names, words, range, leads, columns, caption, empty }) {
  const bars = buckets.map((b) => ({
    start: b.start,
    end: b.end,
    up: b[names.up],
    upMatched: b[names.upMatched],
    down: b[names.down],
    downMatched: b[names.downMatched],
  }));
  picture.button.hidden = !bars.some((b) => b.up || b.down);
  if (picture.button.hidden) {
    replace(body, empty);
    return;
  }
  if (picture.element.parentNode !== body) replace(body, picture.element);
  picture.show(
    (place, width) => drawUsage(place, width, { buckets: bars, range, words, picked: (bucket) => go(leads(bucket)) }),
    [
      { name: "time", text: "Time", cell: (row) => h("a", { href: leads(row), "data-go": true }, sayBucket(row, range)) },
      ...columns,
    ],
    buckets.filter((b) => b[names.up] || b[names.down]),
    caption,
  );
}
