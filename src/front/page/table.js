// A table that can be sorted and that has only as many rows in the page as can be seen.

const ROW_PX = 36;
/** Up to so many rows all of them stand in the page, and long texts wrap. */
const WHOLE_ROWS = 120;
const SPARE_ROWS = 12;

/**
 * `columns`: [{ name, unit, key(item), text(item), kind: "num"|"grow"|"wrap", tone(item), node(item) }]. `text` is what is shown, `key` what is
 * sorted by. `node` makes an element that `fill(element, item)` keeps up to date.
 */
class Table {
  constructor({ label, columns, id, sort, isDescending, pinned, empty }) {
    this.columns = columns;
    this.id = id;
    this.sort = sort;
    this.isDescending = Boolean(isDescending);
    this.items = [];
    this.rows = new Map();
    this.spare = [];
    this.heads = columns.map((column, index) => this.head(column, index));
    this.body = h("tbody");
    this.foot = h("tfoot");
    this.above = h("tr.gap", { "aria-hidden": "true" }, h("td", { colspan: columns.length }));
    this.below = h("tr.gap", { "aria-hidden": "true" }, h("td", { colspan: columns.length }));
    this.table = h("table.grid", null, h("caption.sr", null, label), h("thead", null, h("tr", null, ...this.heads)), this.body, this.foot);
    if (pinned) this.table.classList.add("pinned");
    this.scroll = h("div.scroll", { tabindex: "0", role: "region", "aria-label": `${label}, table` }, this.table);
    this.empty = h("div", { hidden: true });
    if (empty) this.empty.append(empty);
    this.element = h("div", null, this.scroll, this.empty);
    let isAsked = false;
    this.scroll.addEventListener("scroll", () => {
      if (isAsked || !this.isVirtual()) return;
      isAsked = true;
      requestAnimationFrame(() => {
        isAsked = false;
        this.draw();
      });
    }, { passive: true });
    addEventListener("beforeprint", () => {
      this.isPrinting = true;
      this.draw();
    });
    addEventListener("afterprint", () => {
      this.isPrinting = false;
      this.draw();
    });
    this.showSort();
  }

  head(column, index) {
    const words = [column.name, column.unit ? h("small", null, column.unit) : null];
    if (!column.key) return h(`th${column.kind === "num" ? ".num" : ""}`, { scope: "col" }, h("span", null, ...words.filter(Boolean)));
    const button = h("button", { type: "button", click: () => this.sortBy(index) }, ...words.filter(Boolean));
    return h(`th${column.kind === "num" ? ".num" : ""}`, { scope: "col" }, button);
  }

  sortBy(index) {
    if (this.sort === index) this.isDescending = !this.isDescending;
    else {
      this.sort = index;
      this.isDescending = this.columns[index].kind === "num";
    }
    this.showSort();
    this.scroll.scrollTop = 0;
    this.update(this.items, this.total);
  }

  showSort() {
    this.heads.forEach((head, index) => {
      if (index === this.sort) head.setAttribute("aria-sort", this.isDescending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  update(items, total) {
    this.items = items;
    this.total = total;
    // A column that says nothing of this run is not shown.
    this.hidden = this.columns.map((column) => Boolean(column.when && !column.when(total)));
    this.heads.forEach((head, index) => {
      head.hidden = this.hidden[index];
    });
    if (this.sort !== undefined) {
      const { key } = this.columns[this.sort];
      const direction = this.isDescending ? -1 : 1;
      const compare = (a, b) => (typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b)) : (a ?? -1) - (b ?? -1));
      // Keys are read once; the order of equal ones stays.
      const keyed = items.map((item) => [key(item), item]);
      keyed.sort((a, b) => direction * compare(a[0], b[0]));
      this.sorted = keyed.map((pair) => pair[1]);
    } else this.sorted = items;
    this.scroll.hidden = items.length === 0 && !total;
    this.empty.hidden = items.length > 0;
    this.table.setAttribute("aria-rowcount", items.length + 1 + (total ? 1 : 0));
    this.drawTotal();
    this.draw();
  }

  isVirtual() {
    return !this.isPrinting && this.sorted && this.sorted.length > WHOLE_ROWS;
  }

  drawTotal() {
    if (!this.total) return this.foot.replaceChildren();
    if (!this.totalRow) this.totalRow = this.makeRow();
    if (!this.totalRow.isConnected) this.foot.append(this.totalRow);
    this.fill(this.totalRow, this.total);
  }

  draw() {
    if (!this.sorted) return;
    const isVirtual = this.isVirtual();
    let [from, to] = [0, this.sorted.length];
    if (isVirtual) {
      const height = this.scroll.clientHeight || 700;
      from = Math.max(0, Math.floor(this.scroll.scrollTop / ROW_PX) - SPARE_ROWS);
      to = Math.min(this.sorted.length, Math.ceil((this.scroll.scrollTop + height) / ROW_PX) + SPARE_ROWS);
      from = Math.min(from, to);
    }
    this.table.classList.toggle("virtual", isVirtual);
    const shown = this.sorted.slice(from, to);
    const keys = new Set(shown.map(this.id));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      this.rows.delete(key);
      if (this.spare.length < 200) this.spare.push(row);
      row.remove();
    }
    const active = document.activeElement;
    this.above.firstChild.style.height = `${from * ROW_PX}px`;
    this.below.firstChild.style.height = `${(this.sorted.length - to) * ROW_PX}px`;
    let place = this.keep(this.above, null);
    shown.forEach((item, index) => {
      const key = this.id(item);
      let row = this.rows.get(key);
      if (!row) {
        row = this.spare.pop() || this.makeRow();
        this.rows.set(key, row);
      }
      if (row.place !== from + index) {
        row.place = from + index;
        row.setAttribute("aria-rowindex", from + index + 2);
      }
      place = this.keep(row, place);
      this.fill(row, item);
    });
    this.keep(this.below, place);
    // A row that moves loses the focus that was in it.
    if (active && active !== document.activeElement && this.body.contains(active)) active.focus({ preventScroll: true });
  }

  /** Puts `row` behind `before`, where it does not stand there. */
  keep(row, before) {
    const next = before ? before.nextSibling : this.body.firstChild;
    if (next !== row) this.body.insertBefore(row, next);
    return row;
  }

  makeRow() {
    const row = h("tr");
    row.shown = [];
    for (const column of this.columns) {
      const cell = h(`td${column.kind ? `.${column.kind}` : ""}`);
      if (column.node) {
        cell.inside = column.node(row);
        cell.append(cell.inside);
      }
      row.append(cell);
    }
    return row;
  }

  fill(row, item) {
    row.item = item;
    this.columns.forEach((column, index) => {
      const cell = row.cells[index];
      cell.hidden = this.hidden[index];
      const text = column.text(item);
      const tone = column.tone ? column.tone(item) : "";
      if (row.shown[index] !== text) {
        row.shown[index] = text;
        if (column.fill) column.fill(cell.inside, item);
        else cell.textContent = text;
        if (column.kind === "grow" || column.kind === "wrap") cell.title = text;
      }
      const name = [column.kind, tone].filter(Boolean).join(" ");
      if (cell.className !== name) cell.className = name;
    });
  }
}
