// server-filesystem, through Lockgate: it sees what it was allowed, and nothing of another session.
import assert from "node:assert/strict";
import { call, connect, text } from "./connect.mjs";

const [server, directory] = process.argv.slice(4);
const client = await connect(server);
await call(client, "write_file", { path: `${directory}/note.txt`, content: "hello" });
assert.match(text(await call(client, "list_directory", { path: directory })), /note\.txt/);
assert.equal(text(await call(client, "read_text_file", { path: `${directory}/note.txt` })), "hello");
await client.close();
console.log("passed");
process.exit(0);
