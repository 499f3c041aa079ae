// Reads an event stream (HTML, section 9.2), as `fetch` gives it.

/** The events of a body, each with `id` and `data`. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = { data: [] };
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line !== "") {
          read(line, event);
          continue;
        }
        if (event.data.length || event.id !== undefined) yield { id: event.id, data: event.data.join("\n") };
        event = { data: [] };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function read(line, event) {
  const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
  if (name === "data") event.data.push(value ?? "");
  if (name === "id") event.id = value ?? "";
}
