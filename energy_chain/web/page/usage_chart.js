// What was offered and needed over time, and how much of it was matched: bars up and bars down.
import { h, replace } from "./dom.js";
import { counted, exactKwh, kwh } from "./format.js";
import { clock, dateOf, addDays, sayDate, startOf } from "./zones.js";

const MARGIN = { top: 14, right: 6, bottom: 26, left: 46 };
const HEIGHT = 280;
const SHORT = { day: "numeric", month: "short" };

/**
 * Draws bars for buckets {start, end, up, upMatched, down, downMatched} of a range into a place:
 * up what was offered, down what was needed, the part that was matched in its own colour.
 * `picked(bucket)` is called when one is clicked. `words` says what up and down are.
 */
export function drawUsage(place, width, { buckets, range, words, picked }) {
  const d3 = globalThis.d3;
  const top = d3.max(buckets, (b) => b.up) || 0;
  const bottom = d3.max(buckets, (b) => b.down) || 0;
  const x = d3.scaleLinear([range.from, range.to], [MARGIN.left, width - MARGIN.right]);
  const most = Math.max(top, bottom, 1);
  // A side with little in it still has room for its label.
  const y = d3.scaleLinear(
    [Math.max(top, most * 0.15), -Math.max(bottom, most * 0.15)],
    [MARGIN.top, HEIGHT - MARGIN.bottom],
  );
  const svg = d3
    .create("svg")
    .attr("viewBox", `0 0 ${width} ${HEIGHT}`)
    .attr("width", width)
    .attr("height", HEIGHT)
    .attr("role", "img")
    .attr("aria-label", said(buckets, words, range));

  const lines = svg.append("g").attr("class", "axis");
  for (const value of y.ticks(6)) {
    const at = Math.round(y(value)) + 0.5;
    lines
      .append("line")
      .attr("class", value === 0 ? "zero" : null)
      .attr("x1", MARGIN.left)
      .attr("x2", width - MARGIN.right)
      .attr("y1", at)
      .attr("y2", at);
    lines
      .append("text")
      .attr("x", MARGIN.left - 6)
      .attr("y", at)
      .attr("dy", "0.32em")
      .attr("text-anchor", "end")
      .text(kwhTick(Math.abs(value), most));
  }
  const ticks = ticksOf(range, width);
  for (const { at, text } of ticks) {
    lines
      .append("line")
      .attr("class", "tick")
      .attr("x1", x(at))
      .attr("x2", x(at))
      .attr("y1", HEIGHT - MARGIN.bottom)
      .attr("y2", HEIGHT - MARGIN.bottom + 5);
    lines.append("text").attr("x", x(at)).attr("y", HEIGHT - 7).attr("text-anchor", "middle").text(text);
  }

  const zero = y(0);
  const bars = svg.append("g").attr("class", "bars");
  const narrow = (b) => {
    const from = x(Date.parse(b.start));
    const size = x(Date.parse(b.end)) - from;
    const gap = size > 6 ? Math.min(size * 0.18, 4) : size > 2.5 ? 0.6 : 0;
    return [from + gap / 2, Math.max(size - gap, 0.6)];
  };
  const bar = (className, low, high) =>
    bars
      .append("g")
      .attr("class", className)
      .selectAll("rect")
      .data(buckets.filter((b) => high(b) !== low(b)))
      .join("rect")
      .attr("x", (b) => narrow(b)[0])
      .attr("width", (b) => narrow(b)[1])
      .attr("y", (b) => Math.min(y(low(b)), y(high(b))))
      .attr("height", (b) => Math.abs(y(high(b)) - y(low(b))));
  bar("sun", (b) => b.upMatched, (b) => b.up);
  bar("match", () => 0, (b) => b.upMatched);
  bar("match", (b) => -b.downMatched, () => 0);
  bar("need", (b) => -b.down, (b) => -b.downMatched);
  svg
    .append("line")
    .attr("class", "zero-line")
    .attr("x1", MARGIN.left)
    .attr("x2", width - MARGIN.right)
    .attr("y1", zero)
    .attr("y2", zero);

  const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const cursor = svg.append("rect").attr("class", "cursor").attr("y", MARGIN.top).attr("height", HEIGHT - MARGIN.top - MARGIN.bottom).attr("visibility", "hidden");
  const under = (event) => {
    const at = x.invert(d3.pointer(event, svg.node())[0]);
    return buckets.find((b) => Date.parse(b.start) <= at && at < Date.parse(b.end));
  };
  svg
    .on("pointermove", (event) => {
      const bucket = under(event);
      cursor.attr("visibility", bucket ? "visible" : "hidden");
      tip.hidden = !bucket;
      if (!bucket) return;
      const [from, size] = [x(Date.parse(bucket.start)), x(Date.parse(bucket.end)) - x(Date.parse(bucket.start))];
      cursor.attr("x", from).attr("width", size);
      replace(tip, tipOf(bucket, words, range));
      const left = from + size / 2 > width / 2 ? from - tip.offsetWidth - 10 : from + size + 10;
      tip.style.left = `${Math.max(0, Math.min(left, width - tip.offsetWidth))}px`;
    })
    .on("pointerleave", () => {
      cursor.attr("visibility", "hidden");
      tip.hidden = true;
    })
    .on("click", (event) => {
      const bucket = under(event);
      if (bucket) picked(bucket);
    });
  replace(place, key(words, range.by === "period" ? lengthOf(buckets[0]) : range.by), svg.node(), tip);
}

