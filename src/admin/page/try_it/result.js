// What a tool has answered, as people read it.
import { copyable, element, shortened } from "./element.js";

/** So many characters of one text are shown. */
const SHOWN = 256 * 1024;
/** What a browser draws without running anything of it. */
const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/** The parts of a result of `tools/call`. */
export function resultView(result, milliseconds) {
  const failed = result.isError === true;
  const mark = element("span", { class: failed ? "mark bad" : "mark good" }, failed ? "the tool reports an error" : "done");
  const head = element("p", { class: "outcome" }, mark, ` in ${Math.round(milliseconds)} ms`);
  const content = Array.isArray(result.content) ? result.content : [];
  const parts = content.map(contentView);
  if (result.structuredContent !== undefined) parts.push(jsonView("Structured content", result.structuredContent));
  if (!parts.length) parts.push(element("p", { class: "empty" }, "It has no content."));
  return [head, ...parts];
}

function contentView(item) {
  switch (item?.type) {
    case "text":
      return textView(item.text);
    case "image":
      return IMAGES.includes(item.mimeType)
        ? element("figure", {}, element("img", { alt: `An image (${item.mimeType})`, src: `data:${item.mimeType};base64,${item.data}` }))
        : note(`An image of the type ${item.mimeType}, which is not shown`);
    case "audio":
      return note(`Audio of the type ${item.mimeType}, ${String(item.data ?? "").length} characters in base64`);
    case "resource_link":
      return note(`A resource: ${item.title ?? item.name ?? ""} ${item.uri}`);
    case "resource":
      return resourceView(item.resource ?? {});
    default:
      return jsonView("Content of another kind", item);
  }
}

function resourceView({ uri, mimeType, text, blob }) {
  const head = note(`A resource: ${uri} ${mimeType ?? ""}`);
  if (typeof text === "string") return element("div", {}, head, textView(text));
  return element("div", {}, head, note(`${String(blob ?? "").length} characters in base64`));
}

function textView(text) {
  const all = String(text ?? "");
  return copyable(all, shortened(all, SHOWN));
}

/** A value as JSON, under a heading. */
export function jsonView(heading, value) {
  const text = JSON.stringify(value, null, 2);
  return element("div", {}, element("h4", {}, heading), copyable(text, shortened(text, SHOWN)));
}

function note(text) {
  return element("p", { class: "note" }, text);
}
