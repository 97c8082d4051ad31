// Collecting what is still being written, so that the model spends no turn on it.

import { isOpen, readResult } from "./results.js";

/** @typedef {import("./results.js").Result} Result */

/** Calls of get_generation in a row; each waits up to 45 seconds by itself. */
const MAX_CALLS = 40;
const MAX_FAILURES = 3;
const PAUSE_SECONDS = 1;
const PAUSE_AFTER_FAILURE_SECONDS = 5;

/**
 * Call get_generation until nothing of the generation is open any more. Returns whether that was reached.
 *
 * @param {import("./host.js").Host} host
 * @param {string} generationId
 * @param {(result: Result) => void} show  receives each result
 */
export async function collect(host, generationId, show) {
  let failures = 0;
  for (let call = 0; call < MAX_CALLS && failures < MAX_FAILURES && !host.isClosed; call += 1) {
    const result = await host.callTool("get_generation", { generationId }).then(readResult, () => null);
    if (result?.generation) {
      failures = 0;
      show(result);
      if (!isOpen(result.generation)) return true;
      await pause(PAUSE_SECONDS);
    } else {
      failures += 1;
      await pause(PAUSE_AFTER_FAILURE_SECONDS);
    }
  }
  return false;
}

/** @param {number} seconds */
function pause(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
