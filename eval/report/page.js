"use strict";
// Two languages in one page: the style sheet shows the one that <html lang> names. Nothing is stored, nothing is sent.
const page = document.documentElement;

function speak(lang) {
  page.lang = lang;
  document.title = page.dataset[lang === "en" ? "titleEn" : "titleZh"];
  for (const button of document.querySelectorAll("[data-speak]")) {
    button.setAttribute("aria-pressed", String(button.dataset.speak === lang));
  }
  for (const option of document.querySelectorAll("option[data-en]")) {  // these hold no parts to show and hide
    option.textContent = option.dataset[lang === "en" ? "en" : "zh"];
  }
}

// A click sorts by the column, largest number (or first letter) first; a second click turns the order round.
function sort(head) {
  const table = head.closest("table");
  const column = [...head.parentNode.children].indexOf(head);
  const numeric = head.classList.contains("num");
  const now = head.getAttribute("aria-sort");
  const order = now ? (now === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const worth = (row) => row.children[column].dataset.value;
  const body = table.tBodies[0];
  const sign = order === "descending" ? -1 : 1;
  const rows = [...body.rows].sort((a, b) =>
    sign * (numeric ? Number(worth(a)) - Number(worth(b)) : worth(a).localeCompare(worth(b))));
  body.append(...rows);
}

for (const button of document.querySelectorAll("[data-speak]")) {
  button.addEventListener("click", () => speak(button.dataset.speak));
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sort(button.closest("th")));
}
speak((navigator.language || "en").toLowerCase().startsWith("zh") ? "zh-CN" : "en");
