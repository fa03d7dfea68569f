// A home by itself: what it did, with whom, and its bill.
import { get } from "./api.js";
import { Card, forgetOthers, nothing } from "./card.js";
import { command } from "./detail.js";
import { copyButton, h, replace } from "./dom.js";
import { counted, exactKwh } from "./format.js";
import { bucketHref, homeLink, link } from "./links.js";
import { Picture } from "./picture.js";
import { asked, rangeOf } from "./ranges.js";
import { kindColumn, orderColumns } from "./rows.js";
import { table } from "./table.js";
import { homeTiles } from "./tiles.js";
import { energy, showTimes } from "./times.js";
import { moment } from "./zones.js";

const WORDS = { up: "Produced", upMatched: "Sold", down: "Needed", downMatched: "Bought", matched: "Sold or bought here" };
const LATEST = 8;

/** The view: `element`, `title(context)`, and `load(context, signal)`, which shows a home and is done when it has. */
export function makeHomeView() {
  let context = null;
  let signal = null;
  const about = h("div", { class: "home-about" });
  const picture = new Picture("the energies over time");
  const order = { column: "bought_wh", down: true };
  const cards = {
    tiles: new Card("home-numbers", "In numbers"),
    usage: new Card("home-usage", "Over time", { tools: [picture.button], wide: true }),
    partners: new Card("partners", "Neighbours", { note: "" }),
    bill: new Card("bill", "Bill of the month"),
    orders: new Card("orders", "Latest orders", { wide: true }),
  };
  cards.tiles.element.classList.add("bare", "wide");
  cards.tiles.heading.classList.add("hidden");
  const element = h("div", { class: "grid" }, about, Object.values(cards).map((card) => card.element));
  const path = (rest = "") => context.path(`meters/${context.address.home}${rest}`);

  function loadAbout() {
    const { range } = context;
    return get(path(), asked(range), signal).then(
      (meter) => {
        replace(
          about,
          h("span", { class: "mono long" }, meter.address),
          copyButton(meter.address, "the address"),
          meter.retired && h("span", { class: "pill soft" }, "retired"),
          meter.registered && h("span", { class: "soft" }, `registered ${moment(meter.registered, range.zone)}`),
        );
      },
      (error) => {
        if (error.name === "AbortError") return;
        replace(about, error.status === 404 ? nothing("There is no such home", "No meter of that number was ever registered in this market.") : null);
      },
    );
  }

  function loadUsage() {
    const { range } = context;
    const usage = get(path("/usage"), { ...asked(range), by: range.by, timezone: range.zone }, signal);
    return Promise.all([
      cards.tiles.show(usage, (body, { totals }) => replace(body, homeTiles(totals)), loadUsage),
      cards.usage.show(usage, (body, { buckets }) => drawTimes(body, buckets), loadUsage),
    ]);
  }

  function drawTimes(body, buckets) {
    const { range, address } = context;
    showTimes(picture, body, buckets, {
      names: { up: "offered_wh", upMatched: "sold_wh", down: "needed_wh", downMatched: "bought_wh" },
      words: WORDS,
      range,
      leads: (bucket) => bucketHref(bucket, context),
      columns: [
        energy("offered_wh", "Produced"),
        energy("sold_wh", "Sold"),
        energy("needed_wh", "Needed"),
        energy("bought_wh", "Bought"),
      ],
      caption: `Home ${address.home}, ${range.title}`,
      empty: nothing(
        `No orders of this home in this ${range.view}`,
        "It neither offered nor needed anything, or its meter was silent.",
        link({ at: null }, "Go to the latest", { class: "button small" }),
      ),
    });
  }

  function loadPartners() {
    cards.partners.say(context.range.title);
    return cards.partners.show(
      get(path("/partners"), asked(context.range), signal),
      (body, { partners }) =>
        replace(
          body,
          partners.length
            ? table(
                [
                  { name: "meter", text: "Home", value: (row) => row.meter, cell: (row) => homeLink(row.meter) },
                  energy("bought_wh", "Bought from"),
                  energy("sold_wh", "Sold to"),
                  { name: "matches", text: "Matches", number: true, value: (row) => row.matches, cell: (row) => link({ show: "matches" }, row.matches) },
                ],
                partners,
                { caption: "Neighbours it traded with", order, most: 10 },
              )
            : nothing("No neighbours yet", `Nothing of this home was matched in this ${context.range.view}.`),
        ),
      loadPartners,
    );
  }

  function loadBill() {
    const { range, market, address } = context;
    const month = rangeOf("month", range.first, range.zone, market.period_length);
    cards.bill.say(month.title);
    return cards.bill.show(get(path("/usage"), { ...asked(month), by: "day", timezone: range.zone }, signal), (body, { totals }) => {
      const name = month.first.slice(0, 7);
      const query = `?${new URLSearchParams({ month: name, timezone: range.zone })}`;
      const file = `${name}-meter-${address.home}.json`;
      const line = (title, wh, show, strong = false) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", class: strong ? null : "inner" }, title),
          h("td", { class: "number" }, link({ view: "month", at: month.first, show }, exactKwh(wh))),
        );
      replace(
        body,
        h(
          "table",
          { class: "plain" },
          h("caption", { class: "hidden" }, `Energies of ${month.title}`),
          h(
            "tbody",
            {},
            line("Needed, after own use", totals.needed_wh, "releases", true),
            line("from neighbours", totals.bought_wh - totals.own_wh, "matches"),
            line("from the grid", totals.from_grid_wh, "releases"),
            totals.pending_needed_wh ? line("waiting to be matched", totals.pending_needed_wh, "releases") : null,
            line("Produced, after own use", totals.offered_wh, "requests", true),
            line("to neighbours", totals.sold_wh - totals.own_wh, "matches"),
            line("to the grid", totals.to_grid_wh, "requests"),
            totals.pending_offered_wh ? line("waiting to be matched", totals.pending_offered_wh, "requests") : null,
          ),
        ),
        (totals.pending_needed_wh || totals.pending_offered_wh) && h("p", { class: "soft" }, "On the bill, what still waits is the grid's until it is matched."),
        h(
          "p",
          { class: "links-row" },
          h("a", { class: "button main", href: `api/${path("/bill.html")}${query}`, target: "_blank", rel: "noopener" }, "Bill to print"),
          h("a", { class: "button", href: `api/${path("/bill")}${query}`, download: file }, "Bill with its proof"),
        ),
        h("p", { class: "soft" }, "Check it against any node of the chain, without trusting this page:"),
        command(`energy-chain verify-bill ${file} --network URL`),
      );
    }, loadBill);
  }

  function loadOrders() {
    const { range } = context;
    return cards.orders.show(
      get(context.path("orders"), { meter: context.address.home, order: "latest", limit: LATEST }, signal),
      (body, { orders }) =>
        replace(
          body,
          orders.length
            ? table([kindColumn, ...orderColumns(range.zone, false)], orders, { caption: "The latest orders of this home" })
            : nothing("No orders yet", `Nothing was posted for this home so far: ${counted(0, "request")}, ${counted(0, "release")}.`),
        ),
      loadOrders,
    );
  }

  return {
    element,
    title: ({ address }) => `Home ${address.home}`,
    load(newContext, newSignal) {
      forgetOthers(cards, context, newContext);
      context = newContext;
      signal = newSignal;
      return Promise.all([loadAbout(), loadUsage(), loadPartners(), loadBill(), loadOrders()]);
    },
  };
}
