// The headers in which a client of 2026-07-28 repeats parts of its request (MCP 2026-07-28, transports).

/** Those of a request; `tool` is the one that it calls, if it calls one. */
export function mirror({ method, params }, revision, tool) {
  const headers = { "MCP-Protocol-Version": revision, "Mcp-Method": method };
  if (tool) {
    headers["Mcp-Name"] = value(tool.name);
    repeat(tool.inputSchema, params.arguments, headers);
  }
  return headers;
}

function repeat(schema, args, headers) {
  if (typeof args !== "object" || args === null) return;
  for (const [name, property] of Object.entries(schema?.properties ?? {})) {
    const argument = args[name];
    const header = property?.["x-mcp-header"];
    if (argument === undefined || argument === null) continue;
    if (typeof header === "string") headers[`Mcp-Param-${header}`] = value(String(argument));
    else repeat(property, argument, headers);
  }
}

/** As it is, where a header can hold that and nobody takes it for something else. */
function value(text) {
  if (/^[!-~]([ -~]*[!-~])?$/.test(text) && !text.startsWith("=?base64?")) return text;
  const bytes = new TextEncoder().encode(text);
  return `=?base64?${btoa(String.fromCharCode(...bytes))}?=`;
}
