// The homes of a range, as a table that can be sorted and searched.
import { h, replace } from "./dom.js";
import { exactKwh, kwh, percent, short } from "./format.js";
import { homeLink } from "./links.js";
import { nothing } from "./card.js";
import { table } from "./table.js";

const FEW = 12;
const MOST = 25;

const energy = (name, text) => ({
  name,
  text,
  number: true,
  value: (row) => row[name],
  cell: (row) => h("span", { title: exactKwh(row[name]) }, kwh(row[name])),
});
const local = (row) => (row.needed_wh > 0 ? row.bought_wh / row.needed_wh : null);

const COLUMNS = [
  {
    name: "number",
    text: "Home",
    value: (row) => row.number,
    cell: (row) => [
      homeLink(row.number),
      h("span", { class: "mono soft", title: row.address }, ` ${short(row.address)}`),
      row.retired && [" ", h("span", { class: "pill soft" }, "retired")],
    ],
  },
  energy("offered_wh", "Produced"),
  energy("sold_wh", "Sold"),
  energy("needed_wh", "Needed"),
  energy("bought_wh", "Bought"),
  {
    name: "local",
    text: "Needs met locally",
    number: true,
    value: (row) => local(row) ?? -1,
    cell: (row) => {
      const share = local(row);
      if (share === null) return percent(share);
      const bar = h("span", { class: "share inline", "aria-hidden": "true" }, h("span"));
      bar.firstChild.style.inlineSize = `${share * 100}%`;
      return [percent(share), bar];
    },
  },
];

/** Draws the homes; what was sorted and sought stays from one drawing to the next. */
export function makeHomes() {
  const order = { column: "number", down: false };
  let sought = "";
  let isOpen = false;
  const place = h("div");
  let rows = [];
  const draw = () => {
    const words = sought.trim().toLowerCase();
    const found = words
      ? rows.filter((row) => `home ${row.number}` === words || String(row.number) === words || row.address.toLowerCase().includes(words))
      : rows;
    replace(
      place,
      found.length
        ? table(COLUMNS, found, {
            caption: "Homes, energies in kWh",
            order,
            most: isOpen ? Infinity : MOST,
            opened: () => (isOpen = true),
          })
        : nothing("No such home", "Give a number, or a part of an address."),
    );
  };
  const search = h("input", {
    type: "search",
    placeholder: "number or address",
    "aria-label": "Find a home",
    on: { input: (event) => { sought = event.target.value; draw(); } },
  });
  search.hidden = true;
  return {
    search,
    draw(body, homes) {
      rows = homes;
      search.hidden = homes.length <= FEW;
      if (!homes.length) {
        replace(body, nothing("No homes yet", "Once meters are registered they are listed here.", h("code", {}, "energy-chain register NAME")));
        return;
      }
      draw();
      if (place.parentNode !== body) replace(body, place);
    },
  };
}
