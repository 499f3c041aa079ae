// Runs an official conformance suite through Lockgate:
//   node conformance.mjs BASE SECRET SERVER PACKAGE [SUITE OPTIONS…]
// The suite cannot send a secret, so a proxy on loopback stands in front and adds it. The suite wants
// Node 22; npm has installed one.
import { spawn } from 'node:child_process';
import http from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const [base, secret, server, suite, ...options] = process.argv.slice(2);
const target = new URL(`${base}/${encodeURIComponent(server)}/mcp`);
const modules = fileURLToPath(new URL('../node_modules', import.meta.url));

const agent = new http.Agent({ keepAlive: true });
const proxy = http.createServer((request, response) => {
  const headers = { ...request.headers, authorization: `Bearer ${secret}` };
  // The gateway knows itself by its own address only; a name that is not the proxy's stays as it is.
  if (headers.host === own) headers.host = target.host;
  if (headers.origin === `http://${own}`) headers.origin = target.origin;
  const onward = http.request(target, { method: request.method, headers, agent }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
  });
  request.pipe(onward);
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
});
proxy.listen(0, '127.0.0.1');
await once(proxy, 'listening');
const own = `127.0.0.1:${proxy.address().port}`;

const run = spawn(
  `${modules}/node/bin/node`,
  ['--import', new URL('patience.mjs', import.meta.url).href, `${modules}/${suite}/dist/index.js`,
    'server', '--url', `http://${own}/mcp`, ...options],
  { stdio: ['ignore', 'pipe', 'inherit'], cwd: process.env.TMPDIR ?? '/tmp' },
);
run.stdout.pipe(process.stdout);
const [code] = await once(run, 'close');
process.exit(code);
