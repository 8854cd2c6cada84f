#!/usr/bin/env node
// kbv_query.js OWNER SPKI-SHA256: does this host's resolver prove that the key is bound to OWNER?
const { execFile } = require("node:child_process");

function bound(owner, digest, then) {
  const words = ["query", owner, "--server", "127.0.0.1", "--spki-sha256", digest, "--short"];
  execFile("kbv", words, { timeout: 8000 }, (error, line, why) => then(error === null, line, why));
}

bound(process.argv[2], process.argv[3], (accepted, line, why) => {
  process.stdout.write(line);
  process.stderr.write(why);
  process.exitCode = accepted ? 0 : 1;
});
