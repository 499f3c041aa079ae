// What the server asks of its client: the operator answers, by a form.
import { element } from "./element.js";
import { formOf } from "./form.js";

/** An error that the server is answered with. */
class Unanswered extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Answers a request of the server; questions to the operator are shown in `place`. */
export async function answer(place, method, params, signal) {
  switch (method) {
    case "ping":
      return {};
    case "roots/list":
      return { roots: [] };
    case "elicitation/create":
      return params.mode === "url" ? url(place, params, signal) : form(place, params, signal);
    case "sampling/createMessage":
      throw new Unanswered(-1, "The operator's page has no model to ask; try this tool with a client that has one.");
    default:
      throw new Unanswered(-32601, `The operator's page does not know the method ${method}.`);
  }
}

/** A question with fields. */
function form(place, { message, requestedSchema }, signal) {
  const fields = formOf(requestedSchema);
  const read = () => {
    const { value, wrong } = fields.read();
    wrong?.focus();
    return wrong ? undefined : { action: "accept", content: value };
  };
  return asked(place, message, [fields.node], "Send", read, signal);
}

/** A page that the user is to go to. Nobody goes there by accident: it is text. */
function url(place, { message, url: where }, signal) {
  const shown = element("p", {}, element("code", {}, String(where)));
  return asked(place, message, [shown], "I have been there", () => ({ action: "accept" }), signal);
}

function asked(place, message, nodes, label, accepted, signal) {
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      box.remove();
      signal.removeEventListener("abort", left);
      settle(value);
    };
    const left = () => end(reject, new DOMException("Cancelled", "AbortError"));
    const submit = (event) => {
      event.preventDefault();
      const answer = accepted();
      if (answer) end(resolve, answer);
    };
    const other = (action, text) =>
      element("button", { type: "button", class: "quiet", onclick: () => end(resolve, { action }) }, text);
    const buttons = [element("button", { type: "submit" }, label), other("decline", "Decline"), other("cancel", "Cancel")];
    const heading = element("h3", { tabindex: -1 }, "The server asks");
    const box = element(
      "form",
      { class: "card asks", novalidate: true, onsubmit: submit },
      heading,
      element("p", { class: "said" }, String(message ?? "")),
      ...nodes,
      element("div", { class: "row" }, ...buttons),
    );
    place.append(box);
    heading.focus();
    signal.aborted ? left() : signal.addEventListener("abort", left, { once: true });
  });
}
