// The operator's page in a browser: what it shows by itself, what can be done with it, and whether everybody can read it.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [gateway, secret, admin, adminSecret, executablePath, shots] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
await mkdir(shots, { recursive: true });

const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const complaints = [];

async function open(path = "/admin") {
  const page = await browser.newPage();
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.setViewport({ width: 1280, height: 860 });
  await page.goto(admin + path);
  return page;
}

// A session over Streamable HTTP; what it is asked goes on until it is answered, or the session ends.
const accept = "application/json, text/event-stream";
const headers = { authorization: `Bearer ${secret}`, "content-type": "application/json", accept };
async function session(server) {
  const clientInfo = { name: "page", version: "1" };
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
  const post = (message, more) =>
    fetch(`${gateway}/${server}/mcp`, {
      method: "POST",
      headers: { ...headers, ...more },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    });
  const answer = await post({ id: 0, method: "initialize", params });
  await answer.text();
  const named = { "mcp-session-id": answer.headers.get("mcp-session-id") };
  return {
    post: (message) => post(message, named),
    end: () => fetch(`${gateway}/${server}/mcp`, { method: "DELETE", headers: { ...headers, ...named } }),
  };
}

const rows = (page) => page.$$eval('[data-rows="sessions"] > tr:not(.empty)', (rows) => rows.map((row) => row.dataset.key));
const until = (page, what, ...given) => page.waitForFunction(what, { timeout: 20_000, polling: 50 }, ...given);
const untilRow = (page, key, there) =>
  until(page, (key, there) => !!document.querySelector(`[data-rows="sessions"] > [data-key="${key}"]`) === there, key, there);

async function isFor(page, name) {
  const path = join(shots, `${name}.png`);
  if (await page.$("dialog[open]")) {
    await page.screenshot({ path });
  } else {
    const { scrollWidth: width, scrollHeight } = await page.evaluate(() => {
      const { scrollWidth, scrollHeight } = document.documentElement;
      return { scrollWidth, scrollHeight };
    });
    const clip = { x: 0, y: 0, width, height: Math.min(scrollHeight, 2000) };
    await page.screenshot({ path, clip, captureBeyondViewport: true });
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${name}: it has to be scrolled sideways, by ${wide}`);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(grave.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]), [], name);
}

// In all the ways in which it is looked at.
async function looks(page, name) {
  for (const width of [1280, 390]) {
    for (const scheme of ["light", "dark"]) {
      await page.setViewport({ width, height: 860 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await isFor(page, `${name}-${width}-${scheme}`);
    }
  }
  await page.setViewport({ width: 1280, height: 860 });
  await page.emulateMediaFeatures([]);
}

const page = await open();
assert.equal(page.url(), `${admin}/admin/login`);
await looks(page, "login");
await page.type("#secret", adminSecret);
await Promise.all([page.waitForNavigation(), page.click("button[type=submit]")]);
assert.equal(page.url(), `${admin}/admin`);
// A page that is loaded anew does not have it.
await page.evaluate(() => (window.mark = "first"));
const isFirst = () => page.evaluate(() => window.mark);

// Sessions come and go by themselves.
const one = await session("peer");
await session("other");
await untilRow(page, "2", true);
await one.end();
await untilRow(page, "1", false);
const busy = await session("peer");
for (let id = 1; id < 20; id += 1) await (await busy.post({ id, method: "pid" })).text();
await session("broken");
await page.waitForSelector("details");

// What the operator has open stays so, whatever comes.
await page.click("details > summary");
await page.focus("#filter");
await page.type("#filter", "other");
await session("stubborn");
await untilRow(page, "5", true);
await session("broken");
await until(page, () => document.querySelector("details").textContent.includes("lately (2)"));
const visible = await page.$$eval('[data-rows="sessions"] > tr', (all) => all.filter((row) => !row.hidden).map((row) => row.dataset.key));
assert.deepEqual(visible, ["2"], "only what is looked for is shown");
assert.ok(await page.$eval("details", (details) => details.open), "it stays open");
assert.equal(await page.evaluate(() => document.activeElement.id), "filter");
await page.$eval("#filter", (filter) => {
  filter.value = "";
  filter.dispatchEvent(new Event("input"));
});
await looks(page, "overview");

// One is ended, after a question that stays while other things change.
await page.click('[data-key="5"] [data-confirm]');
await page.waitForSelector("dialog[open] #confirm");
assert.match(await page.$eval("dialog h2", (title) => title.textContent), /End session 5/);
await looks(page, "dialog");
await session("peer");
await untilRow(page, "7", true);
assert.match(await page.$eval("dialog[open] h2", (title) => title.textContent), /End session 5/);
await page.click("dialog [data-close]");
assert.ok((await rows(page)).includes("5"), "who cancels ends nothing");
await page.click('[data-key="5"] [data-confirm]');
await page.waitForSelector("dialog[open] #confirm");
await page.click("dialog [type=submit]");
await page.waitForSelector("dialog[open] #outcome");
await untilRow(page, "5", false);
await page.click("dialog [data-close]");

// Settings are read again.
await page.click('a[href="/admin/reload"]');
await page.waitForSelector("dialog[open] #confirm");
await page.click("dialog [type=submit]");
await page.waitForSelector("dialog[open] #outcome");
assert.match(await page.$eval("dialog #outcome", (outcome) => outcome.textContent), /0 added, 0 changed/);
await page.click("dialog [data-close]");
assert.equal(await isFirst(), "first", "nothing of that has loaded the page anew");

// Without the script everything can be done as well.
const plain = await browser.newPage();
await plain.setJavaScriptEnabled(false);
await plain.goto(`${admin}/admin`);
await Promise.all([plain.waitForNavigation(), plain.click('[data-key="7"] [data-confirm]')]);
await Promise.all([plain.waitForNavigation(), plain.click("#confirm [type=submit]")]);
assert.match(await plain.content(), /The session ends/);
await plain.close();
await untilRow(page, "7", false);

// The end: told while something is open, and when nothing is.
const open_call = busy.post({ id: 99, method: "ask", params: { id: "q" } });
await until(page, () => document.querySelector('[data-rows="sessions"]').textContent.includes("1 open"));
await page.click('a[href="/admin/drain"]');
await page.waitForSelector("dialog[open] #confirm");
await page.click("dialog [type=submit]");
await page.waitForSelector("dialog[open] #outcome");
await page.click("dialog [data-close]");
await until(page, () => document.querySelector('[data-summary="notice"]').textContent.includes("drains"));
await looks(page, "draining");
await busy.post({ id: "q", result: {} });
await (await open_call).text();
await until(page, () => document.getElementById("connection").textContent.includes("The gateway has ended"));

assert.deepEqual(complaints, [], "what the console says");
await browser.close();
console.log("passed");
