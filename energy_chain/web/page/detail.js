// What is behind a number, in a drawer: lists, and a match, transaction or period by itself.
import { go, hrefOf } from "./address.js";
import { get, Unanswered } from "./api.js";
import { nothing, problem, skeleton } from "./card.js";
import { button, copyButton, h, replace } from "./dom.js";
import { count, counted, exactKwh, wei } from "./format.js";
import { homeLink, link, transactionLink } from "./links.js";
import { asked } from "./ranges.js";
import { kindColumn, matchColumns, orderColumns, transactionColumns } from "./rows.js";
import { table } from "./table.js";
import { moment, span } from "./zones.js";

const PAGE = 50;

/** The drawer: `show(context)` opens it on what the address says, or closes it. */
export function makeDetail(dialog) {
  let shown = null;
  let stop = null;
  const title = h("h2", { id: "detail-title" });
  const body = h("div", { class: "detail-body" });
  const close = button("Close", () => dialog.close(), { class: "button" });
  dialog.append(h("div", { class: "detail-head" }, title, close), body);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    stop?.abort();
    shown = null;
    if (new URLSearchParams(location.search).has("show")) go(hrefOf({ show: null }));
  });

  return {
    show(context) {
      const { show } = context.address;
      if (!show) {
        if (dialog.open) dialog.close();
        return;
      }
      const asks = `${show} ${context.address.home} ${context.range.from} ${context.range.to} ${context.range.zone}`;
      if (asks === shown) return;
      shown = asks;
      stop?.abort();
      stop = new AbortController();
      const page = pageOf(show);
      title.textContent = page.title(context);
      replace(body, skeleton(6));
      if (!dialog.open) dialog.showModal();
      dialog.scrollTop = 0;
      fill(page, context, stop.signal);
    },
  };

  async function fill(page, context, signal) {
    try {
      replace(body, await page.load(context, signal));
    } catch (error) {
      if (error.name === "AbortError") return;
      replace(body, error.status === 404 ? nothing("It is not in the record", error.message) : problem(error, () => fill(page, context, signal)));
      if (!(error instanceof Unanswered)) throw error;
    }
  }
}

function pageOf(show) {
  if (LISTS[show]) return list(show);
  if (show === "audit") return { title: () => "The audit", load: audit };
  const [kind, id] = [show.slice(0, show.indexOf("-")), show.slice(show.indexOf("-") + 1)];
  return {
    match: { title: () => `Match ${count(Number(id))}`, load: (context, signal) => match(context, id, signal) },
    tx: { title: () => "Transaction", load: (context, signal) => transaction(context, id, signal) },
    period: { title: ({ address }) => `Period ${id}${ofHome(address)}`, load: (context, signal) => period(context, id, signal) },
  }[kind];
}

const LISTS = {
  requests: { name: "Requests", path: "orders", kind: "request", columns: orderColumns },
  releases: { name: "Releases", path: "orders", kind: "release", columns: orderColumns },
  matches: { name: "Matches", path: "matches", columns: matchColumns },
  transactions: { name: "Transactions", path: "transactions", columns: transactionColumns },
};

function list(show) {
  const { name, path, kind, columns } = LISTS[show];
  return {
    title: ({ address, range }) => `${name} of ${range.title}${ofHome(address)}`,
    load: ({ address, range, path: pathOf }, signal) => {
      const meter = show === "transactions" ? null : address.home;
      const params = { ...asked(range), kind, meter, order: "latest", limit: PAGE };
      return rowsIn(pathOf(path), path, params, columns(range.zone), `${name} of ${range.title}, the latest first`, signal);
    },
  };
}

/** A list that goes on when asked to. */
async function rowsIn(path, name, params, columns, caption, signal) {
  const first = await get(path, params, signal);
  const rows = [...first[name]];
  let next = first.next ?? null;
  const place = h("div");
  const draw = () =>
    replace(
      place,
      table(columns, rows, { caption }),
      next !== null && h("p", { class: "more" }, button("Show more", more, { class: "button small", data: { key: "more" } })),
    );
  async function more() {
    const page = await get(path, { ...params, after: next }, signal);
    rows.push(...page[name]);
    next = page.next ?? null;
    draw();
  }
  if (!rows.length) return nothing("There are none", "No block brought any.");
  draw();
  return place;
}

