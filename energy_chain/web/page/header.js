// The line at the top: which market, as of when, and how the chain and the audit are.
import { h, replace } from "./dom.js";
import { count, counted, short } from "./format.js";
import { hrefOf, go } from "./address.js";
import { link } from "./links.js";
import { moment } from "./zones.js";

const VERDICTS = {
  clean: ["good", "Audit: clean"],
  difference: ["bad", "Audit: difference"],
  running: ["soft", "Audit: running"],
  "not yet": ["soft", "Audit: not yet"],
};

/** Shows which market it is; with several a list to choose from. */
export function drawAbout(place, markets, market) {
  const name = (one) => `${short(one.address)} on ${one.network}`;
  const chosen =
    markets.length > 1
      ? h(
          "select",
          {
            "aria-label": "Market",
            data: { key: "market" },
            on: { change: (event) => go(hrefOf({ market: event.target.value, home: null, at: null, show: null })) },
          },
          markets.map((one) => h("option", { value: one.address, selected: one.address === market.address }, name(one))),
        )
      : h("span", { class: "mono", title: market.address }, short(market.address));
  const chain = `${market.network === "" ? "chain" : `${market.network}, chain`} ${market.chain_id}`;
  replace(place, chosen, h("span", { class: "about-more" }, `${chain} · ${counted(market.meters - (market.retired ?? 0), "home")}`));
}

/** Shows the block that all is as of, the node's state and the audit's. */
export function drawState(place, market, zone, connected) {
  const { as_of: asOf, node, audit } = market;
  const follows = connected && node?.reachable === true;
  const word = follows ? "Live: new blocks appear by themselves" : node?.reachable === null ? "The chain is not followed: this is the record" : "Not live";
  const [tone, verdict] = VERDICTS[audit?.state] ?? VERDICTS["not yet"];
  replace(
    place,
    h(
      "span",
      { class: "as-of" },
      h("span", { class: `light ${follows ? "good" : node?.reachable === null ? "" : "warn"}`, title: word }),
      h("span", { class: "hidden" }, `${word}. `),
      asOf.block === null ? "no block was read yet" : ["as of block ", h("b", {}, count(asOf.block))],
      asOf.time && h("span", { class: "as-of-time" }, `, ${moment(asOf.time, zone)}`),
    ),
    link({ show: "audit" }, verdict, { class: `pill ${tone}`, data: { key: "audit" } }),
  );
}
