// A form made from a JSON schema, and what is read from it. What has no field of its own is written as JSON.
import { element, newId } from "./element.js";
import { listField } from "./list.js";
import { plain } from "./schema.js";

/** How deep objects have fields of their own. */
const DEPTH = 2;
const INPUT_TYPES = { email: "email", uri: "url", date: "date" };

/**
 * The fields of an object's schema: `node` to show, and `read()`, which gives `{ value }` or, where something does not
 * fit, says so beside each field and gives `{ wrong }`, the first of them.
 */
export function formOf(schema) {
  const root = plain(schema ?? {}, schema);
  const field = objectField({ schema: root, whole: schema, name: "", isRequired: true, depth: 0 });
  return {
    node: field.node,
    read() {
      const wrong = [];
      const value = field.read(wrong) ?? {};
      return wrong.length ? { wrong: wrong[0] } : { value };
    },
  };
}

function fieldOf(about) {
  const { schema, depth } = about;
  if (schema.enum || schema.const !== undefined) return choiceField(about);
  if (schema.type === "boolean") return about.isRequired || schema.default !== undefined ? checkField(about) : maybeField(about);
  if (schema.type === "string") return textField(about);
  if (schema.type === "number" || schema.type === "integer") return numberField(about);
  if (schema.type === "object" && schema.properties && depth < DEPTH) return groupField(about);
  if (schema.type === "array" && schema.items) {
    const items = plain(schema.items, about.whole);
    const isSimple = items.enum || ["string", "number", "integer", "boolean"].includes(items.type);
    if (isSimple) return listField(about, items, framed, fieldOf);
  }
  return jsonField(about);
}

function objectField({ schema, whole, depth }) {
  const required = schema.required ?? [];
  const fields = Object.entries(schema.properties ?? {}).map(([name, own]) => {
    const isRequired = required.includes(name);
    return [name, fieldOf({ schema: plain(own, whole), whole, name, isRequired, depth: depth + 1 })];
  });
  const nodes = fields.map(([, field]) => field.node);
  return {
    node: element("div", { class: "fields" }, nodes.length ? nodes : element("p", { class: "hint" }, "It takes no arguments.")),
    isEmpty: () => fields.every(([, field]) => field.isEmpty()),
    read(wrong) {
      const entries = fields.map(([name, field]) => [name, field.read(wrong)]);
      return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
    },
  };
}

/** An object inside. One that is not required and has nothing in it is left out. */
function groupField(about) {
  const inside = objectField(about);
  const legend = element("legend", {}, ...title(about));
  return {
    node: element("fieldset", {}, legend, hint(about.schema), inside.node),
    isEmpty: inside.isEmpty,
    read: (wrong) => (!about.isRequired && inside.isEmpty() ? undefined : inside.read(wrong)),
  };
}

/** A label, a control, what is said of it, and what is wrong with it. `parse` gives a value or throws what is wrong. */
export function framed(about, control, parse, isEmpty = () => control.value === "") {
  const id = newId("field");
  const [hintId, faultId] = [`${id}-hint`, `${id}-fault`];
  const fault = element("p", { class: "fault", id: faultId, role: "alert" });
  const told = hint(about.schema);
  told?.setAttribute("id", hintId);
  control.setAttribute("id", id);
  control.setAttribute("aria-describedby", told ? `${hintId} ${faultId}` : faultId);
  if (about.isRequired) control.setAttribute("aria-required", "true");
  const say = (text) => {
    fault.textContent = text;
    text ? control.setAttribute("aria-invalid", "true") : control.removeAttribute("aria-invalid");
  };
  const label = element("label", { for: id }, ...title(about));
  const isCheck = control.type === "checkbox";
  const line = isCheck ? [element("div", { class: "check" }, control, label)] : [label, control];
  return {
    node: element("div", { class: "field" }, ...line, told, fault),
    isEmpty,
    read(wrong) {
      say("");
      try {
        if (!isEmpty()) return parse();
        if (about.isRequired) throw new Error("This is required.");
      } catch (error) {
        say(error.message);
        wrong.push(control);
      }
      return undefined;
    },
  };
}

