// An MCP client of 2025-11-25, with a session, or of 2026-07-28, without one.
import { Gateway, Refused } from "./gateway.js";
import { mirror } from "./mirror.js";

export const SESSION = "2025-11-25";
export const STATELESS = "2026-07-28";

const INFO = { name: "lockgate-try-it", title: "Lockgate, the operator's page", version: "1" };
const CAPABILITIES = { elicitation: {}, roots: {} };
const META = "io.modelcontextprotocol/";
/** How often a call may be answered with a question, and how many pages a list may have. */
const ROUNDS = 16;
const PAGES = 50;
/** How often a stream that broke is resumed, one time after the other. */
const RESUMED = 5;

/** An error that the server answered with. */
export class Failure extends Error {
  constructor({ code, message, data }) {
    super(message);
    Object.assign(this, { code, data });
  }
}

export class Client {
  #gateway;
  #open = new Map();
  #asked = new Map();
  #next = 1;
  #session = {};
  #leaving = new AbortController();

  /** `ask(method, params, signal)` answers the server, `notified` is told what it says unasked, `ended` that it is over. */
  constructor(options, { ask, notified, ended }) {
    this.#gateway = new Gateway(options);
    this.revision = options.revision;
    Object.assign(this, { ask, notified, ended });
  }

  get isStateless() {
    return this.revision === STATELESS;
  }

  /** Begins. What the server says of itself. */
  async connect() {
    if (this.isStateless) return this.request("server/discover");
    const params = { protocolVersion: SESSION, capabilities: CAPABILITIES, clientInfo: INFO };
    const opened = (headers) => {
      const id = headers.get("Mcp-Session-Id");
      if (id) this.#session = { "Mcp-Session-Id": id };
    };
    const told = await this.request("initialize", params, { opened });
    this.#session["MCP-Protocol-Version"] = told.protocolVersion;
    await this.#gateway.post({ jsonrpc: "2.0", method: "notifications/initialized" }, this.#session, () => {});
    this.#listen();
    return told;
  }

  /** Everything that a list has, page by page. */
  async list(method, member) {
    const found = [];
    let cursor;
    for (let page = 0; page < PAGES; page += 1) {
      const result = await this.request(method, cursor === undefined ? {} : { cursor });
      found.push(...(result[member] ?? []));
      cursor = result.nextCursor;
      if (cursor === undefined) break;
    }
    return found;
  }

  /** Calls a tool. `signal` cancels; `progress` is told how far it is. */
  async call(tool, args, { signal, progress }) {
    const params = { name: tool.name, arguments: args };
    for (let round = 0; round < ROUNDS; round += 1) {
      const result = await this.request("tools/call", params, { signal, progress, tool });
      if (result.resultType !== "input_required") return result;
      params.requestState = result.requestState;
      params.inputResponses = await this.#answers(result.inputRequests ?? {}, signal);
    }
    throw new Error(`The server has asked ${ROUNDS} times and is still not done; nothing more is answered.`);
  }

