// What is wrong, over everything else, and as of when the numbers are that are shown.
import { h, replace } from "./dom.js";
import { count } from "./format.js";
import { moment } from "./zones.js";

/** Shows banners: `market` may be null; `silentSince` is since when this page's server is silent. */
export function drawBanner(place, market, zone, silentSince) {
  const shown = market?.as_of.time ? `Shown as of block ${count(market.as_of.block)}, ${moment(market.as_of.time, zone)}.` : "";
  const banners = [];
  if (silentSince !== null) {
    banners.push([
      "bad",
      "This page cannot reach its server.",
      `It has been silent since ${moment(silentSince, zone, true)}, and is asked again by itself. ${shown}`,
    ]);
  } else if (market?.node?.reachable === false) {
    const since = market.node.since ? ` since ${moment(market.node.since, zone)}` : "";
    banners.push(["warn", `The chain has not answered${since}.`, `${shown} ${sentence(market.node.said)}`]);
  }
  if (market?.audit?.state === "difference") {
    banners.push(["bad", "The audit found a difference.", sentence(market.audit.said)]);
  }
  if (market?.paused) {
    banners.push(["warn", "The market is paused.", "Nothing is posted or matched until its owner lets it go on."]);
  }
  const key = JSON.stringify(banners);
  // What is said already is not said again to who listens.
  if (place.dataset.said === key) return;
  place.dataset.said = key;
  replace(
    place,
    banners.map(([tone, title, text]) =>
      h("div", { class: `banner ${tone}`, role: "alert" }, h("p", {}, h("strong", {}, title), " ", text)),
    ),
  );
}

function sentence(text) {
  if (!text) return "";
  const said = text[0].toUpperCase() + text.slice(1);
  return said.endsWith(".") ? said : `${said}.`;
}
