// Elements are made here and nowhere else. What a server says only ever becomes text.

/** An element with attributes, listeners (`onclick`, …) and children, which are elements or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return made;
}

let count = 0;

/** An id that nothing else on the page has. */
export function newId(prefix) {
  count += 1;
  return `${prefix}-${count}`;
}

/** A text to be read, with a button that copies all of it, also of what is not shown. */
export function copyable(text, shown = text) {
  return element("div", { class: "copied" }, copyButton(() => text), element("pre", { tabindex: 0 }, shown));
}

/** A button that copies what `text` gives. */
export function copyButton(text) {
  const button = element("button", { type: "button", class: "quiet copy" }, "Copy");
  button.addEventListener("click", () => copy(button, text()));
  return button;
}

/** Copies, and says on the button how that went. */
async function copy(button, text) {
  const label = button.textContent;
  button.textContent = await navigator.clipboard.writeText(text).then(
    () => "Copied",
    () => "Not allowed",
  );
  button.addEventListener("blur", () => (button.textContent = label), { once: true });
}

/** A text of so many characters at most, which says what is missing. */
export function shortened(text, most) {
  if (text.length <= most) return text;
  return `${text.slice(0, most)}\n… ${text.length - most} characters more, which are not shown`;
}
