// What is said to the gateway, by way of the relay, and what it answers. Each answer is read as it comes.
import { events } from "./events.js";

/** A request that the gateway, or the relay before it, did not take. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export class Gateway {
  /**
   * `relay` is the path that is carried on, `token` this login's, `pass` the number of the pass, `variables` the
   * session's environment; `heard(way, text, note)` is told every message.
   */
  constructor({ relay, token, pass, variables, heard }) {
    this.relay = relay;
    this.heard = heard;
    this.headers = { "Lockgate-Token": token, "Lockgate-Pass": pass };
    for (const [name, value] of variables) this.headers[`ENV_${name}`] = asBytes(value);
  }

  /** Sends a message. The answer's head, once it is there; `take` is given each message of it, then it resolves. */
  async post(message, headers, take, { signal, opened } = {}) {
    const body = JSON.stringify(message);
    this.heard("out", body);
    const accept = "application/json, text/event-stream";
    const all = { Accept: accept, "Content-Type": "application/json", ...headers };
    const response = await this.#fetch("POST", all, { body, signal });
    opened?.(response.headers);
    return this.#read(response, take);
  }

  /** Listens; as `post`. */
  async listen(headers, take, { signal }) {
    const response = await this.#fetch("GET", { Accept: "text/event-stream", ...headers }, { signal });
    return this.#read(response, take);
  }

  /** Ends a session, even if the page is being left. */
  end(headers) {
    this.heard("out", "", "DELETE");
    return this.#fetch("DELETE", headers, { keepalive: true }).then(
      (response) => this.heard("in", "", `${response.status}`),
      () => {},
    );
  }

  async #fetch(method, headers, options) {
    const all = { ...this.headers, ...headers };
    const response = await fetch(this.relay, { method, headers: all, cache: "no-store", redirect: "error", ...options });
    if (response.ok) return response;
    const text = await response.text();
    this.heard("in", text, `HTTP ${response.status}`);
    throw new Refused(words(text, response), response.status);
  }

  /** The last event's id, if the answer is a stream that has such. */
  async #read(response, take) {
    let last;
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
      this.#take(await response.text(), take);
      return last;
    }
    for await (const event of events(response.body)) {
      last = event.id ?? last;
      this.#take(event.data, take);
    }
    return last;
  }

  #take(text, take) {
    if (text === "") return;
    this.heard("in", text);
    for (const message of [JSON.parse(text)].flat()) take(message);
  }
}

/** What a refusal says: a JSON-RPC error, or a problem document of the relay. */
function words(text, response) {
  const relayed = response.headers.has("Lockgate-Relayed");
  if (response.status === 401) {
    return relayed
      ? "The pass for this tenant is over, as after a quarter of an hour; connect again."
      : "This browser is not logged in any more; reload the page to log in.";
  }
  try {
    const said = JSON.parse(text);
    const told = said.error?.message ?? said.detail ?? text;
    return response.headers.has("Retry-After") ? `${told} (in ${response.headers.get("Retry-After")} s)` : told;
  } catch {
    return text || `HTTP ${response.status}`;
  }
}

/** A header's value is bytes: UTF-8 here, one character for each. */
function asBytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
