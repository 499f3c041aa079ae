// The variables of the session. Their values are secrets as often as not, so they are covered.
import { element, newId } from "./element.js";

const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

export class Variables {
  #place;

  constructor(place, more) {
    this.#place = place;
    more.addEventListener("click", () => this.#add());
  }

  #add() {
    const id = newId("variable");
    const name = element("input", { id: `${id}-name`, class: "name", autocomplete: "off", spellcheck: "false", placeholder: "API_TOKEN" });
    const value = element("input", { id: `${id}-value`, type: "password", autocomplete: "new-password" });
    const reveal = element("button", { type: "button", class: "quiet", "aria-pressed": "false" }, "Show");
    reveal.addEventListener("click", () => {
      const isShown = value.type === "password";
      value.type = isShown ? "text" : "password";
      reveal.textContent = isShown ? "Hide" : "Show";
      reveal.setAttribute("aria-pressed", String(isShown));
    });
    const remove = element("button", { type: "button", class: "quiet" }, "Remove");
    const row = element(
      "div",
      { class: "row variable" },
      element("label", { for: name.id }, element("span", {}, "Name"), name),
      element("label", { for: value.id }, element("span", {}, "Value"), value),
      reveal,
      remove,
      element("p", { class: "fault", role: "alert" }),
    );
    remove.addEventListener("click", () => row.remove());
    this.#place.append(row);
    name.focus();
  }

  /** Names and values; nothing if one of them cannot be. Lines without either are none. */
  read() {
    const found = [];
    let wrong;
    for (const row of this.#place.children) {
      const [name, value] = [...row.querySelectorAll("input")];
      const fault = faultOf(name.value, value.value);
      row.querySelector(".fault").textContent = fault;
      if (fault) wrong ??= name;
      else if (name.value) found.push([name.value, value.value]);
    }
    wrong?.focus();
    return wrong ? undefined : found;
  }
}

function faultOf(name, value) {
  if (!name && !value) return "";
  if (!NAME.test(name)) return "A name has letters, digits and _, and does not begin with a digit.";
  return /[\r\n\0]/.test(value) ? "A header has no line breaks." : "";
}
