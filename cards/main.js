// The page: what it knows, what a person can do with it, and which view is drawn.

import { cardsView, FIRST_CARDS, MAX_CHOSEN } from "./cards.js";
import { collect } from "./collect.js";
import { comparisonView } from "./compare.js";
import { collectedWords, isNamable, useWords } from "./conversation.js";
import { announce, answer, counted, focusOn, redraw } from "./dom.js";
import { Host, HostError } from "./host.js";
import { extended, fields, items, merged, text } from "./personas.js";
import { recordView } from "./record.js";
import { isOpen, placesIn, readResult } from "./results.js";
import { exportView } from "./share.js";
import { statusView } from "./status.js";
import { applyContext, watchSize } from "./surroundings.js";

/**
 * @typedef {import("./personas.js").Persona} Persona
 * @typedef {import("./results.js").Result} Result
 * @typedef {{name: "cards"} | {name: "record", key: string} | {name: "comparison"} | {name: "export", keys: string[]}} View
 */

/** Full records that one action loads at most; what a result had is used for any others. */
const MAX_RECORDS = 25;

/** Everything that the page knows. A change is followed by `draw`. */
export class App {
  /** @type {Persona[]} */
  personas = [];
  /** @type {Result | null} The latest result, for what it says beside its personas. */
  result = null;
  /** @type {import("./results.js").Page | null} */
  page = null;
  /** @type {View[]} The last one is shown. */
  views = [{ name: "cards" }];
  /** @type {Set<string>} Keys of the personas that are chosen. */
  chosen = new Set();
  /** @type {Set<string>} Keys of the personas whose records are being loaded. */
  loading = new Set();
  /** @type {Map<string, string>} Why a record could not be loaded, by key. */
  problems = new Map();
  /** @type {"no" | "running" | "stopped"} Whether this page collects what is being written. */
  collecting = "no";
  isCancelled = false;
  filter = "";
  cardsShown = FIRST_CARDS;
  /** @type {import("./formats.js").Format} */
  format = "markdown";
  /** @type {Record<string, unknown>} The arguments of the call whose result this page shows. */
  input = {};

  host = new Host({
    "tool-input": ({ arguments: input }) => this.update(() => (this.input = fields(input))),
    "tool-result": (result) => this.receiveFromHost(readResult(result)),
    "tool-cancelled": () => this.update(() => (this.isCancelled = true)),
    "host-context-changed": () => applyContext(this.host.context),
  });

  async start() {
    this.draw();
    await this.host.connect();
    applyContext(this.host.context);
    watchSize(this.host);
    this.draw();
    this.collectIfOpen();
  }

  /**
   * Show a result that the host sends: not again one that was collected since, nor an empty one in place of another.
   *
   * @param {Result} result
   */
  receiveFromHost(result) {
    const [shown, sent] = [this.result?.generation, result.generation];
    const isOld = shown && sent && shown.id === sent.id && isOpen(sent) && !isOpen(shown);
    if (!isOld && !(this.result && result.isEmpty)) this.receive(result);
  }

  /**
   * Show a result of a tool.
   *
   * @param {Result} result
   */
  receive(result) {
    const known = new Map(this.personas.map((persona) => [persona.key, persona]));
    this.isCancelled = false;
    this.result = result;
    this.page = result.page ?? null;
    this.personas = result.personas.map((persona) => merged(known.get(persona.key), persona));
    const [only] = this.personas;
    if (result.kind === "record" && only) this.views = [{ name: "record", key: only.key }];
    this.draw();
    this.collectIfOpen();
  }

  /** Collect what is being written, if the host lets this page call tools. */
  collectIfOpen() {
    const generation = this.result?.generation;
    if (!generation || this.collecting === "running" || !isOpen(generation) || !this.host.can("serverTools")) return;
    this.collecting = "running";
    this.draw();
    const show = (/** @type {Result} */ result) => {
      if (this.result?.generation?.id !== generation.id) return;
      this.receive(result);
      announce(`${counted(this.personas.length, "persona")} ready.`);
    };
    void collect(this.host, generation.id, show).then((isSettled) => {
      this.collecting = isSettled ? "no" : "stopped";
      this.draw();
      if (isSettled) void this.reportCollected();
    });
  }

  /** Let the model know, without a turn of its own, what this page has collected. */
  async reportCollected() {
    const generation = this.result?.generation;
    if (!generation || !this.host.can("updateModelContext")) return;
    await this.host.addContext(collectedWords(generation, this.personas)).catch(() => null);
  }

  /**
   * Open the full record of a persona.
   *
   * @param {Persona} persona
   */
  async openRecord(persona) {
    this.show({ name: "record", key: persona.key });
    await this.loadRecords([persona]);
  }

  async openComparison() {
    this.show({ name: "comparison" });
    await this.loadRecords(this.chosenPersonas());
  }

  /**
   * Open the export of these personas; of those that are chosen, or of all.
   *
   * @param {Persona[]} [personas]
   */
  async openExport(personas) {
    const chosen = this.chosenPersonas();
    const exported = personas ?? (chosen.length ? chosen : this.personas);
    this.show({ name: "export", keys: exported.map(({ key }) => key) });
    await this.loadRecords(exported);
  }

  /**
   * Load the full records of these personas, as far as the host lets this page.
   *
   * @param {Persona[]} personas
   */
  async loadRecords(personas) {
    const wanted = personas.filter(({ key, oId, full }) => oId && !full && !this.loading.has(key)).slice(0, MAX_RECORDS);
    if (!wanted.length || !this.host.can("serverTools")) return;
    for (const { key } of wanted) this.loading.add(key);
    this.draw();
    for (const persona of wanted) {
      const loaded = await this.#record(persona).catch((error) => this.#recordProblem(persona, error));
      this.loading.delete(persona.key);
      if (loaded) this.personas = this.personas.map((one) => (one.key === persona.key ? loaded : one));
      this.draw();
    }
  }

