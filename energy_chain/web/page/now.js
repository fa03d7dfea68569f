// What waits to be matched, and the matches that were written last.
import { h, replace } from "./dom.js";
import { counted, exactKwh, kwh } from "./format.js";
import { homeLink, matchLink } from "./links.js";
import { nothing } from "./card.js";
import { clock, moment } from "./zones.js";

/** Draws both queues. */
export function drawQueues(place, queues) {
  const queue = (name, hue, { outstanding, wh }) =>
    h(
      "div",
      { class: `queue ${hue}` },
      h("span", { class: "queue-name" }, name),
      h("span", { class: "queue-value", title: exactKwh(wh) }, kwh(wh), h("small", {}, " kWh")),
      h("span", { class: "soft" }, outstanding ? `${counted(outstanding, "order")} waiting` : "nobody waits"),
    );
  replace(
    place,
    h("div", { class: "queues" }, queue("Requests", "sun", queues.requests), queue("Releases", "need", queues.releases)),
  );
}

/** Draws the latest matches; those after `seen`, an index, are shown as new. Returns the latest. */
export function drawLatest(body, matches, zone, seen) {
  if (!matches.length) {
    replace(body, nothing("No matches yet", "The first appears here as soon as the loop on chain has matched a request with a release."));
    return seen;
  }
  replace(
    body,
    h(
      "ol",
      { class: "latest" },
      matches.map((match) =>
        h(
          "li",
          { class: seen !== null && match.index > seen ? "new" : null },
          h("span", { class: "latest-who" }, homeLink(match.producer), h("span", { class: "arrow-to" }, " → ", h("span", { class: "hidden" }, "sells to ")), homeLink(match.consumer)),
          h("span", { class: "number" }, exactKwh(match.energy_wh)),
          h("time", { datetime: match.time, title: moment(match.time, zone, true), class: "soft" }, clock(match.time, zone, true)),
          matchLink(match.index),
        ),
      ),
    ),
  );
  return Math.max(seen ?? -1, ...matches.map((match) => match.index));
}
