// The field of a list: boxes to tick where each value is one of a few, else a line for each value.
import { element } from "./element.js";

/** `framed` gives a field its label, `fieldOf` makes the field of one value. */
export function listField(about, items, framed, fieldOf) {
  return items.enum ? tickedField(about, items, framed) : linesField(about, items, framed, fieldOf);
}

function tickedField(about, items, framed) {
  const preset = about.schema.default ?? [];
  const boxes = items.enum.map((value, at) => {
    const box = element("input", { type: "checkbox" });
    box.checked = preset.includes(value);
    return { value, box, node: element("label", { class: "check" }, box, items.enumNames?.[at] ?? String(value)) };
  });
  const group = element("div", { role: "group", class: "ticks", tabindex: -1 }, ...boxes.map(({ node }) => node));
  const ticked = () => boxes.filter(({ box }) => box.checked).map(({ value }) => value);
  return named(framed(about, group, () => checked(ticked(), about.schema), () => !about.isRequired && !ticked().length), group);
}

function linesField(about, items, framed, fieldOf) {
  const lines = [];
  const list = element("div", { class: "lines" });
  const add = (preset) => {
    const schema = { ...items, default: preset ?? items.default, description: undefined };
    const name = `${about.name}[${lines.length}]`;
    const field = fieldOf({ ...about, schema, name, isRequired: true });
    const row = element("div", { class: "line" }, field.node);
    const remove = () => {
      lines.splice(lines.findIndex((line) => line.row === row), 1);
      row.remove();
      more.focus();
    };
    row.append(element("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}`, onclick: remove }, "Remove"));
    lines.push({ row, field });
    list.append(row);
    return row;
  };
  const more = element("button", { type: "button", class: "quiet" }, "Add a value");
  more.addEventListener("click", () => add().querySelector("input, select, textarea")?.focus());
  (about.schema.default ?? []).forEach(add);
  const group = element("div", { role: "group", tabindex: -1 }, list, more);
  let wrongInside = [];
  const parse = () => checked(lines.map(({ field }) => field.read(wrongInside)), about.schema);
  const framedField = named(framed(about, group, parse, () => !about.isRequired && !lines.length), group);
  return {
    ...framedField,
    read(wrong) {
      wrongInside = wrong;
      return framedField.read(wrong);
    },
  };
}

/** A group has no control that a label could be for. */
function named(field, group) {
  const label = field.node.querySelector(`label[for="${group.id}"]`);
  const text = element("span", { class: "label", id: `${group.id}-label` }, ...label.childNodes);
  label.replaceWith(text);
  group.removeAttribute("aria-required");
  group.setAttribute("aria-labelledby", text.id);
  return field;
}

function checked(values, { minItems = 0, maxItems = Infinity }) {
  if (values.length < minItems) throw new Error(`At least ${minItems} values, please.`);
  if (values.length > maxItems) throw new Error(`At most ${maxItems} values, please.`);
  return values;
}
