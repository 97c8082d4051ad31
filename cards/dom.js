// Elements of the page. What a persona says is only ever set as text: nothing in this page parses markup.

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, unknown> & {on?: Record<string, (event: Event) => void>}} Attributes
 *   Attributes by name; `on` has listeners by event. An attribute that is null, undefined or false is left out.
 */

/**
 * Return an element with its attributes and children. `key` names the element, so that it keeps the focus when the
 * page is drawn anew.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(attributes.on ?? {})) made.addEventListener(event, listener);
    } else if (name === "key") {
      made.dataset.key = String(value);
    } else if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children.flat()) {
    if (child || child === 0) made.append(child instanceof Node ? child : String(child));
  }
  return made;
}

/**
 * Return an element with a text that others wrote: its direction is that of the text. A `mark` before it is of this
 * page; with a direction of its own it does not count for that of the element.
 *
 * @param {keyof HTMLElementTagNameMap} tag
 * @param {string} text
 * @param {Attributes} [attributes]
 * @param {Child} [mark]
 */
export function written(tag, text, attributes = {}, mark = null) {
  return element(tag, { dir: "auto", ...attributes }, mark, text);
}

/**
 * Return a button.
 *
 * @param {string} label
 * @param {string} key
 * @param {() => void} press
 * @param {Attributes} [attributes]
 */
export function button(label, key, press, attributes = {}) {
  const click = () => {
    lastPressed = key;
    press();
  };
  return element("button", { type: "button", key, on: { click }, ...attributes }, label);
}

/** The key of the button that was pressed last. Not every browser gives a button the focus when it is clicked. */
let lastPressed = "";

/**
 * Say something to those who listen, and beside the button that was pressed last to those who see.
 *
 * @param {string} said
 */
export function answer(said) {
  announce(said);
  for (const earlier of document.querySelectorAll(".said")) earlier.remove();
  keyed(document.body, lastPressed)?.after(element("span", { class: "said", "aria-hidden": "true" }, said));
}

/**
 * Say something to those who listen; those who see it have it on the page.
 *
 * @param {string} said
 */
export function announce(said) {
  const announcement = document.getElementById("announcement");
  if (announcement) announcement.textContent = said;
}

/**
 * Return such as "1 persona" or "3 personas".
 *
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/**
 * Put new children into a container. What had the focus keeps it, as the element of the same key; what was opened or
 * closed stays so.
 *
 * @param {Element} container
 * @param {...(Child | Child[])} children
 */
export function redraw(container, ...children) {
  const active = document.activeElement;
  const key = active instanceof HTMLElement && container.contains(active) ? active.dataset.key : undefined;
  const opened = new Map([...container.querySelectorAll("details")].map((one) => [summaryKey(one), one.open]));
  container.replaceChildren(...children.flat().filter((child) => child instanceof Node));
  for (const one of container.querySelectorAll("details")) one.open = opened.get(summaryKey(one)) ?? one.open;
  if (key) focusOn(container, key);
}

/** @param {Element} details */
function summaryKey(details) {
  return details.querySelector("summary")?.dataset.key;
}

/**
 * Move the focus to the element of a key, if there is one.
 *
 * @param {Element} container
 * @param {string} key
 */
export function focusOn(container, key) {
  keyed(container, key)?.focus({ preventScroll: key.startsWith("card") });
}

/**
 * @param {Element} container
 * @param {string} key
 * @returns {HTMLElement | null}
 */
function keyed(container, key) {
  return container.querySelector(`[data-key="${CSS.escape(key)}"]`);
}
