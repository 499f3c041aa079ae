// Many sessions at once, each with several calls at once, of which each has a text of its own and must come back with it.
// Prints `begun` once all are open, and in the end one line of JSON: how many came back well (`ok`), with somebody else's text (`crossed`), never (`lost`), or as an
// error (`failed`, and `errors` by their texts); see tests/it/cluster/load.rs.
//
// BASE SECRET SERVER TRANSPORT SESSIONS CALLS [again]: so many calls in all; with `again`, who is told an error opens
// another session, and there are no more calls once the input ends.
const [base, secret, server, transport, sessions, calls, ...rest] = process.argv.slice(2);
export const stateless = transport === "stateless";
const again = rest.includes("again");
const seconds = 20;
const atOnce = 4;
const opening = 8;

let over = false;
if (again) process.stdin.on("end", () => (over = true)).resume();

const counts = { ok: 0, lost: 0, crossed: 0, failed: 0, opened: 0, errors: {} };
const note = (text) => (counts.errors[text] = (counts.errors[text] ?? 0) + 1);
const endpoint = (last) => new URL(`${base}/${encodeURIComponent(server)}/${last}`);

/** The SDK's own transport, by its constructors, for the session of this number. */
export function carrier(Sse, StreamableHttp, number) {
  // Some front ends tell clients apart by this.
  const headers = { Authorization: `Bearer ${secret}`, "X-Client": `${process.pid} ${number}` };
  if (transport !== "sse") return new StreamableHttp(endpoint("mcp"), { requestInit: { headers } });
  return new Sse(endpoint("sse"), {
    requestInit: { headers },
    eventSourceInit: { fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } }) },
  });
}

/** What the SDK tells on the side: an answer that nobody waits for is somebody else's. */
export function aside(error) {
  if (/unknown message ID/.test(error.message)) {
    counts.crossed++;
    note(`on the side: ${error.message.slice(0, 200)}`);
  }
}
process.on("unhandledRejection", aside);

const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const isLate = (error) => error.code === -32001 || error.code === "REQUEST_TIMEOUT" || /timed out/i.test(error.message);
const told = (error) => `${error.code ?? ""} ${error.message} ${error.cause?.message ?? ""}`.trim().slice(0, 200);

/** A session, made by `connect(number)`, that may be made anew. */
class Session {
  constructor(connect, number) {
    Object.assign(this, { connect, number, client: undefined, opening: undefined });
  }

  async open() {
    for (let left = 50; ; left--) {
      try {
        this.client = await this.connect(this.number);
        counts.opened++;
        return;
      } catch (error) {
        note(`opening: ${told(error)}`);
        if (!again || over || left === 0) throw error;
        await wait(200);
      }
    }
  }

  /** Unless somebody has done so since. */
  async renew(client) {
    if (this.client !== client) return;
    this.opening ??= (async () => {
      await client.close().catch(() => {});
      await this.open();
      this.opening = undefined;
    })();
    await this.opening;
  }

  async call(n, client) {
    // Of many lengths, so that a part of one is no other.
    const text = `${process.pid} ${this.number} ${n} ${"x".repeat((n * 37) % 700)} ${Math.random()}`;
    try {
      const result = await client.callTool({ name: "echo", arguments: { text } }, { timeout: seconds * 1000 });
      if (result.content?.[0]?.text === text) return counts.ok++;
      counts.crossed++;
      note(`instead of its own: ${JSON.stringify(result).slice(0, 200)}`);
    } catch (error) {
      const kind = isLate(error) ? "lost" : "failed";
      counts[kind]++;
      note(told(error));
      if (again) await this.renew(client);
    }
  }

  async work(calls) {
    let next = 0;
    const worker = async () => {
      while (next < calls && !over) await this.call(next++, this.client);
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  }
}

/** `connect(number)` gives a client whose `callTool` takes options second. */
export async function load(connect) {
  const begun = Date.now();
  const all = Array.from({ length: Number(sessions) }, (_, number) => new Session(connect, number));
  const waiting = [...all];
  const opener = async () => {
    for (let one; (one = waiting.pop()); ) await one.open();
  };
  await Promise.all(Array.from({ length: opening }, opener));
  const opened = Date.now();
  console.log("begun");
  const share = (number) => Math.floor(calls / sessions) + (number < calls % sessions ? 1 : 0);
  await Promise.all(all.map((session) => session.work(share(session.number))));
  counts.milliseconds = [opened - begun, Date.now() - opened];
  console.log(JSON.stringify(counts));
  await Promise.race([Promise.allSettled(all.map((session) => session.client.close())), wait(2000)]);
  process.exit(0);
}
