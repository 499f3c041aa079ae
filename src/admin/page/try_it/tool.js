// One tool: its form, the call, and what comes of it.
import { Failure } from "./client.js";
import { element } from "./element.js";
import { formOf } from "./form.js";
import { jsonView, resultView } from "./result.js";

/** So many lines of a log are kept. */
const LINES = 200;

export class ToolView {
  #place;
  #outcome;
  #log;
  #call;

  constructor(place, outcome) {
    this.#place = place;
    this.#outcome = outcome;
  }

  clear() {
    this.#call?.abort();
    this.#place.replaceChildren();
    this.#outcome.replaceChildren();
    this.#log = undefined;
    this.name = undefined;
  }

  /** Shows a tool to be called by a client. */
  show(tool, client) {
    this.clear();
    this.name = tool.name;
    const form = formOf(tool.inputSchema);
    const send = element("button", { type: "submit" }, "Call");
    const cancel = element("button", { type: "button", class: "quiet", hidden: true }, "Cancel");
    cancel.addEventListener("click", () => this.#call?.abort());
    const submit = async (event) => {
      event.preventDefault();
      const { value, wrong } = form.read();
      if (wrong) return wrong.focus();
      send.disabled = true;
      cancel.hidden = false;
      await this.#run(tool, value, client);
      send.disabled = false;
      cancel.hidden = true;
    };
    const title = element("h2", { tabindex: -1 }, tool.title ?? tool.annotations?.title ?? tool.name);
    const fields = element("form", { novalidate: true, onsubmit: submit }, form.node, element("div", { class: "row" }, send, cancel));
    this.#place.replaceChildren(title, ...about(tool), fields);
    title.focus({ preventScroll: true });
    this.#place.scrollIntoView({ block: "nearest" });
  }

  /** A line that the server logs. */
  log({ level = "info", logger, data }) {
    if (!this.#log) return;
    const text = typeof data === "string" ? data : JSON.stringify(data);
    this.#note(`${level}${logger ? ` (${logger})` : ""}: ${text}`, level);
  }

  #note(text, level = "info") {
    this.#log.hidden = false;
    this.#log.append(element("li", { class: `level-${/^[a-z]+$/.test(level) ? level : "info"}` }, text));
    if (this.#log.children.length > LINES) this.#log.firstElementChild.remove();
  }

  async #run(tool, args, client) {
    const call = new AbortController();
    this.#call = call;
    const bar = element("progress", { "aria-label": "Progress" });
    const far = element("span", { class: "hint" }, "Waiting for the answer …");
    this.#log = element("ul", { class: "log", hidden: true, "aria-label": "What the server says meanwhile" });
    const waiting = element("p", { class: "waiting" }, bar, " ", far);
    this.#outcome.replaceChildren(element("h3", {}, "Result"), waiting, this.#log);
    const progress = (params) => tell(bar, far, params);
    const began = performance.now();
    const parts = await client.call(tool, args, { signal: call.signal, progress }).then(
      (result) => resultView(result, performance.now() - began),
      (error) => failureView(error),
    );
    // Another tool may be shown by now.
    if (this.#call !== call || !waiting.isConnected) return;
    waiting.replaceWith(...parts);
  }
}

function about(tool) {
  const told = tool.description ? [element("p", { class: "said" }, tool.description)] : [];
  const { readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = tool.annotations ?? {};
  const hints = [
    readOnlyHint === true && "changes nothing",
    readOnlyHint === false && destructiveHint !== false && "may destroy",
    idempotentHint === true && "may be repeated",
    openWorldHint === true && "reaches outside",
  ].filter(Boolean);
  return hints.length ? [...told, element("p", { class: "hint" }, `It says of itself: ${hints.join(", ")}.`)] : told;
}

function tell(bar, far, { progress, total, message }) {
  if (typeof total === "number" && total > 0) {
    bar.max = total;
    bar.value = progress;
  }
  const part = total === undefined ? String(progress) : `${progress} of ${total}`;
  far.textContent = message ? `${part}: ${message}` : part;
}

function failureView(error) {
  if (error.name === "AbortError") return [element("p", { class: "outcome" }, element("span", { class: "mark" }, "cancelled"))];
  const code = error instanceof Failure ? ` (${error.code})` : "";
  const mark = element("span", { class: "mark bad" }, `not called${code}`);
  const parts = [element("p", { class: "outcome" }, mark), element("p", { class: "error", role: "alert" }, error.message)];
  if (error.data !== undefined) parts.push(jsonView("Data", error.data));
  return parts;
}
