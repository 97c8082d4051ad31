// What the host tells of itself: theme, colours and fonts; and what it is told: the size of the page. The page is in
// English and runs from left to right; what a persona says runs as it is written.

import { fields } from "./personas.js";

/**
 * Look as the host does.
 *
 * @param {Record<string, unknown>} context
 */
export function applyContext(context) {
  const root = document.documentElement;
  if (context.theme === "light" || context.theme === "dark") root.dataset.theme = context.theme;
  for (const [name, value] of Object.entries(fields(fields(context.styles).variables))) {
    if (name.startsWith("--") && typeof value === "string" && !/url\(/i.test(value)) root.style.setProperty(name, value);
  }
}

/**
 * Tell the host how large the page is, at first and after each change.
 *
 * @param {import("./host.js").Host} host
 */
export function watchSize(host) {
  if (!host.isConnected) return;
  let last = "";
  const report = () => {
    const { width, height } = document.documentElement.getBoundingClientRect();
    const size = { width: Math.ceil(width), height: Math.ceil(height) };
    if (JSON.stringify(size) === last) return;
    last = JSON.stringify(size);
    host.notify("ui/notifications/size-changed", size);
  };
  new ResizeObserver(() => requestAnimationFrame(report)).observe(document.documentElement);
  report();
}
