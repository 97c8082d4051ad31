// The cards: one for each persona, and one for each that is still being written.

import { button, counted, element, written } from "./dom.js";
import { SECTIONS, itemsOf, leftOutOf } from "./personas.js";

/**
 * @typedef {import("./personas.js").Persona} Persona
 * @typedef {import("./main.js").App} App
 */

/** Cards that are shown at first; a button shows the others. */
export const FIRST_CARDS = 12;

/** Personas from which on there is a box that filters them. */
const FILTER_FROM = 8;

/** Personas that are compared at once. */
export const MAX_CHOSEN = 3;

const ON_CARDS = ["keyObjectives", "painPoints", "keyConcerns", "qualifyingQuestions", "disqualifyingQuestions"];

/**
 * Return the cards, with what chooses among them.
 *
 * @param {App} app
 * @returns {HTMLElement[]}
 */
export function cardsView(app) {
  if (!app.personas.length && !app.pendingNames().length) return [];
  const cards = app.personas.map((persona, place) => card(app, persona, place));
  const list = element("ul", { class: "cards", "aria-label": "Personas" }, cards, app.pendingNames().map(pendingCard));
  const more = button("", "more cards", () => {
    const first = cards.filter((one) => !one.hidden).length;
    app.cardsShown = Infinity;
    filter();
    cards.filter((one) => !one.hidden)[first]?.querySelector("input")?.focus();
  });
  const none = element("p", { class: "quiet", hidden: true }, "No persona has these words.");
  const filter = () => {
    const words = app.filter.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    cards.forEach((one, place) => {
      const matches = words.every((word) => searched(app.personas[place]).includes(word));
      found += matches ? 1 : 0;
      one.hidden = !matches || found > app.cardsShown;
    });
    more.hidden = found <= app.cardsShown;
    more.textContent = `Show ${found - app.cardsShown} more`;
    none.hidden = found > 0 || !cards.length;
  };
  filter();
  const box = cards.length >= FILTER_FROM && filterBox(app, filter);
  return [...(cards.length ? [actions(app)] : []), ...(box ? [box] : []), list, none, more, ...morePages(app)];
}

/**
 * @param {App} app
 * @param {Persona} persona
 * @param {number} place
 */
function card(app, persona, place) {
  const heading = `name-${place}`;
  const left = leftOutOf(persona);
  const titles = persona.lists.commonJobTitles ?? [];
  const key = `card ${persona.key}`;
  return element(
    "li",
    { class: "card" },
    element(
      "article",
      { "aria-labelledby": heading },
      element(
        "header",
        {},
        element("h2", { id: heading, dir: "auto" }, persona.name),
        chooser(app, persona, `${key} choose`, heading),
      ),
      flags(persona),
      persona.description && written("p", persona.description),
      titles.length > 0 && chips("Job titles", titles),
      SECTIONS.filter((section) => ON_CARDS.includes(section.key)).map((section) => {
        const shown = itemsOf(persona, section);
        return shown.length > 0 && itemList(section.label, shown, "h3");
      }),
      left > 0 && element("p", { class: "quiet" }, `${counted(left, "more item")} in the full record.`),
      element(
        "footer",
        { class: "actions" },
        button("Full record", `${key} open`, () => void app.openRecord(persona), { "aria-describedby": heading }),
        app.canTell([persona]) &&
          button("Tell the assistant", `${key} tell`, () => void app.tell([persona]), { "aria-describedby": heading }),
      ),
    ),
  );
}

/**
 * Return the box that chooses a persona for comparison and export.
 *
 * @param {App} app
 * @param {Persona} persona
 * @param {string} key
 * @param {string} heading
 */
function chooser(app, persona, key, heading) {
  const isChosen = app.chosen.has(persona.key);
  const change = () => app.choose(persona);
  const attributes = { type: "checkbox", key, "aria-describedby": heading, on: { change } };
  const box = element("input", { ...attributes, disabled: !isChosen && app.chosen.size >= MAX_CHOSEN });
  box.checked = isChosen;
  return element("label", { class: "choose" }, box, "Choose");
}

/** @param {string} name */
function pendingCard(name) {
  return element(
    "li",
    { class: "card pending" },
    element("h2", { dir: "auto" }, name || "A persona"),
    element("p", { class: "quiet" }, "Being written, or waiting for its turn."),
  );
}

/**
 * Return the marks that Octave gave a persona, such as "rejected"; its buying roles among them.
 *
 * @param {Persona} persona
 */
export function flags(persona) {
  const marks = [
    ...persona.flags.map((flag) => element("li", { class: "flag" }, flag[0]?.toUpperCase() + flag.slice(1))),
    ...(persona.lists.buyingRole ?? []).map((role) => written("li", role, { class: "role" })),
  ];
  return marks.length > 0 && element("ul", { class: "chips", "aria-label": "Marks" }, marks);
}

/**
 * @param {string} label
 * @param {string[]} texts
 */
function chips(label, texts) {
  return element("ul", { class: "chips", "aria-label": label }, texts.map((text) => written("li", text)));
}

/**
 * Return a labelled list of items.
 *
 * @param {string} label
 * @param {string[]} texts
 * @param {"h2" | "h3"} heading
 */
export function itemList(label, texts, heading) {
  const listed = element("ul", {}, texts.map((text) => written("li", text)));
  return element("section", {}, element(heading, {}, label), listed);
}

/**
 * @param {App} app
 * @param {() => void} filter
 */
function filterBox(app, filter) {
  const box = element("input", { type: "search", key: "filter", value: app.filter });
  box.addEventListener("input", () => {
    app.filter = box.value;
    filter();
  });
  return element("label", { class: "filter" }, "Show those with", box);
}

/** @param {Persona | undefined} persona */
function searched(persona) {
  return persona ? JSON.stringify([persona.name, persona.description, persona.lists]).toLowerCase() : "";
}

/** @param {App} app */
function morePages(app) {
  const next = app.page?.next ?? null;
  if (next === null) return [];
  if (app.host.can("serverTools")) return [button("Load more", "load more", () => void app.loadMore(next))];
  return [element("p", { class: "quiet" }, "There are more. Ask the assistant for the next ones.")];
}

/** @param {App} app */
function actions(app) {
  const chosen = app.chosen.size;
  const hint = chosen < 2 ? `Choose two or three to compare; ${chosen} chosen.` : `${chosen} chosen.`;
  const what = chosen ? "chosen" : "all";
  return element(
    "div",
    { class: "actions bar", role: "group", "aria-label": "For the chosen personas" },
    button("Compare", "compare", () => void app.openComparison(), { disabled: chosen < 2 }),
    button(`Export ${what}`, "export", () => void app.openExport()),
    app.canTell(app.chosenPersonas()) && button("Tell the assistant", "tell", () => void app.tell(app.chosenPersonas())),
    element("span", { class: "quiet" }, hint),
  );
}
