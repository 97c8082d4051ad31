// Personas as the tools' results have them, condensed or in full, read into one shape. Missing fields are allowed.

/**
 * A section of a persona: its name in results, its label, and what it holds. They are declared once, in
 * `octave_mcp/octave/sections.py`; the build puts them here.
 *
 * @typedef {{key: string, label: string, content: "TEXT" | "LIST" | "QUESTIONS" | "CUSTOM_FIELDS"}} Section
 */

/** @type {Section[]} */
export const SECTIONS = BUILT_SECTIONS;

/**
 * @typedef {{question: string, fit: string, weight: string, rationale: string, archived: boolean}} Question
 *   `fit` is GOOD for a question that qualifies and BAD for one that rules out; both may be "" or something else.
 *
 * @typedef {object} Persona
 * @property {string} key  names the persona in this page; its oId, if it has one
 * @property {string} oId
 * @property {string} name
 * @property {string} description
 * @property {string[]} flags  such as "rejected"
 * @property {Record<string, string[]>} lists  items by the key of their section, questions aside
 * @property {Question[]} questions  strongest first
 * @property {[string, string][]} details  names and values
 * @property {Record<string, number>} leftOut  how many items of a section are not here
 * @property {boolean} full  whether this is the full record
 */

const FLAGS = ["rejected", "unrecognized", "archived", "deleted"];
const WEIGHTS = ["INSTANT_DISQUALIFIER", "HIGH", "MEDIUM", "LOW"];

/**
 * Return a persona, or a row of a list of personas.
 *
 * @param {unknown} value
 * @param {number} place  in its list
 * @param {boolean} [full]  whether `value` is a full record
 * @returns {Persona}
 */
export function readPersona(value, place, full = false) {
  const raw = fields(value);
  const lists = Object.fromEntries(
    SECTIONS.filter(({ content }) => content === "LIST" || content === "CUSTOM_FIELDS")
      .map(({ key }) => [key, texts(raw[key]).filter(Boolean)])
      .filter(([, items]) => items?.length),
  );
  return {
    key: text(raw.oId) || `place ${place}`,
    oId: text(raw.oId),
    name: text(raw.name) || "(no name)",
    description: text(raw.description),
    flags: FLAGS.filter((flag) => raw[flag] === true),
    lists,
    questions: [...questions(raw.qualifyingQuestions, "GOOD"), ...questions(raw.disqualifyingQuestions, "BAD")].sort(
      (one, other) => strength(one) - strength(other),
    ),
    details: Object.entries(fields(raw.details)).map(([name, detail]) => [name, text(detail)]),
    leftOut: counts(raw.leftOut),
    full,
  };
}

/**
 * Return a persona of which more is known: the later reading, with what only the earlier one has.
 *
 * @param {Persona | undefined} earlier
 * @param {Persona} later
 * @returns {Persona}
 */
export function merged(earlier, later) {
  if (!earlier || (later.full && !earlier.full)) return later;
  if (earlier.full && !later.full) return earlier;
  const isRicher = size(later) >= size(earlier);
  return isRicher ? { ...later, description: longer(earlier.description, later.description) } : earlier;
}

/**
 * Return a record with all of a section that did not fit into it, and was asked for by itself.
 *
 * @param {Persona} record
 * @param {Persona} more  with that section only
 * @param {string} section
 * @returns {Persona}
 */
export function extended(record, more, section) {
  const { [section]: _, ...others } = record.leftOut;
  return {
    ...record,
    description: longer(record.description, more.description),
    lists: { ...record.lists, ...more.lists },
    questions: more.questions.length > record.questions.length ? more.questions : record.questions,
    details: more.details.length > record.details.length ? more.details : record.details,
    leftOut: { ...others, ...more.leftOut },
  };
}

/**
 * Return the questions of one fit that are still asked.
 *
 * @param {Persona} persona
 * @param {string} fit
 */
export function questionsOf(persona, fit) {
  return persona.questions.filter((one) => one.fit === fit && !one.archived);
}

/**
 * Return what kind of question the persona has under the key of a section.
 *
 * @param {Section} section
 */
export function fitOf(section) {
  return section.key === "disqualifyingQuestions" ? "BAD" : "GOOD";
}

/**
 * Return the items of a section as texts.
 *
 * @param {Persona} persona
 * @param {Section} section
 * @returns {string[]}
 */
export function itemsOf(persona, section) {
  if (section.content === "TEXT") return persona.description ? [persona.description] : [];
  if (section.content === "QUESTIONS") return questionsOf(persona, fitOf(section)).map((one) => one.question);
  return persona.lists[section.key] ?? [];
}

/**
 * Return the words for the weight of a question, "" if it has none.
 *
 * @param {Question} question
 */
export function weightOf(question) {
  const words = question.weight.toLowerCase().replaceAll("_", " ");
  return words && words[0]?.toUpperCase() + words.slice(1);
}

/**
 * Return how many items are left out of a persona.
 *
 * @param {Persona} persona
 */
export function leftOutOf(persona) {
  return Object.values(persona.leftOut).reduce((sum, count) => sum + count, 0);
}

/**
 * Return an object's fields; none if it is no object.
 *
 * @param {unknown} value
 * @returns {Record<string, unknown>}
 */
export function fields(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object(value) : {};
}

/**
 * Return a list's items; none if it is no list.
 *
 * @param {unknown} value
 * @returns {unknown[]}
 */
export function items(value) {
  return Array.isArray(value) ? value : [];
}

/**
 * Return a text or a number as text; "" for anything else.
 *
 * @param {unknown} value
 */
export function text(value) {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/**
 * @param {unknown} value
 * @returns {string[]}
 */
function texts(value) {
  return items(value).map((one) => {
    const { title, value: values } = fields(one);
    return values === undefined ? text(one) : `${text(title) || "untitled"}: ${items(values).map(text).filter(Boolean).join(", ")}`;
  });
}

/**
 * @param {unknown} value
 * @param {string} fit  that of a question which does not say it
 * @returns {Question[]}
 */
function questions(value, fit) {
  return items(value)
    .map((one) => {
      const raw = typeof one === "string" ? { question: one } : fields(one);
      return {
        question: text(raw.question),
        fit: (text(raw.fitType) || fit).toUpperCase(),
        weight: text(raw.weight).toUpperCase(),
        rationale: text(raw.rationale),
        archived: raw.archived === true,
      };
    })
    .filter(({ question }) => question);
}

/**
 * @param {unknown} value
 * @returns {Record<string, number>}
 */
function counts(value) {
  const numbers = Object.entries(fields(value)).map(([key, count]) => /** @type {const} */ ([key, Number(count)]));
  return Object.fromEntries(numbers.filter(([, count]) => count > 0));
}

/** @param {Question} question */
function strength(question) {
  const place = WEIGHTS.indexOf(question.weight);
  return place < 0 ? WEIGHTS.length : place;
}

/** @param {Persona} persona */
function size(persona) {
  return Object.values(persona.lists).flat().length + persona.questions.length + (persona.description ? 1 : 0);
}

/**
 * @param {string} one
 * @param {string} other
 */
function longer(one, other) {
  return one.length > other.length ? one : other;
}
