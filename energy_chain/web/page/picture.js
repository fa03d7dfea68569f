// A chart and the same numbers as a table, one of which is shown.
import { h, replace } from "./dom.js";
import { table } from "./table.js";

/** A button and the place that it switches between a chart and a table. */
export class Picture {
  constructor(what) {
    this.chart = h("div", { class: "chart" });
    this.rows = h("div", { class: "chart-table", hidden: true });
    this.element = h("div", {}, this.chart, this.rows);
    this.button = h(
      "button",
      { type: "button", class: "button small", "aria-pressed": "false", on: { click: () => this.#turn() } },
      "Show as table",
      h("span", { class: "hidden" }, `: ${what}`),
    );
  }

  #turn() {
    const asTable = this.rows.hidden;
    this.rows.hidden = !asTable;
    this.chart.hidden = asTable;
    this.button.setAttribute("aria-pressed", String(asTable));
    // A chart that is not shown has no width to be drawn in.
    if (!asTable) this.redraw?.();
  }

  /** Shows a chart, drawn by `draw(place, width)` now and whenever its width changes, and its table. */
  show(draw, columns, rows, caption) {
    this.redraw = () => {
      const width = Math.floor(this.chart.clientWidth);
      if (width > 0) draw(this.chart, width);
    };
    if (!this.watch) {
      let last = 0;
      this.watch = new ResizeObserver(() => {
        const width = this.chart.clientWidth;
        if (width !== last) {
          last = width;
          this.redraw();
        }
      });
      this.watch.observe(this.chart);
    }
    this.redraw();
    replace(this.rows, table(columns, rows, { caption }));
  }
}
