// Resources: those that the suites read, and one that our own tests watch.
import { ResourceTemplate } from "@modelcontextprotocol/server";
import { image } from "./content.mjs";

export function resources(mcp, watched) {
  const fixed = (uri, mimeType, content, options) => {
    const name = new URL(uri).hostname;
    const metadata = { title: name, description: "Always the same", mimeType, ...options };
    mcp.registerResource(name, uri, metadata, () => ({ contents: [{ uri, mimeType, ...content }] }));
  };
  const text = "This is the content of the static text resource.";
  fixed("test://static-text", "text/plain", { text }, { cacheHint: { ttlMs: 5_000, cacheScope: "public" } });
  fixed("test://static-binary", image.mimeType, { blob: image.data });
  fixed("test://watched-resource", "text/plain", { text: "Watched resource content" });
  fixed("test://watched", "text/plain", { text: "touch says that this changed" });

  const mimeType = "application/json";
  mcp.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { title: "template", description: "Data for an id", mimeType },
    (uri, { id }) => ({
      contents: [{ uri: uri.href, mimeType, text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }],
    }),
  );

  // Only handshake clients ask here: in the stateless era the SDK's listen streams know who watches what.
  mcp.server.setRequestHandler("resources/subscribe", ({ params }) => {
    watched.add(params.uri);
    return {};
  });
  mcp.server.setRequestHandler("resources/unsubscribe", ({ params }) => {
    watched.delete(params.uri);
    return {};
  });
}
