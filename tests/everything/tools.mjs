// The suites' tools that need nothing of the client.
import { setTimeout as sleep } from "node:timers/promises";
import { fromJsonSchema } from "@modelcontextprotocol/server";
import { audio, embedded, image, registrar, text } from "./content.mjs";

export function tools(mcp) {
  const tool = registrar(mcp);

  tool("test_simple_text", "Text", {}, () => "This is a simple text response for testing.");
  tool("test_image_content", "An image", {}, () => [image]);
  tool("test_audio_content", "Audio", {}, () => [audio]);
  tool("test_embedded_resource", "An embedded resource", {}, () => [
    embedded("test://embedded-resource", "text/plain", "This is an embedded resource content."),
  ]);
  tool("test_multiple_content_types", "Text, an image and a resource", {}, () => [
    text("Multiple content types test:"),
    image,
    embedded("test://mixed-content-resource", "application/json", JSON.stringify({ test: "data", value: 123 })),
  ]);
  tool("test_error_handling", "Fails", {}, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });

  tool("test_tool_with_logging", "Logs three lines while it runs", {}, async (_args, { mcpReq }) => {
    await mcpReq.log("info", "Tool execution started");
    await sleep(50);
    await mcpReq.log("info", "Tool processing data");
    await sleep(50);
    await mcpReq.log("info", "Tool execution completed");
    return "Tool with logging executed successfully";
  });
  tool("test_logging_tool", "Logs one line, to clients that asked for lines", {}, async (_args, { mcpReq }) => {
    await mcpReq.log("info", "test_logging_tool ran");
    return "Logged";
  });
  tool("test_tool_with_progress", "Reports its progress", {}, async (_args, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken === undefined) return "No progress token";
    for (const progress of [0, 50, 100]) {
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
      await sleep(50);
    }
    return String(progressToken);
  });
  tool("test_reconnection", "Answers after its client has gone and come back", {}, async (_args, { mcpReq }) => {
    // There is no stream to end over stdio. But the suite leaves one by itself 10 s after it has begun, and comes back for
    // 5 s if it has seen an event. The line begins it at once; nobody has asked for lines in the stateless era, where
    // Lockgate begins it after 5 s.
    await mcpReq.log("info", "answering soon");
    await sleep(mcpReq.envelope ? 17_000 : 11_000);
    return "Reconnection test completed successfully";
  });

  tool("test_trigger_tool_change", "Says that the list of tools changed", {}, async () => {
    await mcp.server.sendToolListChanged();
    return "Said so";
  });
  tool("test_trigger_prompt_change", "Says that the list of prompts changed", {}, async () => {
    await mcp.server.sendPromptListChanged();
    return "Said so";
  });

  tool("json_schema_2020_12_tool", "Has a schema full of JSON Schema 2020-12", contact, (args) => JSON.stringify(args));
}

const contact = fromJsonSchema({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
});
