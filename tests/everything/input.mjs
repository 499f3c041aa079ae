// How a tool or a prompt asks the client. It is written once: a stateless client gets the questions as the result and calls
// again with its answers, and with a handshake client the SDK sends each question as a request of its own and calls us again.
import { randomBytes } from "node:crypto";
import {
  acceptedContent,
  createRequestStateCodec,
  fromJsonSchema,
  inputRequired,
  inputResponse,
} from "@modelcontextprotocol/server";

// The state between two calls comes back by way of the client, so it is signed. No other process knows the key.
const state = createRequestStateCodec({ key: randomBytes(32) });
export const verify = state.verify;

/** Asks the user. The answer is what they filled in, or null if they refused. */
export function form(message, properties, required = Object.keys(properties)) {
  const requestedSchema = { type: "object", properties, required };
  const schema = fromJsonSchema(requestedSchema);
  return {
    request: inputRequired.elicit({ message, requestedSchema }),
    read(responses, key) {
      const response = inputResponse(responses, key);
      if (response.kind === "elicit" && response.action !== "accept") return null;
      return acceptedContent(responses, key, schema);
    },
  };
}

/** Asks the client's model. The answer is its text. */
export const sampling = (prompt, maxTokens = 100) => ({
  request: inputRequired.createMessage({
    messages: [{ role: "user", content: { type: "text", text: prompt } }],
    maxTokens,
  }),
  read: (responses, key) => inputResponse(responses, key).result?.content.text,
});

/** Asks for the client's roots. The answer is their URIs. */
export const roots = {
  request: inputRequired.listRoots(),
  read: (responses, key) => inputResponse(responses, key).roots?.map((root) => root.uri),
};

/**
 * Asks `questions` until each has a good answer, and then gives what `done` makes of the answers.
 * With `memory`, that comes back too, as `mcpReq.requestState()`.
 */
export async function ask({ mcpReq }, questions, done, memory) {
  const entries = Object.entries(questions);
  const answers = entries.map(([key, question]) => [key, question.read(mcpReq.inputResponses, key)]);
  const forgotten = memory !== undefined && mcpReq.requestState() === undefined;
  if (!forgotten && answers.every(([, answer]) => answer !== undefined)) return done(Object.fromEntries(answers));
  return inputRequired({
    inputRequests: Object.fromEntries(entries.map(([key, question]) => [key, question.request])),
    ...(memory !== undefined && { requestState: await state.mint(memory) }),
  });
}
