// The text of personas, to be copied or downloaded. It is shown too, so that it can be copied by hand.

import { answer, button, counted, element, focusOn } from "./dom.js";
import { FORMATS } from "./formats.js";

/**
 * @typedef {import("./main.js").App} App
 * @typedef {import("./formats.js").Format} Format
 */

/**
 * Return the export of some personas.
 *
 * @param {App} app
 * @param {import("./personas.js").Persona[]} personas
 * @returns {HTMLElement[]}
 */
export function exportView(app, personas) {
  const format = FORMATS[app.format];
  const contents = format.write(personas);
  const name = `personas.${format.suffix}`;
  const shown = element("textarea", { readonly: true, rows: 12, key: "contents", spellcheck: "false", dir: "auto" });
  shown.value = contents;
  const choices = Object.entries(FORMATS).map(([key, { label }]) => {
    const change = () => app.setFormat(/** @type {Format} */ (key));
    const choice = element("input", { type: "radio", name: "format", key: `format ${key}`, on: { change } });
    choice.checked = key === app.format;
    return element("label", { class: "choose" }, choice, label);
  });
  const partial = personas.filter(({ full }) => !full).length;
  return [
    element("h1", { tabindex: -1, key: "heading" }, `Export of ${counted(personas.length, "persona")}`),
    element("fieldset", {}, element("legend", {}, "Format"), choices),
    app.loading.size > 0
      ? element("p", { class: "quiet" }, "Loading the full records …")
      : element("p", { class: "quiet" }, partial ? `Shortened, as in the result: ${partial}.` : "Full records."),
    element("label", { class: "contents" }, "Contents", shown),
    element(
      "div",
      { class: "actions" },
      button("Copy", "copy", () => void copy(shown)),
      app.host.can("downloadFile") &&
        button("Download", "download", () => void app.attempt("Downloaded.", app.host.download(name, format.mimeType, contents))),
      button("Back", "back", () => app.goBack()),
    ),
  ];
}

/**
 * Copy a text. Where the page may not use the clipboard, the text is selected for copying by hand.
 *
 * @param {HTMLTextAreaElement} shown
 */
async function copy(shown) {
  const written = await navigator.clipboard?.writeText(shown.value).then(
    () => true,
    () => false,
  );
  if (written) return answer("Copied.");
  shown.focus();
  shown.select();
  if (!document.execCommand("copy")) return answer("Selected. Copy it with your keyboard or menu.");
  focusOn(document.body, "copy");
  return answer("Copied.");
}
