// Numbers and texts for people. Energies come in whole Wh, gas prices and costs in wei.

const LOCALE = "en-GB";
const number = (digits, least = digits) =>
  new Intl.NumberFormat(LOCALE, { maximumFractionDigits: digits, minimumFractionDigits: least });
const WHOLE = number(0);
const PERCENT = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 1 });
const FIGURES = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 4 });
const DECIMALS = [0, 1, 2, 3].map((digits) => number(digits));
const NONE = "–";

/** Wh as kWh, four or more figures of it: 0.117, 12.34, 1,234. */
export function kwh(wh) {
  if (wh === null || wh === undefined) return NONE;
  const amount = wh / 1000;
  const digits = amount >= 1000 ? 0 : amount >= 100 ? 1 : amount >= 10 ? 2 : 3;
  return amount === 0 ? "0" : DECIMALS[digits].format(amount);
}

/** Wh as kWh, exactly. */
export function exactKwh(wh) {
  if (wh === null || wh === undefined) return NONE;
  return wh === 0 ? "0 kWh" : `${DECIMALS[3].format(wh / 1000)} kWh`;
}

/** How many. */
export function count(value) {
  return value === null || value === undefined ? NONE : WHOLE.format(value);
}

/** How many of what: 1 match, 2 matches. */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A share of 1. */
export function percent(share) {
  return share === null || share === undefined ? NONE : PERCENT.format(share);
}

/** Wei, a text of digits, in ether or gwei. */
export function wei(text) {
  if (text === null || text === undefined) return NONE;
  const amount = Number(text);
  if (amount === 0) return "0 ether";
  if (amount >= 1e15) return `${FIGURES.format(amount / 1e18)} ether`;
  return amount >= 1e5 ? `${FIGURES.format(amount / 1e9)} gwei` : `${WHOLE.format(amount)} wei`;
}

/** The ends of a hash or an address. */
export function short(hash) {
  return hash ? `${hash.slice(0, 6)}…${hash.slice(-4)}` : NONE;
}
