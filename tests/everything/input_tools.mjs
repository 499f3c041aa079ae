// The suites' tools that ask the client for something.
import { CLIENT_CAPABILITIES_META_KEY } from "@modelcontextprotocol/server";
import { z } from "zod";
import { registrar } from "./content.mjs";
import { ask, form, roots, sampling } from "./input.mjs";

const string = { type: "string" };
const name = form("What is your name?", { name: string });
const confirm = form("Please confirm", { ok: { type: "boolean" } });
const hello = ({ user_name }) => `Hello, ${user_name?.name ?? "stranger"}!`;

export function inputTools(mcp) {
  const tool = registrar(mcp);
  const asking = (toolName, description, questions, done, memory) =>
    tool(toolName, description, {}, (_args, ctx) => ask(ctx, questions, done, memory));

  tool("test_sampling", "Asks the client's model", { prompt: z.string() }, ({ prompt }, ctx) =>
    ask(ctx, { sampled: sampling(prompt) }, ({ sampled }) => `LLM response: ${sampled}`),
  );
  tool("test_elicitation", "Asks the user", { message: z.string() }, ({ message }, ctx) =>
    ask(ctx, { answer: form(message, { response: string }) }, ({ answer }) => `User response: ${JSON.stringify(answer)}`),
  );
  const filledIn = ({ answer }) => `Elicitation completed: ${JSON.stringify(answer)}`;
  asking("test_elicitation_sep1034_defaults", "Asks with a default for each type", { answer: defaults }, filledIn);
  asking("test_elicitation_sep1330_enums", "Asks with each kind of enum", { answer: enums }, filledIn);

  asking("test_input_required_result_elicitation", "Asks the user's name", { user_name: name }, hello);
  asking("test_streaming_elicitation", "Asks the user's name, on a stream", { user_name: name }, hello);
  asking(
    "test_input_required_result_sampling",
    "Asks the client's model",
    { capital_question: sampling("What is the capital of France?") },
    ({ capital_question }) => `Sampling response: ${capital_question}`,
  );
  asking("test_input_required_result_list_roots", "Asks for roots", { client_roots: roots }, ({ client_roots }) =>
    client_roots.join(", "),
  );
  asking(
    "test_input_required_result_multiple_inputs",
    "Asks three things at once",
    { user_name: name, greeting: sampling("Generate a greeting", 50), client_roots: roots },
    ({ user_name, greeting, client_roots }) => `${greeting} ${user_name?.name}, ${client_roots.length} root(s)`,
    { asked: "three" },
  );
  const confirmed = () => "state-ok";
  asking("test_input_required_result_request_state", "Has a state", { confirm }, confirmed, { asked: "state" });
  asking("test_input_required_result_tampered_state", "Has a state", { confirm }, confirmed, { asked: "tampered" });

  const second = (ctx, name) =>
    ask(
      ctx,
      { step2: form("Step 2: What is your favorite color?", { color: string }) },
      ({ step2 }) => `${name} likes ${step2?.color}`,
      { name },
    );
  tool("test_input_required_result_multi_round", "Asks twice", {}, (_args, ctx) => {
    const name = ctx.mcpReq.requestState()?.name;
    if (name !== undefined) return second(ctx, name);
    const step1 = form("Step 1: What is your name?", { name: string });
    return ask(ctx, { step1 }, ({ step1 }) => second(ctx, step1?.name ?? "Somebody"), { round: 1 });
  });

  tool("test_input_required_result_capabilities", "Asks only what the client can answer", {}, (_args, ctx) => {
    const declared = ctx.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? mcp.server.getClientCapabilities() ?? {};
    const questions = Object.entries({ elicitation: name, sampling: sampling("Generate a short greeting"), roots });
    const able = questions.filter(([capability]) => capability in declared);
    return ask(ctx, Object.fromEntries(able), (answers) => JSON.stringify(answers));
  });

  tool("test_missing_capability", "Asks the client's model, able or not", {}, async (_args, ctx) => {
    const llm_answer = sampling("Reply with the single word: pong");
    if (ctx.mcpReq.envelope) return ask(ctx, { llm_answer }, ({ llm_answer }) => llm_answer);
    // The SDK would answer a handshake client that has no sampling by itself; a server that just asks is the harder peer.
    return (await ctx.mcpReq.send(llm_answer.request)).content.text;
  });
}

const defaults = form(
  "Please review and update the form fields with defaults",
  {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  },
  [],
);

const options = ["option1", "option2", "option3"];
const titled = [
  { const: "value1", title: "First" },
  { const: "value2", title: "Second" },
  { const: "value3", title: "Third" },
];
const enums = form(
  "Please select options from the enum fields",
  {
    untitledSingle: { type: "string", enum: options },
    titledSingle: { type: "string", oneOf: titled },
    legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] },
    untitledMulti: { type: "array", items: { type: "string", enum: options } },
    titledMulti: { type: "array", items: { anyOf: titled } },
  },
  [],
);
