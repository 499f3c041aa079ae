// How a client of the era matrix reaches its server: as BASE SECRET SERVER TRANSPORT, the arguments, say.
const [base, secret, server, transport] = process.argv.slice(2);
export const stateless = transport === "stateless";
export const capabilities = { elicitation: {}, sampling: {}, roots: {} };

const headers = { Authorization: `Bearer ${secret}` };
const endpoint = (last) => new URL(`${base}/${encodeURIComponent(server)}/${last}`);

/** The SDK's own transport, by its constructors. */
export function carrier(Sse, StreamableHttp) {
  if (transport !== "sse") return new StreamableHttp(endpoint("mcp"), { requestInit: { headers } });
  return new Sse(endpoint("sse"), {
    requestInit: { headers },
    eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) },
  });
}

/** Posts a request of the stateless era by hand, for what its SDKs refuse to send. */
export async function posted(method) {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": capabilities,
  };
  const response = await fetch(endpoint("mcp"), {
    method: "POST",
    headers: {
      ...headers,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": "2026-07-28",
      "Mcp-Method": method,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: "by hand", method, params: { _meta } }),
  });
  return { status: response.status, answer: await response.json() };
}
