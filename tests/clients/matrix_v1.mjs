// A row of the era matrix by the TypeScript SDK v1: `sse` or `streamable`.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as types from "@modelcontextprotocol/sdk/types.js";
import { aside, calling, row } from "./matrix.mjs";
import { capabilities, carrier } from "./matrix_connection.mjs";

// By the method that each is of.
const schemas = Object.fromEntries(
  Object.values(types)
    .map((schema) => [schema?.shape?.method?.value, schema])
    .filter(([method]) => method !== undefined),
);

await row(async () => {
  const client = new Client({ name: "lockgate-matrix", version: "1" }, { capabilities });
  client.onerror = aside;
  await client.connect(carrier(SSEClientTransport, StreamableHTTPClientTransport));
  return {
    client,
    call: calling((params, options) => client.callTool(params, undefined, options)),
    request: (method, handler) => client.setRequestHandler(schemas[method], handler),
    notice: (method, handler) => client.setNotificationHandler(schemas[method], handler),
  };
});
