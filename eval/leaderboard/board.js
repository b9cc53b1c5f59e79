// Filters: one part of the exam is shown, of its rows those that fit; nothing is computed anew.
const facets = [...document.querySelectorAll("[data-facet]")];
const part = document.getElementById("slice");
const two = ["one", "other"].map((name) => document.getElementById(name));

function filter() {
  for (const each of document.querySelectorAll(".slice")) each.hidden = each.dataset.slice !== part.value;
  const fits = (row) => facets.every((one) => !one.value || row.dataset[one.dataset.facet] === one.value);
  for (const row of document.querySelectorAll(".tiers tbody tr")) row.hidden = !fits(row);
  const wanted = two.map((one) => one.value).filter(Boolean);
  for (const row of document.querySelectorAll(".duels tbody tr")) {
    row.hidden = !wanted.every((name) => row.dataset.ahead === name || row.dataset.behind === name);
  }
  const rows = document.querySelectorAll(".slice:not([hidden]) .tiers tbody tr:not([hidden])");
  document.getElementById("shown").textContent = String(rows.length);
}

for (const each of [part, ...two, ...facets]) each.addEventListener("change", filter);
filter();
