// Build personas with the TypeScript SDK, wait until they are written, and print one in full.
//
//     npm install @modelcontextprotocol/client
//     node client.mjs [URL]
//
// Without the address of a team server it starts its own, on sample data unless OCTAVE_API_KEY or OCTAVE_API_KEY_FILE
// is set.
const [{ Client, StreamableHTTPClientTransport }, { StdioClientTransport }] = await Promise.all([
  import("@modelcontextprotocol/client"),
  import("@modelcontextprotocol/client/stdio"),
]).catch(() => {
  console.error("A package is missing. Run this first: npm install @modelcontextprotocol/client");
  process.exit(1);
});

const PERSONAS = [
  { name: "CISO", sources: [{ type: "TEXT", value: "Her team spends three weeks on each audit." }] },
  { name: "CFO", sources: [{ type: "TEXT", value: "He closes the quarter from five spreadsheets." }] },
];

const [url] = process.argv.slice(2);
const hasKey = process.env.OCTAVE_API_KEY || process.env.OCTAVE_API_KEY_FILE;
const transport = url
  ? new StreamableHTTPClientTransport(new URL(url))
  : new StdioClientTransport({ command: "octave-personas-mcp", args: hasKey ? [] : ["--sandbox"], env: process.env });
const client = new Client({ name: "example", version: "1.0.0" });

async function call(name, args) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError) throw new Error(result.content.map((block) => block.text).join("\n"));
  return result.structuredContent;
}

try {
  await client.connect(transport);
  let made = await call("generate_personas", { personas: PERSONAS });
  while (made.status === "pending") {
    made = await call("get_generation", { generationId: made.generationId });
  }
  for (const { name, oId } of made.personas) console.log(`${name} (${oId})`);
  console.log(await call("get_persona", { oId: made.personas[0].oId }));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await client.close();
}
