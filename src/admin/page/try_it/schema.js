// What a JSON schema says, as far as a form can show it.

/** How many references are followed, one after the other. */
const REFERENCES = 8;

/**
 * A schema without references within `whole`, without the choice between something and null, and with each kind of
 * enumeration as `enum` and `enumNames`.
 */
export function plain(schema, whole) {
  let found = typeof schema === "object" && schema !== null ? schema : {};
  for (let count = 0; typeof found.$ref === "string" && count < REFERENCES; count += 1) {
    const { $ref, ...beside } = found;
    found = { ...referred($ref, whole), ...beside };
  }
  const choices = found.anyOf ?? found.oneOf;
  if (Array.isArray(choices)) {
    const rest = choices.filter((choice) => choice?.type !== "null");
    const { anyOf, oneOf, ...beside } = found;
    if (rest.length && rest.every((choice) => choice?.const !== undefined)) {
      const [values, names] = [rest.map((choice) => choice.const), rest.map((choice) => choice.title ?? String(choice.const))];
      return { ...beside, enum: values, enumNames: names };
    }
    if (rest.length === 1) return plain({ ...rest[0], ...beside }, whole);
    return beside;
  }
  if (Array.isArray(found.type)) {
    const types = found.type.filter((type) => type !== "null");
    return { ...found, type: types.length === 1 ? types[0] : undefined };
  }
  if (found.type === undefined && found.properties) return { ...found, type: "object" };
  return found;
}

/** What a reference such as `#/$defs/Place` leads to. */
function referred(reference, whole) {
  if (!reference.startsWith("#/")) return {};
  const steps = reference.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const found = steps.reduce((at, step) => (Object.hasOwn(at ?? {}, step) ? at[step] : undefined), whole);
  return typeof found === "object" && found !== null ? found : {};
}
