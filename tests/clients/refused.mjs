// What a client developer sees after each of the likely mistakes: an error that says what to do.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { transport } from "./connect.mjs";

const attempt = (server, headers) =>
  new Client({ name: "t", version: "1" }).connect(transport(server, headers)).then(
    () => assert.fail("connected"),
    (error) => error.message,
  );

assert.match(await attempt("demo", { Authorization: "Bearer wrong" }), /401/);
assert.match(await attempt("nobody", {}), /403/);
assert.match(await attempt("demo", { ENV_LD_PRELOAD: "x" }), /400/);
console.log("passed");
process.exit(0);
