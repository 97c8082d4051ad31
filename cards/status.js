// What is to be known beside the cards: how far a generation is, what failed and why, notes, and texts without personas.

import { button, counted, element, written } from "./dom.js";
import { isOpen, placesIn } from "./results.js";

/** @typedef {import("./main.js").App} App */

/** @type {Record<string, string>} */
const HEADINGS = {
  invalid_arguments: "The call was not right",
  input_rejected: "Octave rejected it",
  name_exists: "A persona of this name exists",
  declined: "No consent, not sent",
  not_found: "Not found",
  key_problem: "The API key does not work",
  no_credits: "No credits left",
  limit_reached: "A limit is reached",
  busy: "Octave is busy",
  not_sent: "Not sent",
  not_created: "Not created",
  setup_problem: "The setup is wrong",
  no_answer: "Octave did not answer",
  outcome_unknown: "It may exist",
};

/**
 * Return what stands above the cards.
 *
 * @param {App} app
 * @returns {HTMLElement[]}
 */
export function statusView(app) {
  const { result } = app;
  const parts = [
    element("h1", { tabindex: -1, key: "heading" }, title(app)),
    progress(app),
    next(app),
    ...(result?.generation?.failed ?? []).map((failed) => failure(app, failed)),
    result?.text && written("p", result.text, { class: result.isError ? "problem lines" : "lines" }),
    latest(app),
    result?.notes.length ? notes(result.notes, isSearch(app)) : null,
  ];
  return parts.filter((part) => part instanceof HTMLElement);
}

/** @param {App} app */
function title({ result, personas, page, isCancelled, host }) {
  if (!result && isCancelled) return "The call was cancelled";
  if (!result) return host.isConnected ? "Waiting for the personas" : "Personas";
  if (result.kind === "text") return result.isError ? "That did not work" : "Answer";
  if (result.kind === "generations") return "Latest generations";
  if (result.generation?.status === "failed") {
    if (!result.generation.id) return "That did not work";
    return result.generation.failed.some(({ mayExist }) => mayExist) ? "No persona is ready" : "Nothing was created";
  }
  if (page?.total) return `${personas.length} of ${counted(page.total, "persona")}`;
  return counted(personas.length, "persona");
}

/** @param {App} app */
function progress(app) {
  const generation = app.result?.generation;
  const ready = app.personas.length;
  const pending = app.pendingNames().length;
  const usage = generation?.usage ?? null;
  const credits = usage === null ? "" : ` ${counted(usage, "credit")} charged.`;
  if (!pending) return usage === null ? null : element("p", { class: "quiet" }, credits);
  const total = ready + pending + (generation?.failed ?? []).flatMap(({ personas }) => placesIn(personas)).length;
  const said = `${ready} of ${total} ready.${credits}`;
  return element(
    "div",
    { class: "progress" },
    element("progress", { max: total, value: ready, "aria-label": "Personas ready" }),
    element("p", {}, said),
  );
}

/** @param {App} app */
function next(app) {
  const generation = app.result?.generation;
  if (!generation || !isOpen(generation)) return null;
  if (app.collecting === "running") return element("p", { class: "quiet" }, "What is missing appears here by itself.");
  if (!app.host.can("serverTools")) return element("p", { class: "quiet" }, "Ask the assistant to collect what is missing.");
  return button("Look again", "look again", () => app.collectIfOpen());
}

/**
 * @param {App} app
 * @param {import("./results.js").Failure} failed
 */
function failure(app, { personas, problem, code, mayExist }) {
  const known = Object.hasOwn(HEADINGS, code) ? HEADINGS[code] : undefined;
  const heading = known ?? (mayExist ? HEADINGS.outcome_unknown : "Not created");
  return element(
    "section",
    { class: mayExist ? "failure doubtful" : "failure" },
    element("h2", {}, heading ?? ""),
    personas !== "all" && written("p", app.namesIn(personas), { class: "quiet" }),
    written("p", problem, { class: "lines" }),
  );
}

/**
 * Return whether the page shows what a search found: its notes say so if nothing matched, and all are listed.
 *
 * @param {App} app
 */
function isSearch({ result, input }) {
  return result?.kind === "list" && Boolean(input.text);
}

/**
 * @param {string[]} said
 * @param {boolean} open
 */
function notes(said, open) {
  const listed = element("ul", {}, said.map((note) => written("li", note)));
  return element("details", { class: "notes", open }, element("summary", { key: "notes" }, counted(said.length, "note")), listed);
}

/** @param {App} app */
function latest(app) {
  const generations = app.result?.generations;
  if (!generations) return null;
  if (!generations.length) return element("p", {}, "There are none yet.");
  const rows = generations.map((one, place) =>
    element(
      "li",
      { class: "card" },
      element("h2", { id: `at-${place}` }, one.at),
      element("p", {}, one.summary),
      one.names.length > 0 && element("ul", { class: "chips" }, one.names.map((name) => written("li", name))),
      app.host.can("serverTools") &&
        element(
          "footer",
          { class: "actions" },
          button("Open", `generation ${one.id}`, () => void app.openGeneration(one.id), { "aria-describedby": `at-${place}` }),
        ),
    ),
  );
  return element("ul", { class: "cards", "aria-label": "Latest generations" }, rows);
}
