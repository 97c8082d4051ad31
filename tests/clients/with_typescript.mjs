// The TypeScript SDK's client with its defaults, 60 seconds for a request among them: `node with_typescript.mjs NAME
// COMMAND [ARGUMENT...]`. It tells what it meets, a JSON object a line.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [name, patience, command, ...args] = process.argv.slice(2);
const tell = (what) => console.log(JSON.stringify(what));
const client = new Client({ name: "test", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: process.env, stderr: "inherit" }));
tell({ tools: (await client.listTools()).tools.map((tool) => tool.name) });

const wanted = {
  name: "generate_personas",
  arguments: { personas: [{ name, sources: [{ type: "TEXT", value: "notes" }] }] },
};
if (Number(patience)) {
  try {
    await client.callTool(wanted, undefined, { timeout: Number(patience) });
  } catch (error) {
    tell({ gaveUp: error.code });
  }
}
let made = (await client.callTool(wanted)).structuredContent;
tell({ status: made.status });
while (made.status === "pending") {
  const collected = { name: "get_generation", arguments: { generationId: made.generationId } };
  made = (await client.callTool(collected)).structuredContent;
  tell({ status: made.status });
}
const oId = made.personas[0].oId;
const full = await client.callTool({ name: "get_persona", arguments: { oId } });
tell({ read: full.structuredContent.oId, made: oId });
await client.close();
