#!/usr/bin/env node
// kbv_txt.js NAME: what this host's resolver says, for eyes and logs.
// NAME: _kbv.… or sDIGEST._kbv.…
const { Resolver } = require("node:dns").promises;

async function main(name) {
  const resolver = new Resolver({ timeout: 2000, tries: 3 });
  resolver.setServers(["127.0.0.1"]); // not what resolv.conf names
  const records = await resolver.resolveTxt(name);
  const verdicts = records.map((items) =>
    Object.fromEntries(items.map((item) => item.split(/=(.*)/s))));
  for (const verdict of verdicts)
    console.log(...["status", "owner", "not-after", "reason"].map((key) => verdict[key] ?? "-"));
  return verdicts.some(({ status }) => ["BOUND", "PUBLISHED"].includes(status)) ? 0 : 1;
}

main(process.argv[2]).then(
  (status) => { process.exitCode = status; },
  (error) => { console.error(`no verdict: ${error.message}`); process.exitCode = 3; },
);
