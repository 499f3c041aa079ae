// An MCP server over stdio that has all that the two official conformance suites call, and what our own client tests need.
// Its argument says which era of the protocol it speaks: handshake, dual or stateless.
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio";
import { createMcpServer } from "./mcp.mjs";

const serve = {
  handshake: () => createMcpServer().connect(new StdioServerTransport()),
  dual: () => serveStdio(createMcpServer),
  stateless: () => serveStdio(createMcpServer, { legacy: "reject" }),
};
const era = process.argv[2];
if (!Object.hasOwn(serve, era)) {
  console.error(`usage: server.mjs ${Object.keys(serve).join("|")}`);
  process.exit(2);
}
await serve[era]();
