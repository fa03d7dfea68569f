// The calendar of a time zone. Dates are texts, 2026-11-22; instants are milliseconds.

const LOCALE = "en-GB";
const formats = new Map();

function format(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat(LOCALE, { timeZone: zone, ...options }));
  }
  return formats.get(key);
}

/** The zone of whoever looks. */
export const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Whether there is a zone of that name. */
export function isZone(name) {
  try {
    return Boolean(format(name, {}));
  } catch {
    return false;
  }
}

const CLOCK = {
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
};

/** What the clock on the wall shows, as the instant at which it does in UTC. */
function wall(instant, zone) {
  const part = Object.fromEntries(
    format(zone, CLOCK).formatToParts(instant).map(({ type, value }) => [type, Number(value)]),
  );
  return Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
}

/** The date of an instant. */
export function dateOf(instant, zone) {
  return new Date(wall(new Date(instant).getTime(), zone)).toISOString().slice(0, 10);
}

/** The instant at which a date begins. */
export function startOf(date, zone) {
  const midnight = Date.parse(`${date}T00:00:00Z`);
  let instant = midnight - (wall(midnight, zone) - midnight);
  instant = midnight - (wall(instant, zone) - instant);
  // Where the clocks are put forward at midnight, the day begins at one.
  return dateOf(instant, zone) < date ? instant + 3_600_000 : instant;
}

/** The date so many days later. */
export function addDays(date, days) {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

/** The same date so many months later, or the last one of that month. */
export function addMonths(date, months) {
  const [year, month, day] = date.split("-").map(Number);
  const last = new Date(Date.UTC(year, month + months, 0)).getUTCDate();
  const moved = new Date(Date.UTC(year, month - 1 + months, Math.min(day, last)));
  return moved.toISOString().slice(0, 10);
}

/** Whether a text is a date of these centuries. */
export function isDate(text) {
  if (!/^(19[7-9]|2[01]\d)\d-\d\d-\d\d$/.test(text)) return false;
  const instant = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(instant) && new Date(instant).toISOString().startsWith(text);
}

/** A date in words; `options` as Intl takes them. */
export function sayDate(date, options) {
  return format("UTC", options).format(Date.parse(`${date}T00:00:00Z`));
}

/** Two dates in words. */
export function sayDates(first, last, options) {
  const [from, to] = [first, last].map((date) => Date.parse(`${date}T00:00:00Z`));
  return format("UTC", options).formatRange(from, to);
}

/** An instant's time of day. */
export function clock(instant, zone, seconds = false) {
  const options = { hourCycle: "h23", hour: "2-digit", minute: "2-digit" };
  return format(zone, seconds ? { ...options, second: "2-digit" } : options).format(new Date(instant));
}

/** An instant's date and time. */
export function moment(instant, zone, seconds = false) {
  const day = format(zone, { day: "numeric", month: "short", year: "numeric" });
  return `${day.format(new Date(instant))}, ${clock(instant, zone, seconds)}`;
}

/** From when until when, of the same day or not. */
export function span(start, end, zone) {
  return `${clock(start, zone)}–${clock(end, zone)}`;
}
