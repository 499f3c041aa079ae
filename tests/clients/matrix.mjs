// A row of the era matrix: which features one client has with one server through Lockgate. A line of JSON for each is printed;
// see tests/it/matrix.rs.
import { features } from "./matrix_features.mjs";

// What the SDK tells only on the side, such as an answer that nobody waits for.
const told = [];
// The SDK v1 forgets a progress handler before it runs it for a note that came together with the answer.
const ofLostProgress = (error) => /progress notification for an unknown token/.test(error.message);
export const aside = (error) => void (ofLostProgress(error) || told.push(error));
process.on("unhandledRejection", aside);

async function outcome(attempt) {
  const seconds = 10;
  const late = new Promise((_, reject) => setTimeout(reject, seconds * 1000, new Error(`not within ${seconds} s`)));
  try {
    await Promise.race([attempt(), late]);
    return { outcome: "works" };
  } catch ({ code, message }) {
    return { outcome: "error", code, message };
  }
}

/** Tries every feature with what `connect` gives: the client, `call`, and how to hear the server's requests and notes. */
export async function row(connect) {
  let driver;
  const connected = await outcome(async () => (driver = await connect()));
  for (const [feature, attempt] of Object.entries(features)) {
    const found = connected.outcome === "works" ? await outcome(() => attempt(driver)) : connected;
    console.log(JSON.stringify({ feature, ...found }));
  }
  for (const error of told) console.error("told on the side:", error);
  process.exit(told.length === 0 ? 0 : 1);
}

const text = (result) => result.content.map((part) => part.text).join("");

/** `client.callTool` of either SDK, as a function of the tool's name that gives its text. */
export const calling = (callTool) => async (name, given = {}, { _meta, ...options } = {}) => {
  const result = await callTool({ name, arguments: given, ...(_meta && { _meta }) }, options);
  if (result.isError) throw new Error(`the tool ${name} says: ${text(result)}`);
  return text(result);
};
