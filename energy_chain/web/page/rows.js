// Orders, matches and transactions as tables.
import { h } from "./dom.js";
import { count, exactKwh, wei } from "./format.js";
import { homeLink, matchLink, periodLink, transactionLink } from "./links.js";
import { clock, moment } from "./zones.js";

const when = (row, zone) => h("time", { datetime: row.time }, moment(row.time, zone));
const period = (row, zone) =>
  row.period ? periodLink(row.period, row.period_start ? clock(row.period_start, zone) : count(row.period)) : "–";

/** The column that tells requests from releases. */
export const kindColumn = { name: "kind", text: "Kind", cell: (row) => row.kind };

/** Columns of orders. */
export function orderColumns(zone, withHome = true) {
  return [
    { name: "time", text: "Posted", cell: (row) => when(row, zone) },
    withHome && { name: "home", text: "Home", cell: (row) => homeLink(row.meter) },
    { name: "energy", text: "kWh", number: true, cell: (row) => exactKwh(row.energy_wh).replace(" kWh", "") },
    { name: "matched", text: "Matched", number: true, cell: (row) => exactKwh(row.matched_wh).replace(" kWh", "") },
    { name: "state", text: "State", cell: (row) => h("span", { class: `pill ${row.state === "matched" ? "good" : "soft"}` }, row.state) },
    { name: "period", text: "Period", cell: (row) => period(row, zone) },
    { name: "transaction", text: "Transaction", cell: (row) => transactionLink(row.transaction) },
  ].filter(Boolean);
}

/** Columns of matches. */
export function matchColumns(zone) {
  return [
    { name: "index", text: "Match", cell: (row) => matchLink(row.index) },
    { name: "time", text: "Written", cell: (row) => when(row, zone) },
    { name: "producer", text: "From", cell: (row) => homeLink(row.producer) },
    { name: "consumer", text: "To", cell: (row) => homeLink(row.consumer) },
    { name: "energy", text: "kWh", number: true, cell: (row) => exactKwh(row.energy_wh).replace(" kWh", "") },
    { name: "drawn", text: "Drawn", number: true, cell: (row) => exactKwh(row.drawn_wh).replace(" kWh", "") },
    { name: "transaction", text: "Transaction", cell: (row) => transactionLink(row.transaction) },
  ];
}

/** Columns of transactions; few ones where there is little room. */
export function transactionColumns(zone, few = false) {
  return [
    { name: "hash", text: "Transaction", cell: (row) => transactionLink(row.hash) },
    few
      ? { name: "time", text: "Time", cell: (row) => h("time", { datetime: row.time, title: moment(row.time, zone, true) }, clock(row.time, zone)) }
      : { name: "time", text: "Time", cell: (row) => when(row, zone) },
    few ? null : { name: "block", text: "Block", number: true, cell: (row) => count(row.block) },
    { name: "gas", text: "Gas", number: true, cell: (row) => count(row.gas_used) },
    { name: "cost", text: "Cost", number: true, cell: (row) => wei(row.cost_wei) },
  ].filter(Boolean);
}
