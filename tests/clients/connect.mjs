// Connects the way that design.md's users do: the SDK's own transport, the secret on both legs.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";

export const [base, secret] = process.argv.slice(2);

export function transport(server, extra = {}) {
  const headers = { Authorization: `Bearer ${secret}`, ...extra };
  return new SSEClientTransport(new URL(`${base}/${encodeURIComponent(server)}/sse`), {
    requestInit: { headers },
    eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) },
  });
}

export async function connect(server, extra = {}, capabilities = {}, prepare = () => {}) {
  const client = new Client({ name: "lockgate-tests", version: "1" }, { capabilities });
  prepare(client);
  await client.connect(transport(server, extra));
  return client;
}

export const text = (result) => result.content.map((part) => part.text).join("");

export async function call(client, name, args = {}, options = undefined) {
  return client.callTool({ name, arguments: args }, undefined, options);
}
