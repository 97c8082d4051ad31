// Personas as Markdown and as CSV.

import { SECTIONS, fitOf, itemsOf, questionsOf, weightOf } from "./personas.js";

/**
 * @typedef {import("./personas.js").Persona} Persona
 * @typedef {"markdown" | "csv"} Format
 */

/** @type {Record<Format, {label: string, suffix: string, mimeType: string, write: (personas: Persona[]) => string}>} */
export const FORMATS = {
  markdown: { label: "Markdown", suffix: "md", mimeType: "text/markdown", write: asMarkdown },
  csv: { label: "CSV", suffix: "csv", mimeType: "text/csv", write: asCsv },
};

/**
 * Return the personas as Markdown, a heading for each. What they say is escaped, so that it stays text.
 *
 * @param {Persona[]} personas
 */
export function asMarkdown(personas) {
  return personas
    .map((persona) => {
      const parts = [`## ${escaped(persona.name)}`];
      if (persona.oId) parts.push(`oId: ${/^[\w-]+$/.test(persona.oId) ? `\`${persona.oId}\`` : escaped(persona.oId)}`);
      if (persona.description) parts.push(escaped(persona.description));
      for (const section of SECTIONS) {
        const lines = markdownItems(persona, section);
        if (lines.length) parts.push(`### ${section.label}`, lines.map((line) => `- ${line}`).join("\n"));
      }
      return `${parts.join("\n\n")}\n`;
    })
    .join("\n");
}

/**
 * Return the personas as CSV: a row for each and a column for each section, whose items are lines of one cell. No cell
 * begins as a formula.
 *
 * @param {Persona[]} personas
 */
export function asCsv(personas) {
  const head = ["oId", "name", ...SECTIONS.map(({ key }) => key)];
  const rows = personas.map((persona) => [
    persona.oId,
    persona.name,
    ...SECTIONS.map((section) => itemsOf(persona, section).join("\n")),
  ]);
  return [head, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/**
 * @param {Persona} persona
 * @param {import("./personas.js").Section} section
 */
function markdownItems(persona, section) {
  if (section.content === "TEXT") return [];
  if (section.content !== "QUESTIONS") return itemsOf(persona, section).map(escaped);
  return questionsOf(persona, fitOf(section)).map((one) => {
    const weight = weightOf(one);
    return [escaped(one.question), weight && `(${escaped(weight)})`, escaped(one.rationale)].filter(Boolean).join(" ");
  });
}

/**
 * Return a text in which Markdown finds no markup, on one line.
 *
 * @param {string} text
 */
function escaped(text) {
  return text
    .replaceAll(/[\\`*_[\]<>|~]/g, "\\$&")
    .replaceAll(/\s*\n\s*/g, " ")
    .replace(/^([#+-]|\d+[.)])/, "\\$1");
}

/** @param {string} text */
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