  /**
   * Load the next personas of a list.
   *
   * @param {number} offset
   */
  async loadMore(offset) {
    const result = await this.host.callTool("list_personas", { ...this.input, offset }).then(readResult, () => null);
    if (result?.kind !== "list") return answer("The next personas could not be loaded. Try again.");
    const known = new Set(this.personas.map(({ key }) => key));
    this.personas = [...this.personas, ...result.personas.filter(({ key }) => !known.has(key))];
    this.page = result.page ?? null;
    this.cardsShown = Infinity;
    this.draw();
    return answer(`${this.personas.length} personas are shown.`);
  }

  /**
   * Show one of the latest generations.
   *
   * @param {string} generationId
   */
  async openGeneration(generationId) {
    const result = await this.host.callTool("get_generation", { generationId }).then(readResult, () => null);
    if (!result) return answer("The generation could not be loaded. Try again.");
    this.receive(result);
    return focusOn(document.body, "heading");
  }

  /**
   * Put personas into the conversation: their names and oIds. Their texts are not sent, as a message is in the name of
   * the person, and what a persona says was written by others.
   *
   * @param {Persona[]} personas
   */
  tell(personas) {
    return this.attempt("The assistant has it now.", this.host.tell(useWords(personas)));
  }

  /**
   * Announce how something ended that the host was asked for.
   *
   * @param {string} done
   * @param {Promise<unknown>} asked
   */
  async attempt(done, asked) {
    try {
      await asked;
      answer(done);
    } catch (error) {
      answer(error instanceof HostError && error.message ? error.message : "The host did not do it.");
    }
  }

  /** @param {Persona} persona */
  choose(persona) {
    this.update(() => {
      if (!this.chosen.delete(persona.key) && this.chosen.size < MAX_CHOSEN) this.chosen.add(persona.key);
    });
  }

  chosenPersonas() {
    return this.personas.filter(({ key }) => this.chosen.has(key));
  }

  /** Return the names of personas that are being written, "" for one without a name. */
  pendingNames() {
    const asked = this.#namesAskedFor();
    if (!this.result) return this.isCancelled ? [] : asked;
    const pending = this.result.generation?.pending ?? [];
    return pending.flatMap(placesIn).map(({ place, name }) => name || asked[place] || "");
  }

  /**
   * Return the names of the personas whose places in the call a text names, or the text if it names none.
   *
   * @param {string} said
   */
  namesIn(said) {
    const [asked, places] = [this.#namesAskedFor(), placesIn(said)];
    const known = places.filter(({ place }) => place >= 0);
    if (!known.length) return said;
    const names = known.map(({ place, name }) => name || asked[place] || `Persona ${place + 1}`);
    const more = places.length - known.length;
    return names.join(", ") + (more ? ` and ${more} more` : "");
  }

  #namesAskedFor() {
    return items(this.input.personas).map((one) => text(fields(one).name));
  }

  /** @param {import("./formats.js").Format} format */
  setFormat(format) {
    this.update(() => (this.format = format));
  }

  /**
   * Return whether the assistant can be told of any of these personas: each that has an oId.
   *
   * @param {Persona[]} personas
   */
  canTell(personas) {
    return this.host.canTell() && personas.some(isNamable);
  }

  canGoBack() {
    return this.views.length > 1;
  }

  goBack() {
    const left = this.views.pop();
    this.draw();
    const key = left?.name === "record" ? `card ${left.key} open` : (left?.name.replace("comparison", "compare") ?? "");
    focusOn(document.body, this.views.at(-1)?.name === "cards" ? key : "heading");
  }

  /** @param {View} view */
  show(view) {
    this.views.push(view);
    this.draw();
    focusOn(document.body, "heading");
  }

  /** @param {() => void} change */
  update(change) {
    change();
    this.draw();
  }

  draw() {
    const page = document.getElementById("page");
    if (page) redraw(page, this.#view());
  }

  #view() {
    const view = this.views.at(-1);
    const persona = view?.name === "record" && this.personas.find(({ key }) => key === view.key);
    if (persona) return recordView(this, persona);
    if (view?.name === "comparison" && this.chosen.size > 1) return comparisonView(this);
    if (view?.name === "export") return exportView(this, this.personas.filter(({ key }) => view.keys.includes(key)));
    return [...statusView(this), ...cardsView(this)];
  }

  /**
   * @param {Persona} persona
   * @returns {Promise<Persona>}
   */
  async #record(persona) {
    const result = readResult(await this.host.callTool("get_persona", { oId: persona.oId }));
    const [record] = result.personas;
    if (result.kind !== "record" || !record) throw new HostError(result.text ?? "");
    let whole = { ...record, key: persona.key };
    for (const section of Object.keys(record.leftOut)) {
      const part = await this.host.callTool("get_persona", { oId: persona.oId, sections: [section] });
      const [more] = readResult(part).personas;
      if (more) whole = extended(whole, more, section);
    }
    return whole;
  }

  /**
   * @param {Persona} persona
   * @param {unknown} error
   */
  #recordProblem(persona, error) {
    const said = error instanceof HostError ? error.message : "";
    this.problems.set(persona.key, said || "The full record could not be loaded.");
    return null;
  }
}

void new App().start();
