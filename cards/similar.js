// What personas have in common: items that say the same, in the same words or nearly.

import { SECTIONS, itemsOf } from "./personas.js";

/**
 * @typedef {import("./personas.js").Persona} Persona
 * @typedef {{section: string, text: string}} Shared  an item, in the words of the first persona that has it
 */

/** The part of two items' words that both have, from which on they say the same. */
const SAME_WORDS = 0.6;

const MIN_WORDS = 3;
const SMALL_WORDS = new Set(["and", "are", "for", "has", "have", "how", "the", "that", "their", "they", "this", "with"]);

/**
 * Return what two or more of the personas share, by section, and the items that are part of it.
 *
 * @param {Persona[]} personas
 * @returns {{shared: Shared[], marks: Set<string>}} `marks` has the `markOf` of each such item
 */
export function sharedBy(personas) {
  /** @type {Shared[]} */
  const shared = [];
  /** @type {Set<string>} */
  const marks = new Set();
  for (const section of SECTIONS.filter(({ content }) => content !== "TEXT")) {
    const all = personas.flatMap((persona) =>
      itemsOf(persona, section).map((text) => ({ persona, text, words: wordsOf(text) })),
    );
    /** @type {Set<object>} */
    const grouped = new Set();
    for (const item of all) {
      if (grouped.has(item)) continue;
      const group = all.filter((other) => !grouped.has(other) && isSame(item, other));
      const owners = new Set(group.map(({ persona }) => persona.key));
      if (owners.size < 2) continue;
      shared.push({ section: section.label, text: item.text });
      for (const one of group) {
        grouped.add(one);
        marks.add(markOf(one.persona, section.key, one.text));
      }
    }
  }
  return { shared, marks };
}

/**
 * Return what names an item of a persona among `marks`.
 *
 * @param {Persona} persona
 * @param {string} section
 * @param {string} text
 */
export function markOf(persona, section, text) {
  return JSON.stringify([persona.key, section, text]);
}

/**
 * @param {{text: string, words: Set<string>}} one
 * @param {{text: string, words: Set<string>}} other
 */
function isSame(one, other) {
  if (plain(one.text) === plain(other.text)) return true;
  if (Math.min(one.words.size, other.words.size) < MIN_WORDS) return false;
  const both = [...one.words].filter((word) => other.words.has(word)).length;
  return both / (one.words.size + other.words.size - both) >= SAME_WORDS;
}

/** @param {string} text */
function wordsOf(text) {
  const words = plain(text).match(/[\p{L}\p{N}]+/gu) ?? [];
  return new Set(words.filter((word) => word.length > 2 && !SMALL_WORDS.has(word)));
}

/** @param {string} text */
function plain(text) {
  return text.normalize("NFKC").toLowerCase().trim();
}
