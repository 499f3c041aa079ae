// The load of load.mjs by the TypeScript SDK v1: `sse` or `streamable`.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { aside, carrier, load } from "./load.mjs";

await load(async (number) => {
  const client = new Client({ name: "lockgate-load", version: "1" }, { capabilities: {} });
  client.onerror = aside;
  await client.connect(carrier(SSEClientTransport, StreamableHTTPClientTransport, number));
  return {
    callTool: (params, options) => client.callTool(params, undefined, options),
    close: () => client.close(),
  };
});
