// Keeps the page up to date, and asks before anything is done. Without it the page can be read, and everything be done.

const dialog = document.getElementById("dialog");
const connection = document.getElementById("connection");
const filter = document.getElementById("filter");

// --- what has changed ---------------------------------------------------------------------------------------------

// What the operator has changed of an element, which stays.
const kept = { DETAILS: ["open"], TR: ["hidden"] };

// Makes one element like another, touching nothing that is alike: focus, selections and open details stay.
function become(old, fresh) {
  const mine = kept[old.nodeName] ?? [];
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !mine.includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const nodes = [...fresh.childNodes];
  nodes.forEach((node, at) => {
    const known = old.childNodes[at];
    if (!known) old.append(node);
    else if (known.nodeType !== node.nodeType || known.nodeName !== node.nodeName) known.replaceWith(node);
    else if (node.nodeType === Node.ELEMENT_NODE) become(known, node);
    else if (known.nodeValue !== node.nodeValue) known.nodeValue = node.nodeValue;
  });
  while (old.childNodes.length > nodes.length) old.lastChild.remove();
}

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

function apply(name, { summary, order, rows }) {
  if (summary !== undefined) {
    const fresh = document.createElement("div");
    const place = document.querySelector(`[data-summary="${name}"]`);
    for (const { name, value } of place.attributes) fresh.setAttribute(name, value);
    fresh.append(parsed(summary));
    become(place, fresh);
  }
  const table = document.querySelector(`[data-rows="${name}"]`);
  if (!table) return;
  const known = new Map([...table.children].map((row) => [row.dataset.key, row]));
  for (const [key, html] of Object.entries(rows)) {
    const fresh = parsed(html).firstElementChild;
    if (known.has(key)) become(known.get(key), fresh);
    else known.set(key, fresh);
  }
  if (order) {
    const wanted = new Set(order);
    for (const [key, row] of known) if (!wanted.has(key)) row.remove();
    order.forEach((key, at) => {
      const row = known.get(key);
      // What stands where it should is not moved, or it would lose the focus.
      if (row && table.children[at] !== row) table.insertBefore(row, table.children[at] ?? null);
    });
  }
  if (name === "sessions") sift();
}

// --- sessions that are looked for ---------------------------------------------------------------------------------

function sift() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...document.querySelectorAll('[data-rows="sessions"] > tr:not(.empty)')];
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  const shown = rows.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent = words.length ? `${shown} of ${rows.length}` : "";
}

// --- the connection -----------------------------------------------------------------------------------------------

function tell(text) {
  connection.textContent = text;
  connection.hidden = !text;
}

function follow() {
  const source = new EventSource("/admin/events");
  let hasEnded = false;
  source.onopen = () => {
    hasEnded = false;
    tell("");
  };
  source.onerror = () => {
    if (hasEnded) return;
    if (source.readyState === EventSource.CLOSED) {
      tell("This page does not update itself: reload it, and log in again if you are asked to.");
    } else {
      tell("The connection to the gateway is lost. This page shows how it was; it tries again.");
    }
  };
  source.addEventListener("end", () => {
    hasEnded = true;
    source.close();
    tell("The gateway has ended. This page shows how it was at the end; reload it once the gateway runs again.");
  });
  for (const name of ["notice", "status", "sessions", "servers", "tenants", "sandbox", "audit"]) {
    source.addEventListener(name, (event) => apply(name, JSON.parse(event.data)));
  }
}

// --- what is to be done -------------------------------------------------------------------------------------------

// Shows the part of another page in the dialog, or goes to that page if it has no such part, as the one to log in at.
async function show(answer, part, url) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = page.getElementById(part) ?? page.getElementById("outcome");
  if (!content) {
    location.assign(url);
    return;
  }
  const heading = content.querySelector("h1");
  const title = document.createElement("h2");
  title.append(...heading.childNodes);
  heading.replaceWith(title);
  dialog.setAttribute("aria-label", title.textContent);
  dialog.replaceChildren(content);
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[autofocus]")?.focus();
}

function failed() {
  const text = document.createElement("p");
  text.textContent = "The gateway cannot be reached; whether this was done is not known. Reload the page to see.";
  dialog.replaceChildren(text);
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.hasAttribute("data-close") && dialog.open) {
    event.preventDefault();
    dialog.close();
  } else if (link.hasAttribute("data-confirm")) {
    event.preventDefault();
    try {
      await show(await fetch(link.href), "confirm", link.href);
    } catch {
      location.assign(link.href);
    }
  }
});

dialog.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  form.querySelector("[type=submit]").disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form));
    await show(await fetch(form.action, { method: "POST", body }), "outcome", "/admin");
  } catch {
    failed();
  }
});

if (filter) {
  filter.closest("[hidden]").hidden = false;
  filter.addEventListener("input", sift);
  follow();
}
