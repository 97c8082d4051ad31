// A client of the TypeScript SDK: `node with_typescript.mjs WISH URL`, or a command in place of the URL. WISH is JSON;
// with nothing in it but `sdk`, the client has its defaults, 60 seconds for a request among them. It tells what it
// meets, a JSON object a line.
import { createRequire } from "node:module";

const require = createRequire(new URL("../npm/", import.meta.url)); // where the packages are
const [wish, server, ...args] = process.argv.slice(2);
const { sdk, patience, listens, consents } = JSON.parse(wish);

const first = sdk === "1";
const load = (name) => require(`@modelcontextprotocol/${name}`);
const { Client } = load(first ? "sdk/client/index.js" : "client");
const { StdioClientTransport } = load(first ? "sdk/client/stdio.js" : "client/stdio");
const { StreamableHTTPClientTransport } = load(first ? "sdk/client/streamableHttp.js" : "client");
const versionNegotiation = { mode: sdk === "2 modern" ? { pin: "2026-07-28" } : "legacy" };

const tell = (what) => console.log(JSON.stringify(what));
const capabilities = consents ? { elicitation: { form: {} } } : {};
const client = new Client({ name: "test", version: "1" }, { versionNegotiation, capabilities });
if (consents) {
  const method = first ? load("sdk/types.js").ElicitRequestSchema : "elicitation/create";
  client.setRequestHandler(method, ({ params }) => {
    tell({ question: params.message });
    return consents === "accept" ? { action: consents, content: { create: true } } : { action: consents };
  });
}
const call = async (name, given, options) => {
  const request = { name, arguments: given };
  const result = await (first ? client.callTool(request, undefined, options) : client.callTool(request, options));
  tell({ status: result.structuredContent.status });
  return result.structuredContent;
};

const transport = args.length
  ? new StdioClientTransport({ command: server, args, env: process.env })
  : new StreamableHTTPClientTransport(new URL(server));
await client.connect(transport);
tell({ tools: (await client.listTools()).tools.map((tool) => tool.name) });

const wanted = { personas: [{ name: "A", sources: [{ type: "TEXT", value: "notes" }] }] };
if (patience && !listens) {
  await call("generate_personas", wanted, { timeout: patience }).catch(() => tell({ gaveUp: true }));
}
const onprogress = ({ message }) => tell({ progress: message });
const options = listens ? { timeout: patience, resetTimeoutOnProgress: true, onprogress } : undefined;
let made = await call("generate_personas", wanted, options);
if (consents === "decline") {
  tell({ failed: made.failed });
  await client.close();
  process.exit();
}
while (made.status === "pending") {
  made = await call("get_generation", { generationId: made.generationId });
}
const [{ oId }] = made.personas;
const read = await client.callTool({ name: "get_persona", arguments: { oId } });
tell({ read: read.structuredContent });
await client.close();
