// Tables, which can be sorted by their headings.
import { h, replace } from "./dom.js";

/**
 * A table. Columns are {name, text, cell(row), number, value(row)}: `cell` is what is shown, and
 * a column with `value` can be sorted by it. Rows beyond `most` are shown when asked for.
 *
 * `order` is {column, down}, which sorting changes, so that a table drawn anew keeps it.
 */
export function table(columns, rows, { caption, order = null, most = Infinity, opened = () => {} } = {}) {
  const body = h("tbody");
  const heads = columns.map((column) => {
    const sort = column.value && order;
    return h(
      "th",
      { scope: "col", class: column.number ? "number" : null },
      sort
        ? h(
            "button",
            { type: "button", class: "sort", data: { key: `sort ${column.name}` }, on: { click: () => sortBy(column) } },
            column.text,
            h("span", { class: "arrow", "aria-hidden": "true" }),
          )
        : column.text,
    );
  });
  const foot = h("p", { class: "more" });
  let limit = most;

  function draw() {
    const sorted = [...rows];
    if (order) {
      const { value } = columns.find((column) => column.name === order.column);
      const sign = order.down ? -1 : 1;
      sorted.sort((a, b) => sign * compare(value(a), value(b)));
      columns.forEach((column, i) => {
        const by = column.name === order.column ? (order.down ? "descending" : "ascending") : null;
        if (by) heads[i].setAttribute("aria-sort", by);
        else heads[i].removeAttribute("aria-sort");
      });
    }
    replace(body, sorted.slice(0, limit).map(line));
    replace(
      foot,
      rows.length > limit &&
        h("button", { type: "button", class: "button small", on: { click: open } }, `Show all ${rows.length}`),
    );
  }

  function open() {
    limit = Infinity;
    opened();
    draw();
  }

  function sortBy(column) {
    order.down = order.column === column.name ? !order.down : Boolean(column.number);
    order.column = column.name;
    draw();
  }

  function line(row) {
    return h(
      "tr",
      {},
      columns.map((column, i) =>
        h(
          i === 0 ? "th" : "td",
          { scope: i === 0 ? "row" : null, class: column.number ? "number" : null, data: { label: column.text } },
          column.cell(row),
        ),
      ),
    );
  }

  draw();
  return h(
    "div",
    {},
    h(
      "div",
      { class: "table-scroll", tabindex: "0", role: "region", "aria-label": caption },
      h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, h("tr", {}, heads)), body),
    ),
    foot,
  );
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
