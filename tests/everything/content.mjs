// What tools, resources and prompts are made of.
import { z } from "zod";

// One red pixel, and a WAV file with no samples.
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const SILENCE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=";

export const text = (text) => ({ type: "text", text });
export const image = { type: "image", data: PIXEL, mimeType: "image/png" };
export const audio = { type: "audio", data: SILENCE, mimeType: "audio/wav" };
export const embedded = (uri, mimeType, text) => ({ type: "resource", resource: { uri, mimeType, text } });

/** Adds tools to a server. `run` gives the text to answer, the list of its content, or a whole result. */
export function registrar(mcp) {
  return (name, description, fields, run) => {
    // A ready-made schema is kept as it is; plain fields become an object.
    const inputSchema = "~standard" in fields ? fields : z.object(fields);
    mcp.registerTool(name, { description, inputSchema }, async (args, ctx) => {
      const answer = await run(args, ctx);
      if (typeof answer === "string") return { content: [text(answer)] };
      return Array.isArray(answer) ? { content: answer } : answer;
    });
  };
}