function kwhTick(wh, most) {
  if (wh === 0) return "0";
  const amount = wh / 1000;
  return most >= 10_000 ? amount.toLocaleString("en-GB") : String(Math.round(amount * 1000) / 1000);
}

/** A bucket's time in words. */
export function sayBucket(bucket, range) {
  if (range.by === "day") {
    return sayDate(dateOf(bucket.start, range.zone), { weekday: "short", ...SHORT });
  }
  const times = `${clock(bucket.start, range.zone)}–${clock(bucket.end, range.zone)}`;
  return range.view === "day" ? times : `${sayDate(dateOf(bucket.start, range.zone), { weekday: "short", ...SHORT })}, ${times}`;
}

function tipOf(bucket, words, range) {
  const line = (className, name, wh) =>
    h("tr", {}, h("th", { scope: "row" }, h("span", { class: `dot ${className}` }), name), h("td", {}, exactKwh(wh)));
  return [
    h("p", { class: "tip-title" }, sayBucket(bucket, range)),
    h(
      "table",
      {},
      line("sun", words.up, bucket.up),
      line("match", words.upMatched, bucket.upMatched),
      line("need", words.down, bucket.down),
      bucket.downMatched === bucket.upMatched && words.upMatched === words.downMatched
        ? null
        : line("match", words.downMatched, bucket.downMatched),
    ),
  ];
}

/** How long a bucket is, in words. */
function lengthOf({ start, end }) {
  const minutes = Math.round((Date.parse(end) - Date.parse(start)) / 60_000);
  if (minutes % 60) return minutes === 1 ? "minute" : counted(minutes, "minute");
  return minutes === 60 ? "hour" : counted(minutes / 60, "hour");
}

function key(words, length) {
  const entry = (className, text) => h("li", {}, h("span", { class: `dot ${className}` }), text);
  return h(
    "ul",
    { class: "key" },
    entry("sun", `${words.up}, not matched`),
    entry("match", words.matched),
    entry("need", `${words.down}, not matched`),
    h("li", { class: "unit" }, `kWh in each ${length}`),
  );
}

function said(buckets, words, range) {
  const sum = (name) => buckets.reduce((total, b) => total + b[name], 0);
  return `Bars for ${range.title}: ${words.up} ${kwh(sum("up"))} kWh, ${words.down} ${kwh(sum("down"))} kWh. The table has the numbers.`;
}

function ticksOf({ view, first, next, from, to, zone }, width) {
  const ticks = [];
  if (view === "day") {
    const hours = width < 520 ? 6 : 3;
    for (let at = from; at <= to; at += 3_600_000) {
      const text = at === to ? "24:00" : clock(at, zone);
      if (Number(text.slice(0, 2)) % hours === 0 && text.endsWith(":00")) ticks.push({ at, text });
    }
    return ticks.filter(({ at }) => at > from || width >= 520).filter(({ at }) => at < to);
  }
  const step = view === "week" ? 1 : width < 520 ? 5 : 2;
  const words = view === "week" ? (width < 520 ? { weekday: "short" } : { weekday: "short", day: "numeric" }) : { day: "numeric" };
  for (let date = first, i = 0; date < next; date = addDays(date, 1), i += 1) {
    const [begins, ends] = [startOf(date, zone), startOf(addDays(date, 1), zone)];
    if (i % step === 0) ticks.push({ at: (begins + ends) / 2, text: sayDate(date, words) });
  }
  return ticks;
}
