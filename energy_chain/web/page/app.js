// Joins the parts: what the address asks for is loaded and shown, again with each new block.
import { onChange, read } from "./address.js";
import { get, Unanswered } from "./api.js";
import { drawBanner } from "./banner.js";
import { nothing, problem, skeleton } from "./card.js";
import { makeDetail } from "./detail.js";
import { h, replace } from "./dom.js";
import { counted, count } from "./format.js";
import { drawAbout, drawState } from "./header.js";
import { makeHomeView } from "./home_view.js";
import { link } from "./links.js";
import { listen } from "./live.js";
import { makeMarketView } from "./market_view.js";
import { makePicker } from "./picker.js";
import { latestDate, rangeOf } from "./ranges.js";
import { wireTheme } from "./theme_button.js";

const AGAIN = 5000;
const TOGETHER = 300;
const SAY_EVERY = 10_000;

const at = (id) => document.getElementById(id);
const main = at("main");
const picker = makePicker();
const detail = makeDetail(at("detail"));
const heading = h("h1", {});
const back = h("p", { class: "back" });
const title = h("p", { class: "range", "aria-live": "polite" });
const place = h("div");
const views = { market: makeMarketView(), home: makeHomeView() };

let markets = [];
let market = null;
let context = null;
let connected = false;
let silentSince = null;
let timer = null;
let loading = null;
/** What the server told of last while something was being loaded. */
let missed = null;

function zone() {
  return read().zone;
}

function drawTop() {
  drawBanner(at("banner"), market, zone(), silentSince);
  if (!market) return;
  drawAbout(at("about"), markets, market);
  drawState(at("state"), market, zone(), connected && silentSince === null);
}

/** Stops what is being loaded; what is loaded now is `loading` until `finish` is called with it. */
function begin() {
  clearTimeout(timer);
  timer = null;
  loading?.abort();
  loading = new AbortController();
  return loading;
}

function finish(mine) {
  if (mine !== loading) return;
  loading = null;
  if (missed && !isShown(missed)) soon();
  missed = null;
}

/** Whether the block that the server tells of is the one that is shown. */
function isShown({ address, block }) {
  return market?.address === address && market.as_of.block === block;
}

/** Asks for the market, then shows what the address says of it. */
async function load() {
  const mine = begin();
  try {
    const address = read();
    markets = (await get("markets", {}, mine.signal)).markets;
    const chosen = markets.find((one) => one.address.toLowerCase() === address.market?.toLowerCase()) ?? (address.market ? null : markets[0]);
    market = chosen ? await get(`markets/${chosen.address}`, {}, mine.signal) : null;
    silentSince = null;
    drawTop();
    if (market) await show(mine.signal);
    else replace(main, noMarket(address.market));
  } catch (error) {
    if (error.name === "AbortError") return;
    unanswered(error);
  } finally {
    finish(mine);
  }
}

function unanswered(error) {
  if (!(error instanceof Unanswered)) throw error;
  if (error.status === 0) {
    silentSince ??= Date.now();
    timer = setTimeout(load, AGAIN);
  }
  drawTop();
  if (!market) replace(main, problem(error, load));
}

/** Shows what the address says of the market; done when all of it is there. */
function show(signal) {
  const address = read();
  const date = address.at ?? latestDate(market, address.zone);
  const recorded = { from: Date.parse(market.began), to: Date.parse(market.as_of.time ?? market.began) };
  const range = rangeOf(address.view, date, address.zone, market.period_length, recorded);
  context = { address, market, range, path: (rest) => `markets/${market.address}/${rest}` };
  const view = views[address.home ? "home" : "market"];
  heading.textContent = view.title(context);
  if (title.textContent !== range.title) title.textContent = range.title;
  document.title = `${view.title(context)} · ${range.title} · energy-chain`;
  replace(back, address.home && link({ home: null, show: null }, "‹ The neighbourhood"));
  if (!place.isConnected) replace(main, h("div", { class: "page-head" }, h("div", {}, back, heading, title), picker.element), place);
  picker.draw(market, range);
  if (view.element.parentNode !== place) replace(place, view.element);
  detail.show(context);
  return view.load(context, signal);
}

function noMarket(asked) {
  return asked
    ? nothing("There is no such market here", `The record has no market at ${asked}.`, h("a", { class: "button", href: "?", "data-go": true }, "Look at what there is"))
    : nothing(
        "No market yet",
        "The record that this page shows is empty. It fills as soon as a market is followed:",
        h("code", {}, "energy-chain serve --network NAME --contract ADDRESS"),
      );
}

/** Loads in a moment, and once for all that asks for it until then. */
function soon() {
  timer ??= setTimeout(load, TOGETHER);
}

const said = { last: 0 };
function say(text) {
  // Somebody who listens wants to know, not to be talked at.
  if (Date.now() - said.last < SAY_EVERY) return;
  said.last = Date.now();
  at("said").textContent = text;
}

wireTheme(at("theme"));
replace(main, skeleton(8));
onChange((before, now) => {
  if (market && context && before.market === now.market) {
    const onlyDrawer = ["view", "at", "zone", "home"].every((part) => before[part] === now[part]);
    if (onlyDrawer) {
      context = { ...context, address: now };
      detail.show(context);
      return;
    }
    const mine = begin();
    show(mine.signal).finally(() => finish(mine));
    drawTop();
    if (before.home !== now.home) {
      scrollTo({ top: 0 });
      main.focus({ preventScroll: true });
    }
  } else load();
});
listen(
  (name, data) => {
    if (name === "record") {
      const isOther = market && data.address !== market.address;
      if (isOther && markets.some((one) => one.address === data.address)) return;
      // Who has just connected is told where the record is, which may be known already.
      if (isShown(data)) return;
      const { matches = 0, orders = 0 } = data.new ?? {};
      if (matches + orders) say(`Block ${count(data.block)}: ${counted(orders, "new order")}, ${counted(matches, "new match", "new matches")}.`);
      // What is being loaded is let come first: with many blocks nothing would ever.
      if (loading) missed = data;
      else soon();
    } else if (market && (data.address ?? market.address) === market.address) {
      market = { ...market, [name]: data };
      if (context) context = { ...context, market };
      drawTop();
    }
  },
  (now) => {
    const again = now && silentSince !== null;
    connected = now;
    if (again) load();
    else if (!now && market) soon();
    drawTop();
  },
);
load();
