// The days, weeks and months that the picker offers.
import { addDays, addMonths, dateOf, sayDate, sayDates, startOf } from "./zones.js";

const MOST_BARS = 300;
export const VIEWS = ["day", "week", "month"];

/**
 * The day, week or month around a date: its first date, the one after its last, the instants at
 * which these begin, what its buckets are (`by`), and its name. `recorded` is from when to when
 * there is anything.
 */
export function rangeOf(view, date, zone, periodLength, recorded = null) {
  const first = firstOf(view, date);
  const next = view === "day" ? addDays(first, 1) : view === "week" ? addDays(first, 7) : addMonths(first, 1);
  const [from, to] = [startOf(first, zone), startOf(next, zone)];
  return {
    view,
    first,
    next,
    zone,
    from,
    to,
    by: bucketsOf(view, periodLength, recorded ? Math.min(to, recorded.to) - Math.max(from, recorded.from) : to - from),
    title: titleOf(view, first, next),
  };
}

function firstOf(view, date) {
  if (view === "month") return `${date.slice(0, 8)}01`;
  if (view === "day") return date;
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
  return addDays(date, -((weekday + 6) % 7));
}

function bucketsOf(view, periodLength, milliseconds) {
  if (view === "month") return "day";
  // More bars than pixels would say nothing.
  return view === "day" && periodLength > 0 && milliseconds / 1000 / periodLength <= MOST_BARS ? "period" : "hour";
}

function titleOf(view, first, next) {
  if (view === "month") return sayDate(first, { month: "long", year: "numeric" });
  if (view === "day") {
    return sayDate(first, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
  }
  return sayDates(first, addDays(next, -1), { day: "numeric", month: "long", year: "numeric" });
}

/** The date that the picker goes to, so many days, weeks or months away. */
export function moved(view, date, steps) {
  return view === "month" ? addMonths(date, steps) : addDays(date, view === "week" ? 7 * steps : steps);
}

/** The date of the latest block; of today before the first was read. */
export function latestDate(market, zone) {
  return dateOf(market.as_of.time ?? Date.now(), zone);
}

/** A range as the API takes it. */
export function asked(range) {
  return { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
}
