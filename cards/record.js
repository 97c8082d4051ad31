// The full record of one persona.

import { button, element, written } from "./dom.js";
import { flags, itemList } from "./cards.js";
import { SECTIONS, fitOf, itemsOf, leftOutOf, questionsOf, weightOf } from "./personas.js";

/**
 * @typedef {import("./personas.js").Persona} Persona
 * @typedef {import("./main.js").App} App
 */

/**
 * Return the record, as far as it is known.
 *
 * @param {App} app
 * @param {Persona} persona
 * @returns {HTMLElement[]}
 */
export function recordView(app, persona) {
  const sections = SECTIONS.filter(({ content, key }) => content !== "TEXT" && key !== "buyingRole").map((section) => {
    if (section.content === "QUESTIONS") return questionList(persona, section);
    const shown = itemsOf(persona, section);
    return shown.length > 0 && itemList(section.label, shown, "h2");
  });
  return [
    element(
      "article",
      { class: "record" },
      element("h1", { tabindex: -1, key: "heading", dir: "auto" }, persona.name),
      flags(persona),
      persona.oId && element("p", { class: "quiet" }, element("code", {}, `oId ${persona.oId}`)),
      persona.description && written("p", persona.description, { class: "lines" }),
      element("div", { class: "sections" }, sections),
      otherQuestions(persona),
      details(persona),
      completeness(app, persona),
      element(
        "footer",
        { class: "actions" },
        app.canGoBack() && button("Back to the cards", "back", () => app.goBack()),
        button("Export", "export record", () => void app.openExport([persona])),
        app.canTell([persona]) && button("Tell the assistant", "tell record", () => void app.tell([persona])),
      ),
    ),
  ];
}

/**
 * @param {Persona} persona
 * @param {import("./personas.js").Section} section
 */
function questionList(persona, section) {
  const asked = questionsOf(persona, fitOf(section));
  return asked.length > 0 && element("section", {}, element("h2", {}, section.label), questions(asked));
}

/**
 * Questions that neither qualify nor rule out, and those that are no longer asked.
 *
 * @param {Persona} persona
 */
function otherQuestions(persona) {
  const others = persona.questions.filter((one) => one.archived || !["GOOD", "BAD"].includes(one.fit));
  if (!others.length) return null;
  return element("section", {}, element("h2", {}, "Other and archived questions"), questions(others));
}

/** @param {import("./personas.js").Question[]} asked */
function questions(asked) {
  return element(
    "ul",
    {},
    asked.map((one) =>
      element(
        "li",
        { dir: "auto" },
        weightOf(one) && element("span", { class: "weight", dir: "ltr" }, weightOf(one)),
        one.question,
        one.rationale && written("p", one.rationale, { class: "quiet" }),
      ),
    ),
  );
}

/** @param {Persona} persona */
function details(persona) {
  if (!persona.details.length) return null;
  const rows = persona.details.flatMap(([name, value]) => [written("dt", name), written("dd", value)]);
  return element("details", {}, element("summary", { key: "details" }, "Details"), element("dl", {}, rows));
}

/**
 * @param {App} app
 * @param {Persona} persona
 */
function completeness(app, persona) {
  const problem = app.problems.get(persona.key);
  if (app.loading.has(persona.key)) return element("p", { class: "quiet" }, "Loading the full record …");
  if (problem) return written("p", problem, { class: "problem" });
  if (persona.full && leftOutOf(persona)) return element("p", { class: "quiet" }, "Some items did not fit; Octave shows all.");
  if (persona.full) return null;
  return element("p", { class: "quiet" }, "This is what the result had. Ask the assistant for the full record.");
}