function textField(about) {
  const { schema } = about;
  const isLong = (schema.maxLength ?? 0) > 200;
  const type = schema.writeOnly || schema.format === "password" ? "password" : (INPUT_TYPES[schema.format] ?? "text");
  const placeholder = schema.format === "date-time" ? "2026-07-28T12:00:00Z" : undefined;
  const common = { value: schema.default ?? "", placeholder, autocomplete: "off", spellcheck: "false" };
  const control = isLong ? element("textarea", { rows: 4, ...common }) : element("input", { type, ...common });
  // A text that must be there may still be empty, if the schema does not say otherwise.
  const mayBeEmpty = about.isRequired && !schema.minLength && !schema.format && !schema.pattern;
  return framed(about, control, () => checkedText(control.value, schema), () => control.value === "" && !mayBeEmpty);
}

function checkedText(text, { minLength = 0, maxLength = Infinity, pattern }) {
  const length = [...text].length;
  if (length < minLength) throw new Error(`At least ${minLength} characters, please.`);
  if (length > maxLength) throw new Error(`At most ${maxLength} characters, please.`);
  if (pattern && matches(text, pattern) === false) throw new Error(`It must match ${pattern}`);
  return text;
}

/** A pattern that browsers do not know is left to the server. */
function matches(text, pattern) {
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return undefined;
  }
}

function numberField(about) {
  const { schema } = about;
  const isWhole = schema.type === "integer";
  const control = element("input", {
    type: "number",
    inputmode: isWhole ? "numeric" : "decimal",
    step: schema.multipleOf ?? (isWhole ? 1 : "any"),
    min: schema.minimum,
    max: schema.maximum,
    value: schema.default ?? "",
    autocomplete: "off",
  });
  const parse = () => checkedNumber(control.valueAsNumber, isWhole, schema);
  return framed(about, control, parse, () => control.value === "" && !control.validity.badInput);
}

function checkedNumber(value, isWhole, schema) {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  if (Number.isNaN(value)) throw new Error("A number, please.");
  if (isWhole && !Number.isInteger(value)) throw new Error("A whole number, please.");
  if (value < minimum) throw new Error(`${minimum} or more, please.`);
  if (value > maximum) throw new Error(`${maximum} or less, please.`);
  if (value <= exclusiveMinimum) throw new Error(`More than ${exclusiveMinimum}, please.`);
  if (value >= exclusiveMaximum) throw new Error(`Less than ${exclusiveMaximum}, please.`);
  const parts = value / multipleOf;
  if (multipleOf && Math.abs(parts - Math.round(parts)) > 1e-9) throw new Error(`A multiple of ${multipleOf}, please.`);
  return value;
}

function checkField(about) {
  const control = element("input", { type: "checkbox" });
  control.checked = about.schema.default === true;
  return framed(about, control, () => control.checked, () => false);
}

/** One that may be left out has a third state, which no box to tick has. */
function maybeField(about) {
  const options = [["", "(left out)"], ["true", "true"], ["false", "false"]];
  const control = element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
  return framed(about, control, () => control.value === "true");
}

function choiceField(about) {
  const { schema } = about;
  const values = schema.enum ?? [schema.const];
  const names = schema.enumNames ?? values.map((value) => (typeof value === "string" ? value : JSON.stringify(value)));
  const nothing = about.isRequired ? "(choose)" : "(left out)";
  const options = values.map((_, at) => element("option", { value: at }, names[at] ?? String(values[at])));
  const control = element("select", {}, element("option", { value: "" }, nothing), ...options);
  const preset = values.findIndex((value) => value === (schema.default ?? schema.const));
  control.value = preset < 0 ? "" : String(preset);
  return framed(about, control, () => values[Number(control.value)]);
}

function jsonField(about) {
  const { schema } = about;
  const text = schema.default === undefined ? "" : JSON.stringify(schema.default, null, 2);
  const control = element("textarea", { rows: 4, class: "json", spellcheck: "false", value: text, placeholder: "JSON" });
  return framed(about, control, () => {
    try {
      return JSON.parse(control.value);
    } catch (error) {
      throw new Error(`This is not JSON: ${error.message}`);
    }
  });
}

function title({ schema, name, isRequired }) {
  const mark = isRequired ? [element("span", { class: "required", title: "required" }, " *")] : [];
  const shown = schema.title && schema.title.toLowerCase() !== name.toLowerCase() ? `${schema.title} ` : "";
  const key = element("code", {}, name);
  return [shown, ...(name ? [key] : []), ...mark];
}

function hint(schema) {
  const bounds = [
    schema.minimum !== undefined && `from ${schema.minimum}`,
    schema.maximum !== undefined && `to ${schema.maximum}`,
  ].filter(Boolean);
  const text = [schema.description, bounds.join(" ")].filter(Boolean).join(" · ");
  return text ? element("p", { class: "hint" }, text) : null;
}
