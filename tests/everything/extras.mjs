// The tools of our own client tests.
import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { registrar } from "./content.mjs";
import { ask, form, roots, sampling } from "./input.mjs";

// Of the process and not of a server, so that a test sees who shares a process.
let cancelled = 0;
let kept = "";
const hangs = new EventEmitter();
const ended = new Set();

export function extras(mcp, watched) {
  const tool = registrar(mcp);

  tool("echo", "Answers the text", { text: z.string() }, ({ text }) => text);
  tool("fill", "Answers that many bytes", { bytes: z.int().min(0) }, ({ bytes }) => "x".repeat(bytes));
  tool("pid", "Answers the id of this process", {}, () => String(process.pid));
  tool("keep", "Keeps a value in this process", { value: z.string() }, ({ value }) => (kept = value));
  tool("kept", "Answers the value that this process keeps", {}, () => kept);

  const region = z.string().meta({ "x-mcp-header": "Region" });
  tool("header", "Answers the region, which is in a header too", { region }, ({ region }) => region);

  const pace = { steps: z.int().min(0), pause_ms: z.int().min(0) };
  tool("count", "Counts, and reports each step", pace, async ({ steps, pause_ms }, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (let progress = 1; progress <= steps; progress++) {
      if (progressToken !== undefined) {
        await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: steps } });
      }
      // After the last step too: the SDK's clients may lose a note that arrives together with the answer.
      await sleep(pause_ms, undefined, { signal: mcpReq.signal });
    }
    return `counted ${steps}`;
  });
  const named = { name: z.string().default("") };
  tool("hang", "Never answers; reports that it has begun", named, async ({ name }, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken !== undefined) {
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: 0 } });
    }
    if (!mcpReq.signal.aborted) await once(mcpReq.signal, "abort");
    cancelled += 1;
    ended.add(name);
    hangs.emit(name);
    return "cancelled";
  });
  tool("cancelled", "Answers how many hangs were cancelled in this process", {}, () => String(cancelled));
  tool("until_cancelled", "Answers once the hang of this name was cancelled", named, async ({ name }, { mcpReq }) => {
    if (!ended.has(name)) await once(hangs, name, { signal: mcpReq.signal });
    return "cancelled";
  });
  tool("crash", "Ends this process", {}, () => {
    process.stderr.write("crashed on purpose\n", () => process.exit(3));
    return new Promise(() => {});
  });

  const name = form("What is your name?", { name: { type: "string" } });
  tool("ask", "Asks the user's name", {}, (_args, ctx) =>
    ask(ctx, { name }, ({ name }) => (name ? `hello ${name.name}` : "declined")),
  );
  tool("sample", "Asks the client's model", {}, (_args, ctx) => ask(ctx, { said: sampling("say hi") }, ({ said }) => said));
  tool("roots", "Asks for the client's roots", {}, (_args, ctx) => ask(ctx, { roots }, ({ roots }) => roots.join(",")));

  tool("speak", "Logs the word at three levels", { word: z.string() }, async ({ word }, { mcpReq }) => {
    for (const level of ["info", "warning", "error"]) await mcpReq.log(level, `${word} ${level}`);
    return word;
  });

  tool("update", "Says that this resource changed", { uri: z.string() }, async ({ uri }, { mcpReq }) => {
    if (mcpReq.envelope || watched.has(uri)) await mcp.server.sendResourceUpdated({ uri });
    return "updated";
  });
  tool("touch", "Says that test://watched and the list of tools changed", {}, async (_args, { mcpReq }) => {
    const uri = "test://watched";
    if (mcpReq.envelope || watched.has(uri)) await mcp.server.sendResourceUpdated({ uri });
    await mcp.server.sendToolListChanged();
    return "touched";
  });
}
