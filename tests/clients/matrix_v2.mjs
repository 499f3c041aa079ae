// A row of the era matrix by the TypeScript SDK v2: `sse`, `streamable` or `stateless`.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { aside, calling, row } from "./matrix.mjs";
import { capabilities, carrier, stateless } from "./matrix_connection.mjs";

await row(async () => {
  const versionNegotiation = { mode: stateless ? { pin: "2026-07-28" } : "legacy" };
  const client = new Client({ name: "lockgate-matrix", version: "1" }, { capabilities, versionNegotiation });
  client.onerror = aside;
  await client.connect(carrier(SSEClientTransport, StreamableHTTPClientTransport));
  return {
    client,
    call: calling((params, options) => client.callTool(params, options)),
    request: (method, handler) => client.setRequestHandler(method, handler),
    notice: (method, handler) => client.setNotificationHandler(method, handler),
  };
});
