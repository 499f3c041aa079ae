// Every message as it went, either way. Bounded, because nobody closes this page.
import { copyable, element, shortened } from "./element.js";

/** So many messages are kept, and so many characters of each are shown. */
const KEPT = 200;
const SHOWN = 64 * 1024;
const WAYS = { out: ["→", "to the gateway"], in: ["←", "from the gateway"] };

export class Messages {
  #list;
  #count;
  #total = 0;

  constructor(list, count) {
    this.#list = list;
    this.#count = count;
  }

  /** Notes a message; `note` is what there is to say beside it. */
  add(way, text, note = "") {
    this.#total += 1;
    const [arrow, meaning] = WAYS[way];
    const now = new Date();
    const time = element("time", { datetime: now.toISOString() }, clock(now));
    const shown = pretty(text);
    const name = element("span", { class: "name" }, [note, named(text)].filter(Boolean).join(" ") || "empty");
    const mark = element("span", { class: `way ${way}`, title: meaning }, arrow, element("span", { class: "unseen" }, ` ${meaning}`));
    const size = element("span", { class: "size" }, bytes(text));
    const head = element("summary", {}, mark, time, name, size);
    const entry = element("details", {}, head);
    if (text) {
      // Drawn when it is looked at: most never are.
      const draw = () => {
        if (entry.children.length > 1) return;
        entry.append(copyable(text, shortened(shown(), SHOWN)));
      };
      entry.addEventListener("toggle", draw);
    }
    this.#list.append(element("li", {}, entry));
    if (this.#list.children.length > KEPT) this.#list.firstElementChild.remove();
    this.#tell();
  }

  clear() {
    this.#list.replaceChildren();
    this.#total = 0;
    this.#tell();
  }

  #tell() {
    const kept = this.#list.children.length;
    const all = kept < this.#total ? `the last ${kept} of ${this.#total}` : String(this.#total);
    this.#count.textContent = this.#total ? `(${all})` : "(none yet)";
  }
}

function clock(date) {
  const two = (number) => String(number).padStart(2, "0");
  const three = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${three}`;
}

function bytes(text) {
  const count = new TextEncoder().encode(text).length;
  return count < 1024 ? `${count} B` : `${(count / 1024).toFixed(1)} KiB`;
}

/** In a few words, what a message is. */
function named(text) {
  const message = parsed(text);
  if (Array.isArray(message)) return `${message.length} messages`;
  const id = message?.id === undefined || message.id === null ? "" : ` #${message.id}`;
  if (typeof message?.method === "string") return message.method + id;
  if (message?.error) return `error${id}`;
  return message?.result === undefined ? "" : `result${id}`;
}

function pretty(text) {
  return () => {
    const message = parsed(text);
    return message === undefined ? text : JSON.stringify(message, null, 2);
  };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