  async #answers(requests, signal) {
    const answers = {};
    for (const [key, { method, params }] of Object.entries(requests)) {
      answers[key] = await this.ask(method, params ?? {}, signal);
    }
    return answers;
  }

  /** Asks the server, and waits for its answer. */
  request(method, params = {}, { signal, progress, tool, opened } = {}) {
    const id = this.#next++;
    const gone = new AbortController();
    const meta = { ...(progress && { progressToken: id }), ...(this.isStateless && envelope()) };
    const message = { jsonrpc: "2.0", id, method, params: { ...params, ...(Object.keys(meta).length && { _meta: meta }) } };
    const headers = this.isStateless ? mirror(message, STATELESS, tool) : this.#session;
    return new Promise((resolve, reject) => {
      const done = (settle, value) => this.#open.delete(id) && settle(value);
      this.#open.set(id, { progress, resolve: (value) => done(resolve, value), reject: (error) => done(reject, error) });
      const cancel = () => {
        if (!this.#open.has(id)) return;
        this.#open.get(id).reject(new DOMException("Cancelled", "AbortError"));
        this.#cancel(id, gone);
      };
      signal?.aborted ? cancel() : signal?.addEventListener("abort", cancel, { once: true });
      this.#exchange(id, message, headers, gone, opened).catch((error) => this.#open.get(id)?.reject(error));
    });
  }

  /** Without a session it is the connection's end that cancels. */
  #cancel(id, gone) {
    if (this.isStateless) return gone.abort();
    const params = { requestId: id, reason: "The operator does not want it any more" };
    const message = { jsonrpc: "2.0", method: "notifications/cancelled", params };
    return this.#gateway.post(message, this.#session, () => {}).catch(() => {});
  }

  async #exchange(id, message, headers, gone, opened) {
    const signal = AbortSignal.any([gone.signal, this.#leaving.signal]);
    const take = (said) => this.#take(said);
    let last = await this.#gateway.post(message, headers, take, { signal, opened });
    for (let again = 0; this.#open.has(id) && last !== undefined && again < RESUMED; again += 1) {
      last = await this.#gateway.listen({ ...this.#session, "Last-Event-ID": last }, take, { signal });
    }
    if (this.#open.has(id)) throw new Error("The answer's stream ended before the answer came.");
  }

  /** Hears what the server says of itself, for as long as the session lasts. */
  async #listen() {
    const { signal } = this.#leaving;
    try {
      let last;
      for (;;) {
        const resume = last === undefined ? {} : { "Last-Event-ID": last };
        const at = await this.#gateway.listen({ ...this.#session, ...resume }, (said) => this.#take(said), { signal });
        if (at === last) break;
        last = at;
      }
      this.#over("The server's stream has ended.");
    } catch (error) {
      if (signal.aborted || (error instanceof Refused && error.status === 405)) return;
      this.#over(error instanceof Refused ? error.message : "The gateway's stream broke off.");
    }
  }

  #over(reason) {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort();
    for (const { reject } of [...this.#open.values()]) reject(new Error(reason));
    this.ended(reason);
  }

  #take(said) {
    if (said.method === undefined) {
      const open = this.#open.get(said.id);
      said.error ? open?.reject(new Failure(said.error)) : open?.resolve(said.result);
    } else if (said.id !== undefined) {
      this.#answer(said);
    } else if (said.method === "notifications/progress") {
      this.#open.get(said.params?.progressToken)?.progress?.(said.params);
    } else if (said.method === "notifications/cancelled") {
      this.#asked.get(said.params?.requestId)?.abort();
    } else {
      this.notified(said);
    }
  }

  async #answer({ id, method, params }) {
    const withdrawn = new AbortController();
    this.#asked.set(id, withdrawn);
    const signal = AbortSignal.any([withdrawn.signal, this.#leaving.signal]);
    const answer = await this.ask(method, params ?? {}, signal).then(
      (result) => ({ jsonrpc: "2.0", id, result }),
      (error) => ({ jsonrpc: "2.0", id, error: { code: error.code ?? -32603, message: error.message } }),
    );
    this.#asked.delete(id);
    if (!signal.aborted) await this.#gateway.post(answer, this.#session, () => {}).catch(() => {});
  }

  /** Ends it all. Also for a page that is being left. */
  leave() {
    this.#leaving.abort();
    for (const { reject } of [...this.#open.values()]) reject(new DOMException("Left", "AbortError"));
    if (this.#session["Mcp-Session-Id"]) this.#gateway.end(this.#session);
    this.#session = {};
  }
}

/** What each request says that stands for itself. */
function envelope() {
  return {
    [`${META}protocolVersion`]: STATELESS,
    [`${META}clientInfo`]: INFO,
    [`${META}clientCapabilities`]: CAPABILITIES,
    [`${META}logLevel`]: "info",
  };
}
