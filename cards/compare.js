// Two or three personas side by side, with what they share marked.

import { button, counted, element, written } from "./dom.js";
import { SECTIONS, itemsOf } from "./personas.js";
import { markOf, sharedBy } from "./similar.js";

/** @typedef {import("./main.js").App} App */

/**
 * Return the comparison of the chosen personas.
 *
 * @param {App} app
 * @returns {HTMLElement[]}
 */
export function comparisonView(app) {
  const personas = app.chosenPersonas();
  const { shared, marks } = sharedBy(personas);
  const rows = SECTIONS.map((section) => ({ section, cells: personas.map((persona) => itemsOf(persona, section)) }));
  const isLoading = personas.some(({ key }) => app.loading.has(key));
  const head = element(
    "tr",
    {},
    personas.map((persona) => element("th", { scope: "col", dir: "auto" }, persona.name)),
  );
  const bodies = rows
    .filter(({ cells }) => cells.some((cell) => cell.length))
    .map(({ section, cells }) => {
      const label = element("th", { scope: "rowgroup", colspan: personas.length }, section.label);
      const row = element(
        "tr",
        {},
        cells.map((cell, place) => {
          if (section.content === "TEXT") return element("td", {}, cell.map((text) => written("p", text)));
          const listed = cell.map((text) => {
            const persona = personas[place];
            const isShared = persona && marks.has(markOf(persona, section.key, text));
            if (!isShared) return written("li", text);
            return written("li", ` ${text}`, { class: "shared" }, element("b", { dir: "ltr" }, "Shared:"));
          });
          return element("td", {}, listed.length > 0 && element("ul", {}, listed));
        }),
      );
      return element("tbody", {}, element("tr", {}, label), row);
    });
  return [
    element("h1", { tabindex: -1, key: "heading" }, `Comparison of ${personas.length} personas`),
    summary(shared),
    isLoading && element("p", { class: "quiet" }, "Loading the full records …"),
    element(
      "div",
      { class: "scrolls", role: "region", "aria-label": "Comparison", tabindex: 0, key: "comparison" },
      element("table", {}, element("thead", {}, head), bodies),
    ),
    element(
      "div",
      { class: "actions" },
      button("Back to the cards", "back", () => app.goBack()),
      button("Export", "export", () => void app.openExport()),
      app.canTell(personas) && button("Tell the assistant", "tell", () => void app.tell(personas)),
    ),
  ].filter((part) => part instanceof HTMLElement);
}

/** @param {import("./similar.js").Shared[]} shared */
function summary(shared) {
  if (!shared.length) return element("p", {}, "They share no item in these words.");
  const sections = [...new Set(shared.map(({ section }) => section))].map((section) => {
    const count = shared.filter((one) => one.section === section).length;
    return `${section} (${count})`;
  });
  return element("p", {}, `They share ${counted(shared.length, "item")}: ${sections.join(", ")}.`);
}
