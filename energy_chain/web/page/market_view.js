// The neighbourhood: its numbers, its flows, its homes, and what happens now.
import { all, get } from "./api.js";
import { Card, forgetOthers, nothing } from "./card.js";
import { h, replace } from "./dom.js";
import { exactKwh, kwh } from "./format.js";
import { drawFlow, flowRows } from "./flow_chart.js";
import { bucketHref, homeLink, link, periodLink } from "./links.js";
import { makeHomes } from "./homes.js";
import { drawLatest, drawQueues } from "./now.js";
import { Picture } from "./picture.js";
import { asked } from "./ranges.js";
import { transactionColumns } from "./rows.js";
import { switches } from "./switches.js";
import { table } from "./table.js";
import { marketTiles } from "./tiles.js";
import { energy, showTimes } from "./times.js";
import { moment, span } from "./zones.js";

const WORDS = { up: "Produced", upMatched: "Matched", down: "Needed", downMatched: "Matched", matched: "Matched" };
const LATEST = 8;
const LATEST_TRANSACTIONS = 12;

/** The view: `element`, `title(context)`, and `load(context, signal)`, which shows the range and is done when it has. */
export function makeMarketView() {
  let context = null;
  let signal = null;
  /** Whether the flows of the whole range were chosen; null until somebody chooses. */
  let chosen = null;
  let seen = null;
  const homes = makeHomes();
  const flowPicture = new Picture("the flows");
  const usagePicture = new Picture("the energies over time");
  const spanOf = switches("flow-of", "Flows of", [["now", "Now"], ["range", "Day"]], (value) => {
    chosen = value === "range";
    loadFlow();
  });
  spanOf.choose("now");
  const queues = h("div");
  const cards = {
    tiles: new Card("numbers", "In numbers"),
    flow: new Card("flow", "Who supplies whom", { tools: [spanOf.element, flowPicture.button], note: "" }),
    now: new Card("now", "Happening now"),
    usage: new Card("usage", "Over time", { tools: [usagePicture.button], wide: true }),
    homes: new Card("homes", "Homes", { tools: [homes.search], note: "Energies in kWh, after each home's own use." }),
    transactions: new Card("transactions", "Latest transactions"),
  };
  cards.tiles.element.classList.add("bare", "wide");
  cards.tiles.heading.classList.add("hidden");
  cards.now.body.before(queues);
  const element = h("div", { class: "grid" }, Object.values(cards).map((card) => card.element));

  function loadTotals() {
    const { path, range } = context;
    const usage = get(path("usage"), { ...asked(range), by: range.by, timezone: range.zone }, signal);
    return Promise.all([
      cards.tiles.show(usage, (body, { totals }) => replace(body, marketTiles(totals)), loadTotals),
      cards.usage.show(usage, (body, { buckets }) => drawTimes(body, buckets), loadTotals),
    ]);
  }

  function drawTimes(body, buckets) {
    const { range } = context;
    showTimes(usagePicture, body, buckets, {
      names: { up: "offered_wh", upMatched: "matched_wh", down: "needed_wh", downMatched: "matched_wh" },
      words: WORDS,
      range,
      leads: (bucket) => bucketHref(bucket, context),
      columns: [energy("offered_wh", "Produced"), energy("needed_wh", "Needed"), energy("matched_wh", "Matched")],
      caption: `Produced, needed and matched, ${range.title}`,
      empty: noOrders(context),
    });
  }

  function loadFlow() {
    const { path, range } = context;
    const top = innerWidth < 700 ? 6 : 12;
    const ask = async (ofRange) => ({ ofRange, flow: await get(path("flow"), ofRange ? { ...asked(range), top } : { top }, signal) });
    // In a period in which nothing is matched yet nobody supplies anybody: the whole range tells more.
    const flows = ask(chosen ?? false).then((first) => (chosen === null && isOnlyWaiting(first.flow) ? ask(true) : first));
    return cards.flow.show(
      flows,
      (body, { flow, ofRange }) => {
        spanOf.choose(ofRange ? "range" : "now");
        drawFlows(body, flow, ofRange);
      },
      loadFlow,
    );
  }

  function drawFlows(body, flow, ofRange) {
    const { range } = context;
    const when = flow.period ?? flow.range;
    const some = flow.producers.length + flow.consumers.length > 0;
    if (ofRange) cards.flow.say(range.title);
    else if (some && when?.start) {
      cards.flow.say([moment(when.start, range.zone), span(when.start, when.end, range.zone).split("–")[1]].join("–"));
    } else cards.flow.say(null);
    flowPicture.button.hidden = !some;
    if (!some) {
      replace(body, ofRange ? noOrders(context) : nothing("No orders yet", "As soon as meters post what they have to spare or need, it flows here."));
      return;
    }
    if (flowPicture.element.parentNode !== body) replace(body, flowPicture.element);
    flowPicture.show(
      (place, width) => drawFlow(place, width, flow),
      [
        { name: "home", text: "Home", cell: ({ home }) => (home.home ? homeLink(home.home) : home.name) },
        { name: "does", text: "Does", cell: (row) => row.does },
        { name: "what", text: "And of it is", cell: (row) => row.what },
        { name: "wh", text: "Energy", number: true, cell: (row) => exactKwh(row.wh) },
      ],
      flowRows(flow),
      "Energy flows",
    );
  }

  function loadNow() {
    const { path, market, range } = context;
    drawQueues(queues, market.queues);
    const period = market.current_period;
    cards.now.say(null);
    if (period?.number) {
      cards.now.note.hidden = false;
      replace(cards.now.note, "Period ", periodLink(period.number, span(period.start, period.end, range.zone)), ", as of the latest block");
    }
    return cards.now.show(
      get(path("matches"), { order: "latest", limit: LATEST }, signal),
      (body, { matches }) => (seen = drawLatest(body, matches, range.zone, seen)),
      loadNow,
    );
  }

  function loadHomes() {
    const { path, range } = context;
    return cards.homes.show(all(path("meters"), "meters", asked(range), signal), homes.draw, loadHomes);
  }

  function loadTransactions() {
    const { path, range } = context;
    return cards.transactions.show(
      get(path("transactions"), { limit: LATEST_TRANSACTIONS }, signal),
      (body, { transactions }) =>
        replace(
          body,
          transactions.length
            ? [
                table(transactionColumns(range.zone, true), transactions, { caption: "The latest transactions" }),
                h("p", { class: "more" }, link({ show: "transactions" }, `All of ${range.title}`, { class: "button small" })),
              ]
            : nothing("No transactions yet", "Every call of the contract that changes something will stand here, with what it cost."),
        ),
      loadTransactions,
    );
  }

  return {
    element,
    title: () => "The neighbourhood",
    load(newContext, newSignal) {
      forgetOthers(cards, context, newContext);
      if (context && context.market.address !== newContext.market.address) seen = null;
      context = newContext;
      signal = newSignal;
      spanOf.name("range", { day: "Day", week: "Week", month: "Month" }[context.range.view]);
      return Promise.all([loadTotals(), loadFlow(), loadNow(), loadHomes(), loadTransactions()]);
    },
  };
}

function isOnlyWaiting({ producers, consumers, matched_wh: matched }) {
  return producers.length + consumers.length > 0 && !matched;
}

function noOrders({ market, range }) {
  const { totals } = market;
  if (!totals.requests && !totals.releases) {
    return nothing("No orders yet", "Nothing has been posted to this market. Orders appear here with the block that brings them.");
  }
  return nothing(
    `Nothing was traded in this ${range.view}`,
    `${kwh(totals.matched_wh)} kWh were matched at other times.`,
    link({ at: null }, "Go to the latest", { class: "button small" }),
  );
}
