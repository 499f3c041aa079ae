// The tools of our own client tests.
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { registrar } from "./content.mjs";
import { ask, form, roots, sampling } from "./input.mjs";

// Of the process and not of a server, so that a test sees who shares a process.
let kept = "";

export function extras(mcp, watched) {
  const tool = registrar(mcp);
  const progressed = async ({ _meta, notify }, progress, total) => {
    const progressToken = _meta?.progressToken;
    if (progressToken === undefined) return;
    await notify({ method: "notifications/progress", params: { progressToken, progress, total } });
  };
  const changed = async ({ envelope }, uri) => {
    if (envelope || watched.has(uri)) await mcp.server.sendResourceUpdated({ uri });
  };

  tool("echo", "Answers the text", { text: z.string() }, ({ text }) => text);
  tool("fill", "Answers that many bytes", { bytes: z.int().min(0) }, ({ bytes }) => "x".repeat(bytes));
  tool("pid", "Answers the id of this process", {}, () => String(process.pid));
  tool("keep", "Keeps a value in this process", { value: z.string() }, ({ value }) => (kept = value));
  tool("kept", "Answers the value that this process keeps", {}, () => kept);

  const region = z.string().meta({ "x-mcp-header": "Region" });
  tool("header", "Answers the region, which is in a header too", { region }, ({ region }) => region);

  const pace = { steps: z.int().min(0), pause_ms: z.int().min(0) };
  tool("count", "Counts, and reports each step", pace, async ({ steps, pause_ms }, { mcpReq }) => {
    for (let step = 1; step <= steps; step++) {
      await progressed(mcpReq, step, steps);
      // After the last step too: the SDK's clients may lose a note that arrives together with the answer.
      await sleep(pause_ms, undefined, { signal: mcpReq.signal });
    }
    return `counted ${steps}`;
  });
  const hang = { uri: z.string().optional() };
  tool("hang", "Notes progress and never answers; once cancelled, changes the resource", hang, async ({ uri }, { mcpReq }) => {
    await progressed(mcpReq, 0);
    if (!mcpReq.signal.aborted) await once(mcpReq.signal, "abort");
    if (uri !== undefined) await changed(mcpReq, uri);
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
    await changed(mcpReq, uri);
    return "updated";
  });
  tool("touch", "Says that test://watched and the list of tools changed", {}, async (_args, { mcpReq }) => {
    await changed(mcpReq, "test://watched");
    await mcp.server.sendToolListChanged();
    return "touched";
  });
}
