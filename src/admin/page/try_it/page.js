// The page on which a server is tried: from the form to the tool's answer.
import { answer } from "./asking.js";
import { Client, Failure } from "./client.js";
import { copyable, element } from "./element.js";
import { Messages } from "./messages.js";
import { ToolView } from "./tool.js";
import { Variables } from "./variables.js";

const $ = (id) => document.getElementById(id);

/** Whether a tool may be called, and by whom, changes with the connection; nothing else on the page does. */
class Page {
  client;

  constructor(panel) {
    this.panel = panel;
    this.messages = new Messages($("messages"), $("message-count"));
    this.variables = new Variables($("variables"), $("add-variable"));
    this.tool = new ToolView($("tool"), $("outcome"));
    panel.hidden = false;
    $("connect").addEventListener("submit", (event) => {
      event.preventDefault();
      this.connect();
    });
    $("leave").addEventListener("click", () => this.leave("Disconnected."));
    $("clear-messages").addEventListener("click", () => this.messages.clear());
    addEventListener("pagehide", () => this.client?.leave());
    addEventListener("pageshow", (event) => event.persisted && this.leave("Disconnected."));
  }

  async connect() {
    this.leave("");
    const { tenant, revision } = $("connect").elements;
    const variables = this.variables.read();
    if (!variables) return;
    this.say("Connecting …");
    $("begin").disabled = true;
    try {
      await this.begin(tenant.value, revision.value, variables);
    } catch (error) {
      this.leave("");
      this.say(error.message, true);
    } finally {
      $("begin").disabled = false;
    }
  }

  async begin(tenant, revision, variables) {
    const { relay, token } = this.panel.dataset;
    const pass = await this.pass(tenant);
    const heard = (way, text, note) => this.messages.add(way, text, note);
    const client = new Client({ relay, token, pass, revision, variables, heard }, this.listeners());
    this.client = client;
    const told = await client.connect();
    // From now on the server may ask, and who is asked must see it.
    $("tried").hidden = false;
    await this.list();
    // Somebody may have left meanwhile.
    if (this.client !== client) return;
    $("leave").hidden = false;
    $("begin").textContent = "Connect again";
    this.say(welcome(told, client));
  }

  listeners() {
    return {
      ask: (method, params, signal) => answer($("asked"), method, params, signal),
      notified: ({ method, params }) => this.hear(method, params ?? {}),
      ended: (reason) => this.leave(reason, true),
    };
  }

  hear(method, params) {
    if (method === "notifications/message") this.tool.log(params);
    // What cannot be listed again, such as without a session any more, stays as it is.
    if (method === "notifications/tools/list_changed") this.listAgain().catch(() => {});
  }

  /** A pass for a tenant: its number. */
  async pass(tenant) {
    const body = new URLSearchParams({ tenant, token: this.panel.dataset.token });
    const response = await fetch(this.panel.dataset.pass, { method: "POST", body, redirect: "error" });
    if (response.status === 401) throw new Error("This browser is not logged in any more; reload the page to log in.");
    const said = await response.json();
    if (!response.ok) throw new Error(said.detail);
    return said.pass;
  }

  /** Lists are asked for one after the other, and one that is asked for twice meanwhile only once. */
  async listAgain() {
    this.isStale = true;
    await this.listing;
    if (this.isStale && this.client) await this.list();
  }

  list() {
    this.isStale = false;
    this.listing = this.fetchList();
    return this.listing;
  }

  async fetchList() {
    const client = this.client;
    const tools = await client.list("tools/list", "tools").catch((error) => {
      // A server may have none.
      if (error instanceof Failure && error.code === -32601) return [];
      throw error;
    });
    if (this.client !== client) return;
    $("tools").replaceChildren(this.toolList(tools));
  }

  toolList(tools) {
    if (!tools.length) return element("p", { class: "empty" }, "This server lists no tools for this tenant.");
    const buttons = tools.map((tool) => {
      const name = element("span", { class: "name" }, tool.name);
      const about = element("span", { class: "about" }, tool.description ?? tool.title ?? "");
      const isShown = tool.name === this.tool.name;
      const button = element("button", { type: "button", class: "tool", "aria-current": isShown && "true" }, name, about);
      button.addEventListener("click", () => {
        for (const other of buttons) other.removeAttribute("aria-current");
        button.setAttribute("aria-current", "true");
        this.tool.show(tool, this.client);
      });
      return button;
    });
    return element("ul", {}, ...buttons.map((button) => element("li", {}, button)));
  }

  /** Ends the session, and what depends on it. */
  leave(reason, isBad = false) {
    this.client?.leave();
    this.client = undefined;
    this.tool.clear();
    $("tried").hidden = true;
    $("leave").hidden = true;
    $("asked").replaceChildren();
    $("begin").textContent = "Connect";
    this.say(reason, isBad);
  }

  say(text, isBad = false) {
    const state = $("state");
    state.className = isBad ? "error" : "";
    state.textContent = text;
  }
}

function welcome(told, client) {
  const { serverInfo = told._meta?.["io.modelcontextprotocol/serverInfo"] } = told;
  const name = serverInfo ? `${serverInfo.title ?? serverInfo.name} ${serverInfo.version ?? ""}`.trim() : "the server";
  return `Connected to ${name}, protocol ${client.isStateless ? client.revision : told.protocolVersion}.`;
}

const choice = $("choice");
choice.elements.server.addEventListener("change", () => choice.requestSubmit());
choice.querySelector("button").hidden = true;
for (const snippet of document.querySelectorAll("#snippets .snippet pre")) {
  snippet.replaceWith(copyable(snippet.textContent));
}
const panel = $("try");
if (panel) new Page(panel);
