// The tools' results as this page shows them. Fields that a result does not have are allowed to be missing.

import { fields, items, readPersona, text } from "./personas.js";

/**
 * @typedef {import("./personas.js").Persona} Persona
 * @typedef {{personas: string, problem: string, code: string, mayExist: boolean, retry: string}} Failure
 * @typedef {{id: string, status: string, pending: string[], failed: Failure[], usage: number | null}} Generation
 * @typedef {{id: string, at: string, summary: string, names: string[]}} Listed  one of the latest generations
 * @typedef {{total: number | null, next: number | null}} Page  `next` is the offset of the next personas
 *
 * @typedef {object} Result
 * @property {"generation" | "list" | "record" | "generations" | "text"} kind
 * @property {Persona[]} personas
 * @property {string[]} notes
 * @property {Generation} [generation]
 * @property {Listed[]} [generations]
 * @property {Page} [page]
 * @property {string} [text]  the text of a result that has nothing else
 * @property {boolean} [isError]
 * @property {boolean} [isEmpty]  whether it says nothing at all
 */

/**
 * Return what a tool's result shows.
 *
 * @param {unknown} result  a CallToolResult
 * @returns {Result}
 */
export function readResult(result) {
  const { structuredContent, content, isError } = fields(result);
  const raw = fields(structuredContent);
  const notes = items(raw.notes).map(text).filter(Boolean);
  const isGeneration = Array.isArray(raw.personas) && raw.status !== undefined;
  if ((isError === true && !isGeneration) || !Object.keys(raw).length) {
    const said = items(content).map((block) => text(fields(block).text));
    const shown = said.filter(Boolean).join("\n\n") || text(raw.problem);
    const isEmpty = !shown && isError !== true;
    const words = shown || "The tool answered with nothing.";
    return { kind: "text", personas: [], notes, text: words, isError: isError === true, isEmpty };
  }
  if (Array.isArray(raw.generations)) {
    return { kind: "generations", personas: [], notes, generations: raw.generations.map(listed) };
  }
  if (!Array.isArray(raw.personas)) return { kind: "record", personas: [readPersona(raw, 0, true)], notes };
  const offset = typeof raw.offset === "number" ? raw.offset : 0;
  const personas = raw.personas.map((one, place) => readPersona(one, offset + place));
  if (!isGeneration) return { kind: "list", personas, notes, page: page(raw, offset + personas.length) };
  return { kind: "generation", personas, notes, generation: generation(raw) };
}

/**
 * Return the places that a text names, such as `personas[0] "CISO", personas[3] to personas[9] and 2 more`, with the
 * names that it gives. Places that are only counted are -1.
 *
 * @param {string} said
 * @returns {{place: number, name: string}[]}
 */
export function placesIn(said) {
  const found = [];
  for (const [, first, last, name] of said.matchAll(/personas\[(\d+)\](?: to personas\[(\d+)\])?(?: "([^"]*)")?/g)) {
    const end = Math.min(Number(last ?? first), Number(first) + 999);
    for (let place = Number(first); place <= end; place += 1) found.push({ place, name: name ?? "" });
  }
  const more = Number(/ and (\d{1,3}) more/.exec(said.replaceAll(/"[^"]*"/g, ""))?.[1] ?? 0);
  return [...found, ...Array.from({ length: more }, () => ({ place: -1, name: "" }))];
}

/** When asking again settles whether a persona exists. One that was asked for without a name never settles. */
const SETTLES = new Set(["after_seconds", "same_call"]);

/**
 * Return whether a generation may still change: something is being written, or it is not known yet whether it exists.
 *
 * @param {Generation} one
 */
export function isOpen(one) {
  return one.id !== "" && (one.status === "pending" || one.failed.some(({ mayExist, retry }) => mayExist && SETTLES.has(retry)));
}

/**
 * @param {Record<string, unknown>} raw
 * @returns {Generation}
 */
function generation(raw) {
  return {
    id: text(raw.generationId),
    status: text(raw.status),
    pending: items(raw.pending).map(text).filter(Boolean),
    failed: items(raw.failed).map((one) => {
      const { personas, problem, code, mayExist, retry } = fields(one);
      return {
        personas: text(personas),
        problem: text(problem),
        code: text(code),
        mayExist: mayExist === true,
        retry: text(retry),
      };
    }),
    usage: typeof raw.usage === "number" ? raw.usage : null,
  };
}

/**
 * @param {Record<string, unknown>} raw
 * @param {number} next
 * @returns {Page}
 */
function page(raw, next) {
  return { total: typeof raw.total === "number" ? raw.total : null, next: raw.more ? next : null };
}

/** @type {[string, string][]} */
const COUNTS = [
  ["created", "created"],
  ["pending", "being written"],
  ["unknown", "may exist"],
  ["failed", "failed"],
];

/**
 * @param {unknown} value
 * @returns {Listed}
 */
function listed(value) {
  const raw = fields(value);
  const named = COUNTS.flatMap(([field]) => items(raw[field]).map(text));
  const counts = COUNTS.map(([field, words]) => [count(raw[field]), words]).filter(([number]) => number);
  return {
    id: text(raw.generationId),
    at: text(raw.at) || text(raw.begun),
    summary: counts.map(([number, words]) => `${number} ${words}`).join(", "),
    names: (named.length ? named : items(raw.names).map(text)).filter(Boolean),
  };
}

/**
 * Return how many a list names; its last item may be such as "and 92 more".
 *
 * @param {unknown} value
 */
function count(value) {
  if (!Array.isArray(value)) return Number(text(value)) || 0;
  const more = /^and (\d+) more$/.exec(text(value.at(-1)))?.[1];
  return more === undefined ? value.length : value.length - 1 + Number(more);
}
