// The server of mcp.mjs over HTTP, to be reached as a remote. Its argument says how it serves: `sessions` (the handshake
// era), `stateless` (2026-07-28), `dual` (both on one URL).
// One line on stdout says where.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createMcpHandler, isLegacyRequest, WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server";
import { createMcpServer } from "./mcp.mjs";

const sessions = new Map();

async function inSession(request) {
  const id = request.headers.get("mcp-session-id");
  if (id !== null) {
    return sessions.get(id)?.handleRequest(request) ?? Response.json({ error: "no such session" }, { status: 404 });
  }
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  await createMcpServer().connect(transport);
  return transport.handleRequest(request);
}

// Each request has a server of its own here; what all of them say reaches who listens by way of the handler.
const factory = () => {
  const mcp = createMcpServer();
  mcp.server.sendToolListChanged = async () => modern.notify.toolsChanged();
  mcp.server.sendPromptListChanged = async () => modern.notify.promptsChanged();
  mcp.server.sendResourceUpdated = async ({ uri }) => modern.notify.resourceUpdated(uri);
  return mcp;
};
const modern = createMcpHandler(factory, { legacy: "reject" });

const serve = {
  sessions: inSession,
  stateless: modern.fetch,
  dual: async (request) => ((await isLegacyRequest(request)) ? inSession(request) : modern.fetch(request)),
}[process.argv[2]];

async function answer(incoming, outgoing) {
  const left = new AbortController();
  outgoing.on("close", () => left.abort());
  const { method } = incoming;
  const body = method === "POST" ? { body: Readable.toWeb(incoming), duplex: "half" } : {};
  const url = `http://${incoming.headers.host}${incoming.url}`;
  const request = new Request(url, { method, headers: incoming.headers, signal: left.signal, ...body });
  const response = await serve(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.flushHeaders();
  if (response.body === null) return outgoing.end();
  // Who leaves in the middle of a stream ends it.
  await pipeline(Readable.fromWeb(response.body), outgoing).catch(() => {});
}

const listener = http.createServer(answer).listen(0, "127.0.0.1");
await once(listener, "listening");
console.log(`listening on ${listener.address().port}`);
