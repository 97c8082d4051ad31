// The host of this page: JSON-RPC 2.0 over postMessage, as the extension `io.modelcontextprotocol/ui` describes it.

import { fields, text } from "./personas.js";

/**
 * @typedef {Record<string, unknown>} Params
 * @typedef {(params: Params) => void} Listener
 */

const PROTOCOL_VERSION = "2026-01-26";
const REQUEST_SECONDS = 30;

/** Seconds for a tool: get_generation waits up to 45 by itself, or longer if the server is set so. */
const TOOL_SECONDS = 330;

/** What the host answered to a request that it did not carry out, or that it did not answer in time. */
export class HostError extends Error {}

/** The window around this page. */
export class Host {
  /** @type {Params} What the host lets this page do: `serverTools`, `message`, `downloadFile` and the like. */
  capabilities = {};
  /** @type {Params} The theme, the language and the like. */
  context = {};
  isConnected = false;
  isClosed = false;

  /** @type {Map<number, {resolve: (result: Params) => void, reject: (error: Error) => void}>} */
  #waiting = new Map();
  #requests = 0;
  #listeners;

  /** @param {Record<string, Listener>} listeners  by the name of a notification, without "ui/notifications/" */
  constructor(listeners) {
    this.#listeners = listeners;
  }

  /**
   * Shake hands, however long the host takes. Without its answer nothing is allowed; what it sends is read all the same.
   */
  async connect() {
    if (window.parent === window) return;
    window.addEventListener("message", (event) => {
      if (event.source === window.parent) this.#receive(fields(event.data));
    });
    const params = {
      appInfo: { name: "octave-personas", version: "1" },
      appCapabilities: { availableDisplayModes: ["inline"] },
      protocolVersion: PROTOCOL_VERSION,
    };
    const answer = await this.request("ui/initialize", params).catch(() => null);
    if (!answer) return;
    this.capabilities = fields(answer.hostCapabilities);
    this.context = fields(answer.hostContext);
    this.isConnected = true;
    this.notify("ui/notifications/initialized", {});
  }

  /**
   * Return whether the host lets this page do something.
   *
   * @param {string} capability
   */
  can(capability) {
    return this.isConnected && !this.isClosed && Boolean(this.capabilities[capability]);
  }

  /**
   * Call a tool of the server through the host, and return its CallToolResult.
   *
   * @param {string} name
   * @param {Params} parameters
   */
  callTool(name, parameters) {
    return this.request("tools/call", { name, arguments: parameters }, TOOL_SECONDS);
  }

  /**
   * Put a text into the conversation: as a message, else as context of the model's next turn. Throws HostError if the
   * host does neither.
   *
   * @param {string} said
   */
  async tell(said) {
    const content = [{ type: "text", text: said }];
    const answer = this.can("message")
      ? await this.request("ui/message", { role: "user", content }, REQUEST_SECONDS)
      : await this.addContext(said);
    if (fields(answer).isError === true) throw new HostError("The assistant did not take the message.");
  }

  /** Return whether `tell` can work. */
  canTell() {
    return this.can("message") || this.can("updateModelContext");
  }

  /**
   * Give the model a text to know at its next turn, in place of the last one.
   *
   * @param {string} said
   */
  addContext(said) {
    const content = [{ type: "text", text: said }];
    return this.request("ui/update-model-context", { content }, REQUEST_SECONDS);
  }

  /**
   * Offer a file for download. Throws HostError if the host does not.
   *
   * @param {string} name
   * @param {string} mimeType
   * @param {string} contents
   */
  async download(name, mimeType, contents) {
    const resource = { uri: `file:///${name}`, mimeType, text: contents };
    const params = { contents: [{ type: "resource", resource }] };
    const answer = await this.request("ui/download-file", params, REQUEST_SECONDS);
    if (answer.isError === true) throw new HostError("The download was declined.");
  }

  /**
   * Send a request and return its result. Throws HostError, also if there is no answer in so many seconds.
   *
   * @param {string} method
   * @param {Params} params
   * @param {number} [seconds]  no bound if it is left out
   * @returns {Promise<Params>}
   */
  request(method, params, seconds) {
    const id = (this.#requests += 1);
    return new Promise((resolve, reject) => {
      const giveUp = () => settle(reject)(new HostError("The host did not answer in time."));
      const late = seconds === undefined ? undefined : setTimeout(giveUp, seconds * 1000);
      /** @type {<Value>(settled: (value: Value) => void) => (value: Value) => void} */
      const settle = (settled) => (value) => {
        clearTimeout(late);
        this.#waiting.delete(id);
        settled(value);
      };
      this.#waiting.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.#post({ id, method, params });
    });
  }

  /**
   * Send a notification.
   *
   * @param {string} method
   * @param {Params} params
   */
  notify(method, params) {
    this.#post({ method, params });
  }

  /** @param {Params} message */
  #post(message) {
    // The host's origin is not known to a page in a sandbox; the host checks which frame a message comes from.
    window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  }

  /** @param {Params} message */
  #receive(message) {
    if (message.jsonrpc !== "2.0") return;
    if (typeof message.method === "string") {
      this.#serve(message.method, message);
      return;
    }
    const waiting = this.#waiting.get(Number(message.id));
    if (message.error) waiting?.reject(new HostError(text(fields(message.error).message)));
    else waiting?.resolve(fields(message.result));
  }

  /**
   * @param {string} method
   * @param {Params} message
   */
  #serve(method, message) {
    if (message.id === undefined) {
      const name = method.replace("ui/notifications/", "");
      if (name === "host-context-changed") this.context = { ...this.context, ...fields(message.params) };
      if (Object.hasOwn(this.#listeners, name)) this.#listeners[name]?.(fields(message.params));
      return;
    }
    if (method === "ui/resource-teardown") this.isClosed = true;
    const isKnown = method === "ping" || this.isClosed;
    const error = { code: -32601, message: "This page does not answer that." };
    this.#post({ id: message.id, ...(isKnown ? { result: {} } : { error }) });
  }
}