function facts(...pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

function hash(text, what) {
  return [h("span", { class: "mono long" }, text), " ", copyButton(text, what)];
}

async function match({ path, range: { zone } }, index, signal) {
  const { match: one, request, release, confirmations } = await get(path(`matches/${index}`), {}, signal);
  const at = (row) => h("span", { class: "soft" }, `block ${count(row.block)}, ${moment(row.time, zone, true)}`);
  const step = (hue, name, text, row) =>
    h("li", { class: hue }, h("h3", {}, name), h("p", {}, text), h("p", {}, transactionLink(row.transaction), " ", at(row)));
  const order = (row, name, hue) =>
    row
      ? step(hue, name, [homeLink(row.meter), `, ${exactKwh(row.energy_wh)} in all, ${row.signed ? "signed by its meter" : "posted for or by its meter"}`], row)
      : h("li", {}, h("h3", {}, name), h("p", { class: "soft" }, "does not follow from the orders in the record"));
  return [
    h("p", { class: "lead" }, homeLink(one.producer), " sells ", h("b", {}, exactKwh(one.energy_wh)), " to ", homeLink(one.consumer)),
    facts(
      one.period ? ["Period", link({ show: `period-${one.period}` }, one.period_start ? moment(one.period_start, zone) : count(one.period))] : null,
      ["Confirmed as drawn", exactKwh(one.drawn_wh)],
    ),
    h(
      "ol",
      { class: "steps-list" },
      order(request, "The request", "sun"),
      order(release, "The release", "need"),
      step("match", "The match", exactKwh(one.energy_wh), one),
      confirmations.map((each) => step("match", "Confirmed as drawn", exactKwh(each.energy_wh), each)),
    ),
    confirmations.length ? null : h("p", { class: "soft" }, "Nothing of it is confirmed as drawn yet."),
  ];
}

async function transaction({ path, range: { zone } }, id, signal) {
  const { transaction: one, events } = await get(path(`transactions/${id}`), {}, signal);
  return [
    facts(
      ["Hash", hash(one.hash, "the hash")],
      ["Block", `${count(one.block)}, ${moment(one.time, zone, true)}`],
      ["Sender", hash(one.sender, "the sender")],
      ["Gas", `${count(one.gas_used)}${one.gas_price_wei ? ` at ${wei(one.gas_price_wei)}` : ""}`],
      ["Cost", wei(one.cost_wei)],
    ),
    h("h3", {}, `It logged ${counted(events.length, "event")}`),
    events.map((event) =>
      h(
        "details",
        { class: "event", open: events.length <= 3 },
        h("summary", {}, event.name, event.said && h("span", { class: "soft" }, `: ${event.said}`)),
        facts(...Object.entries(event.arguments ?? {}).map(([name, value]) => [name, argument(value)])),
      ),
    ),
  ];
}

function argument(value) {
  if (value !== null && typeof value === "object") return h("pre", { class: "mono", tabindex: "0" }, JSON.stringify(value, null, 1));
  return h("span", { class: "mono long" }, String(value));
}

function ofHome({ home }) {
  return home ? `, home ${home}` : "";
}

async function period({ address: { home: meter }, path, range: { zone } }, number, signal) {
  const [{ period: one }, matches] = await Promise.all([
    get(path(`periods/${number}`), {}, signal),
    rowsIn(path("matches"), "matches", { period: number, meter, order: "latest", limit: PAGE }, matchColumns(zone), "Matches of the period", signal),
  ]);
  const orders = await rowsIn(path("orders"), "orders", { period: number, meter, limit: PAGE }, [kindColumn, ...orderColumns(zone)], "Orders of the period", signal);
  return [
    h("p", { class: "lead" }, `${moment(one.start, zone)} to ${span(one.start, one.end, zone).split("–")[1]}`),
    meter ? null : facts(
      ["Produced", `${exactKwh(one.offered_wh)} in ${counted(one.requests, "request")}`],
      ["Needed", `${exactKwh(one.needed_wh)} in ${counted(one.releases, "release")}`],
      ["Matched", `${exactKwh(one.matched_wh)} in ${counted(one.matches, "match", "matches")}`],
      one.transaction ? ["Opened by", transactionLink(one.transaction)] : null,
    ),
    h("h3", {}, "Matches"),
    matches,
    h("h3", {}, "Orders"),
    orders,
  ];
}

async function audit({ market, range: { zone } }) {
  const { audit: one } = market;
  const said = {
    clean: "The matches follow from the orders by the rules, and the sums that this page shows from the rows of the record.",
    difference: "What is in the record does not follow from its events by the rules.",
    running: "The record is being recomputed by the rules.",
    "not yet": "The record has not been audited since this page was started.",
  }[one?.state ?? "not yet"];
  return [
    h("p", { class: "lead" }, said),
    facts(
      one?.as_of_block != null && ["As of block", count(one.as_of_block)],
      one?.checked_at && ["Checked", moment(one.checked_at, zone, true)],
      one?.said && ["It says", one.said],
    ),
    h("p", {}, "Do it yourself, from any node of the chain and without this record:"),
    command(`energy-chain audit --network URL --contract ${market.address}`),
  ];
}

/** A command to copy. */
export function command(text) {
  return h("div", { class: "command" }, h("code", {}, text), copyButton(text, "the command"));
}
