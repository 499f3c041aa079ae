// The suites' prompts.
import { completable } from "@modelcontextprotocol/server";
import { z } from "zod";
import { embedded, image, text } from "./content.mjs";
import { ask, form } from "./input.mjs";

const says = (...contents) => ({ messages: contents.map((content) => ({ role: "user", content })) });

export function prompts(mcp) {
  mcp.registerPrompt("test_simple_prompt", { description: "Text" }, () => says(text("This is a simple prompt for testing.")));

  const startsWith = (value) => ["paris", "park", "party", "test"].filter((word) => word.startsWith(value));
  mcp.registerPrompt(
    "test_prompt_with_arguments",
    {
      description: "Text with two arguments",
      argsSchema: z.object({ arg1: completable(z.string(), startsWith), arg2: z.string() }),
    },
    ({ arg1, arg2 }) => says(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  mcp.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "A resource and text", argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) =>
      says(
        embedded(resourceUri, "text/plain", "Embedded resource content for testing."),
        text("Please process the embedded resource above."),
      ),
  );
  mcp.registerPrompt("test_prompt_with_image", { description: "An image and text" }, () =>
    says(image, text("Please analyze the image above.")),
  );

  const user_context = form("What context should the prompt use?", { context: { type: "string" } });
  mcp.registerPrompt("test_input_required_result_prompt", { description: "Asks the user" }, (ctx) =>
    ask(ctx, { user_context }, ({ user_context }) => says(text(`Use the following context: ${user_context?.context}`))),
  );
}
