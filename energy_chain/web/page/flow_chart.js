// Who produces, who needs, what is matched and what the grid takes and gives, as flows.
import { hrefOf } from "./address.js";
import { h, replace } from "./dom.js";
import { counted, exactKwh, kwh } from "./format.js";

const POOL = "pool";

/** The flows of an answer of /flow: {nodes, links} for the layout, without those of 0 Wh. */
function flowsOf(flow) {
  const nodes = [];
  const links = [];
  const known = new Map();
  const node = (id, about) => {
    if (!known.has(id)) {
      known.set(id, id);
      nodes.push({ id, ...about });
    }
    return id;
  };
  const link = (source, target, wh, hue) => {
    if (wh > 0) links.push({ source: source(), target: target(), value: wh, hue });
  };
  const pool = () => node(POOL, { name: "Matched", hue: "match", show: "matches" });
  const toGrid = () => node("to-grid", { name: "To the grid", hue: "sun", side: "right" });
  const fromGrid = () => node("from-grid", { name: "From the grid", hue: "need", side: "left" });
  const offered = () => node("offered", { name: "Waiting", hue: "wait", side: "right" });
  const needed = () => node("needed", { name: "Waiting", hue: "wait", side: "left" });
  for (const home of flow.producers) {
    const from = () => node(`producer ${home.meter}`, { ...nameOf(home), hue: "sun", side: "left" });
    link(from, pool, home.sold_wh, "match");
    link(from, toGrid, home.to_grid_wh, "sun");
    link(from, offered, home.pending_wh ?? 0, "wait");
  }
  for (const home of flow.consumers) {
    const to = () => node(`consumer ${home.meter}`, { ...nameOf(home), hue: "need", side: "right" });
    link(pool, to, home.bought_wh, "match");
    link(fromGrid, to, home.from_grid_wh, "need");
    link(needed, to, home.pending_wh ?? 0, "wait");
  }
  // What is no home comes last, below the homes.
  nodes.sort((a, b) => Number(!("home" in a)) - Number(!("home" in b)));
  return { nodes, links };
}

function nameOf(home) {
  return home.meter === null
    ? { name: counted(home.homes, "other home"), home: null }
    : { name: `Home ${home.meter}`, home: String(home.meter) };
}

/** Draws flows into a place of some width. */
export function drawFlow(place, width, flow) {
  const d3 = globalThis.d3;
  const { nodes, links } = flowsOf(flow);
  const narrow = width < 560;
  const margin = narrow ? 74 : 140;
  const rows = Math.max(
    nodes.filter((node) => node.side === "left").length,
    nodes.filter((node) => node.side === "right").length,
  );
  const height = Math.max(narrow ? 220 : 300, rows * (narrow ? 36 : 30) + 30);
  const graph = d3
    .sankey()
    .nodeId((node) => node.id)
    .nodeAlign(d3.sankeyJustify)
    .nodeWidth(narrow ? 8 : 12)
    .nodePadding(narrow ? 22 : 17)
    .nodeSort(null)
    .linkSort(null)
    .extent([[margin, 24], [width - margin, height - 10]])({ nodes, links });

  const svg = d3
    .create("svg")
    .attr("viewBox", `0 0 ${width} ${height}`)
    .attr("width", width)
    .attr("height", height)
    .attr("role", "group")
    .attr("aria-label", said(flow));
  svg
    .append("g")
    .attr("class", "links")
    .selectAll("path")
    .data(graph.links)
    .join("path")
    .attr("class", (link) => link.hue)
    .attr("d", d3.sankeyLinkHorizontal())
    .attr("stroke-width", (link) => Math.max(1, link.width))
    .append("title")
    .text((link) => `${link.source.name} → ${link.target.name}: ${exactKwh(link.value)}`);
  const places = svg
    .append("g")
    .attr("class", "nodes")
    .selectAll("g")
    .data(graph.nodes)
    .join("g")
    .attr("class", (node) => node.hue);
  places
    .append("rect")
    .attr("x", (node) => node.x0)
    .attr("y", (node) => node.y0)
    .attr("width", (node) => node.x1 - node.x0)
    .attr("height", (node) => Math.max(1, node.y1 - node.y0))
    .attr("rx", 2)
    .append("title")
    .text((node) => `${node.name}: ${exactKwh(node.value)}`);
  places.each(function label(node) {
    const group = d3.select(this);
    const href = node.home ? hrefOf({ home: node.home, show: null }) : node.show ? hrefOf({ show: node.show }) : null;
    const holder = href ? group.append("a").attr("href", href).attr("data-go", "") : group;
    const middle = !node.side;
    const left = node.side === "left";
    const text = holder
      .append("text")
      .attr("x", middle ? (node.x0 + node.x1) / 2 : left ? node.x0 - 7 : node.x1 + 7)
      .attr("y", middle ? node.y0 - 8 : (node.y0 + node.y1) / 2)
      .attr("dy", middle ? 0 : narrow ? "-0.15em" : "0.34em")
      .attr("text-anchor", middle ? "middle" : left ? "end" : "start");
    text.append("tspan").attr("class", "name").text(narrow ? brief(node.name) : node.name);
    const value = text.append("tspan").attr("class", "value").text(`${narrow && !middle ? "" : " "}${kwh(node.value)}`);
    if (narrow && !middle) value.attr("x", text.attr("x")).attr("dy", "1.1em");
  });
  replace(place, key(flow), svg.node());
}

function brief(name) {
  return name.replace("the grid", "grid").replace(/ other homes?/, " more");
}

function key(flow) {
  const entry = (hue, text, wh) =>
    wh > 0 ? h("li", {}, h("span", { class: `dot ${hue}` }), text, h("b", {}, ` ${kwh(wh)} kWh`)) : null;
  return h(
    "ul",
    { class: "key" },
    entry("match", "matched", flow.matched_wh),
    entry("sun", "to the grid", flow.to_grid_wh),
    entry("need", "from the grid", flow.from_grid_wh),
    entry("wait", "offered, waiting", flow.pending_requests_wh ?? 0),
    entry("wait", "needed, waiting", flow.pending_releases_wh ?? 0),
  );
}

function said(flow) {
  return (
    `Energy flows: ${kwh(flow.matched_wh)} kWh matched between neighbours, ${kwh(flow.to_grid_wh)} kWh ` +
    `to the grid, ${kwh(flow.from_grid_wh)} kWh from the grid. The table has the numbers.`
  );
}

/** The same as rows of a table. */
export function flowRows(flow) {
  const names = { match: "matched", sun: "to the grid", need: "from the grid", wait: "not matched yet" };
  const { nodes, links } = flowsOf(flow);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  return links.map(({ source, target, value, hue }) => {
    const home = source.startsWith("producer") ? byId.get(source) : byId.get(target);
    return { home, does: source.startsWith("producer") ? "produces" : "needs", what: names[hue], wh: value };
  });
}
