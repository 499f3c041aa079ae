// The load of load.mjs by the TypeScript SDK v2: `sse`, `streamable` or `stateless`.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { aside, carrier, load, stateless } from "./load.mjs";

await load(async (number) => {
  const versionNegotiation = { mode: stateless ? { pin: "2026-07-28" } : "legacy" };
  const client = new Client({ name: "lockgate-load", version: "1" }, { capabilities: {}, versionNegotiation });
  client.onerror = aside;
  await client.connect(carrier(SSEClientTransport, StreamableHTTPClientTransport, number));
  return client;
});
