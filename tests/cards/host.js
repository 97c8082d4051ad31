// The host's side, in a page around the frame of the cards: AppBridge of @modelcontextprotocol/ext-apps.
// The test calls `show` and the functions of `window.host`; what the page asks for is given to the test as `asked`.

import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

const waiting = new Map();
let numbers = 0;

/** Called by the test with its answer to what was asked. */
window.answered = (number, json) => {
  waiting.get(number)(JSON.parse(json));
  waiting.delete(number);
};

/** Ask the test, and return its answer. */
function ask(method, params) {
  const number = (numbers += 1);
  const answer = new Promise((resolve) => waiting.set(number, resolve));
  window.asked(JSON.stringify({ number, value: { method, params } }));
  return answer.then((value) => {
    if (value.refused) throw new Error(value.refused);
    return value;
  });
}

/** Show the page in a frame as hosts do: sandboxed, of no origin, with the policy of a page that allows no address. */
window.show = async (html, capabilities, context) => {
  const policy =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src 'none'; " +
    "connect-src 'none'; frame-src 'none'; object-src 'none'; base-uri 'none'";
  const guarded = html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${policy}">`);
  const frame = document.createElement("iframe");
  frame.title = "Persona cards";
  frame.sandbox = "allow-scripts";
  frame.srcdoc = guarded;
  const bridge = new AppBridge(null, { name: "test-host", version: "1" }, capabilities, { hostContext: context });
  const initialized = new Promise((resolve) => (bridge.oninitialized = resolve));
  bridge.oncalltool = (params) => ask("tools/call", params);
  bridge.onmessage = (params) => ask("ui/message", params);
  bridge.onupdatemodelcontext = (params) => ask("ui/update-model-context", params);
  bridge.ondownloadfile = (params) => ask("ui/download-file", params);
  bridge.onsizechange = ({ height }) => {
    frame.style.height = `${height}px`;
  };
  (document.getElementById("cards") ?? document.body).append(frame);
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  await initialized;
  window.host = bridge;
  return true;
};
