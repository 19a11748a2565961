"use strict";
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const raw = cell.dataset.v ?? cell.textContent.trim();
    const number = Number.parseFloat(raw.replace(/[,%]/g, ""));
    return cell.classList.contains("num") ? (Number.isNaN(number) ? -Infinity : number) : raw.toLowerCase();
  };
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

  const sortBy = (table, heading) => {
    const column = heading.cellIndex;
    const numeric = heading.classList.contains("num");
    const sorted = heading.getAttribute("aria-sort");
    const down = sorted ? sorted !== "descending" : numeric;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (down ? -1 : 1) * compare(value(a, column), value(b, column)));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sortBy(table, heading));
      heading.append(button);
    }
  }

  const switches = document.querySelector(".switches");
  const table = document.querySelector("table[data-filtered]");
  const show = () => {
    const wanted = [...switches.querySelectorAll("select")].map((s) => [s.dataset.filter, s.value]);
    for (const row of table.tBodies[0].rows) row.hidden = wanted.some(([name, v]) => row.dataset[name] !== v);
  };
  const hideFixed = () => {
    for (const row of table.rows) for (const column of [1, 2, 3]) row.cells[column].hidden = true;
  };
  switches.hidden = false;
  switches.addEventListener("change", show);
  document.querySelector("#all-metrics").open = true;
  hideFixed();
  show();
})();
