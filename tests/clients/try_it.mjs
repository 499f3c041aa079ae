// A browser tries tools of a real server on the operator's page: from the form to the reply, by both protocols, at two
// widths, light and dark. A failure names its step. It leaves pictures.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import puppeteer from "puppeteer-core";

const [admin, secret, server, executablePath, pictures] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
mkdirSync(pictures, { recursive: true });
const WIDTHS = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844, isMobile: true, hasTouch: true } };
const REVISIONS = { light: "2025-11-25", dark: "2026-07-28" };

const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
let step = "start";
try {
  for (const [width, viewport] of Object.entries(WIDTHS)) {
    for (const [scheme, revision] of Object.entries(REVISIONS)) await tries(`${width}-${scheme}`, viewport, scheme, revision);
  }
} catch (error) {
  console.error(`failed at: ${step}`);
  throw error;
} finally {
  await browser.close();
}
console.log("passed");

async function tries(name, viewport, scheme, revision) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(String(error)));
  await page.setViewport(viewport);
  // What still moves cannot be clicked at.
  const features = { "prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce" };
  await page.emulateMediaFeatures(Object.entries(features).map(([name, value]) => ({ name, value })));

  step = `${name}: log in`;
  await page.goto(`${admin}/admin/login`);
  await page.type("#secret", secret);
  await Promise.all([page.waitForNavigation(), page.click(".login button")]);

  step = `${name}: connect`;
  await page.goto(`${admin}/admin/try?server=${server}`);
  await page.select("#connect [name=revision]", revision);
  await page.click("#add-variable");
  await page.type(".variable .name", "TRIED_BY");
  await page.type(".variable [type=password]", "the page");
  await looks(page, name, "before");
  await page.click("#begin");
  await says(page, "#state", `protocol ${revision}.`);

  step = `${name}: a tool`;
  await open(page, "get-sum");
  await page.click("#tool [type=submit]");
  await says(page, "#tool .fault", "This is required.");
  const [a, b] = await page.$$("#tool input");
  await a.type("19");
  await b.type("23");
  await page.click("#tool [type=submit]");
  await says(page, "#outcome pre", "42");
  await looks(page, name, "reply");

  step = `${name}: the session's environment`;
  await open(page, "get-env");
  await page.click("#tool [type=submit]");
  await says(page, "#outcome pre", '"TRIED_BY": "the page"');

  step = `${name}: an image, structured content`;
  await open(page, "get-tiny-image");
  await page.click("#tool [type=submit]");
  await page.waitForFunction(() => document.querySelector("#outcome img")?.naturalWidth > 0);
  await open(page, "get-structured-content");
  await page.select("#tool select", "0");
  await page.click("#tool [type=submit]");
  await says(page, "#outcome", "Structured content");

  step = `${name}: progress, and calling it off`;
  await open(page, "trigger-long-running-operation");
  await page.click("#tool [type=submit]");
  await says(page, "#outcome .waiting", " of 5");
  await page.evaluate(() => [...document.querySelectorAll("#tool button")].at(-1).click());
  await says(page, "#outcome", "cancelled");

  step = `${name}: a question of the server`;
  await open(page, "trigger-elicitation-request");
  await page.click("#tool [type=submit]");
  await page.waitForSelector("#asked form");
  await looks(page, name, "asked");
  await page.type("#asked input", "Ada");
  await page.click("#asked [type=submit]");
  await says(page, "#outcome", "Ada");

  step = `${name}: every message is shown`;
  await page.click("#messages-panel > summary");
  await page.click("#messages li:last-child summary");
  await says(page, "#messages", "tools/call");
  await looks(page, name, "messages");

  step = `${name}: leave`;
  await page.click("#leave");
  await says(page, "#state", "Disconnected.");
  if (revision === REVISIONS.light) {
    step = `${name}: who leaves the page leaves the session`;
    await noSession();
    await page.click("#begin");
    await says(page, "#state", `protocol ${revision}.`);
    assert.equal(await sessions(), 1, step);
    await page.goto(`${admin}/admin`);
    await noSession();
  }
  assert.deepEqual(faults, [], step);
  await context.close();
  console.log(`${name}: fine`);
}

async function noSession() {
  while ((await sessions()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** How many live that have begun with `initialize`. */
async function sessions() {
  const overview = await fetch(`${admin}/overview`, { headers: { Authorization: `Bearer ${secret}` } });
  return (await overview.json()).sessions.filter(({ transport }) => transport === "streamable").length;
}

async function open(page, tool) {
  await page.evaluate((tool) => {
    const named = [...document.querySelectorAll("#tools .tool")].find((button) => button.firstElementChild.textContent === tool);
    if (!named) throw new Error(`there is no tool ${tool}`);
    named.click();
  }, tool);
}

/** Waits until something says this. */
async function says(page, place, text) {
  const isSaid = (place, text) => [...document.querySelectorAll(place)].some((found) => found.textContent.includes(text));
  await page.waitForFunction(isSaid, { timeout: 60_000 }, place, text).catch(async (error) => {
    const shown = await page.evaluate(() => document.querySelector("#try")?.innerText);
    throw new Error(`${place} never said ${JSON.stringify(text)}, but:\n${shown}`, { cause: error });
  });
}

/** No fault that keeps somebody from using the page, nothing beyond its edge. */
async function looks(page, name, moment) {
  await page.screenshot({ path: `${pictures}/try-${name}-${moment}.png`, fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, `${name}, ${moment}: the page is wider than the screen`);
  // By the protocol of the debugger, which the page's own policy does not bind.
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run());
  const serious = found.violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  assert.deepEqual(told, [], `${name}, ${moment}`);
}
