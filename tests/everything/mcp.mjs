// The server itself, whatever carries it.
import { McpServer } from "@modelcontextprotocol/server";
import { extras } from "./extras.mjs";
import { verify } from "./input.mjs";
import { inputTools } from "./input_tools.mjs";
import { prompts } from "./prompts.mjs";
import { resources } from "./resources.mjs";
import { tools } from "./tools.mjs";

export function createMcpServer() {
  const mcp = new McpServer(
    { name: "everything", version: "1.0.0" },
    {
      capabilities: { logging: {}, resources: { subscribe: true } },
      requestState: { verify },
      // Not the SDK's defaults, so that a hint which was changed on its way shows.
      cacheHints: { "tools/list": { ttlMs: 60_000, cacheScope: "public" } },
    },
  );
  const watched = new Set();
  // The header scenarios call the first tool of the list with no arguments, so the plain ones come first.
  tools(mcp);
  inputTools(mcp);
  extras(mcp, watched);
  resources(mcp, watched);
  prompts(mcp);
  return mcp;
}
