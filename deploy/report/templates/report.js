"use strict";

// Pictures are drawn when they first become visible: a hidden one has no width to be drawn in.
function draw() {
  const style = getComputedStyle(document.body);
  const theme = { color: style.color, family: style.fontFamily };
  for (const place of document.querySelectorAll(".figure")) {
    if (place.offsetParent === null) continue;
    if (place.dataset.drawn) {
      Plotly.relayout(place, { "font.color": theme.color });
      continue;
    }
    const figure = JSON.parse(place.querySelector("script").textContent);
    figure.layout.font = { ...figure.layout.font, ...theme };
    place.dataset.drawn = "yes";
    Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displayModeBar: false });
  }
}

function sortBy(header) {
  const table = header.closest("table");
  const column = header.cellIndex;
  const falling = header.getAttribute("aria-sort") !== "descending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    const order = isNaN(x - y) ? x.localeCompare(y) : x - y;
    return falling ? -order : order;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}

// A row is shown when every module that it is inside of is unfolded.
function unfold(table) {
  const open = new Set();
  for (const row of table.tBodies[0].rows) {
    const { path, parent } = row.dataset;
    row.hidden = path !== "" && !open.has(parent);
    const button = row.querySelector(".fold");
    if (!row.hidden && button?.getAttribute("aria-expanded") === "true") open.add(path);
  }
}

function select(tab) {
  for (const other of tab.parentElement.children) {
    other.setAttribute("aria-selected", String(other === tab));
    document.getElementById(other.getAttribute("aria-controls")).hidden = other !== tab;
  }
  draw();
}

document.addEventListener("click", (event) => {
  const header = event.target.closest("th.sortable");
  if (header) return sortBy(header);
  const tab = event.target.closest(".tabs button");
  if (tab) return select(tab);
  const fold = event.target.closest(".fold");
  if (fold) {
    fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true"));
    unfold(fold.closest("table"));
  }
});
document.addEventListener("toggle", draw, true);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.querySelectorAll("table.modules").forEach(unfold);
draw();
