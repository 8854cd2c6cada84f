# SPDX-License-Identifier: BSD-3-Clause
"""What the configuration refuses: unbound-checkconf and Unbound itself say the same, with file,
line, key, value, and what would be right."""

import subprocess
from pathlib import Path

from kbvtest import programs, tap
from kbvtest.tap import same
from kbvworld import resolver

ZONE = "joineuis.lora-alliance.org joineui"
STACK = "kbv validator iterator"

# Each row is refused because of its line with `!`. The words must all be in the message, beside
# file, line, key and value; the value not where `!!` stands.
REFUSED = {
    "an unknown key": (["kbv:", "!kbv-colour: blue"], ["unknown"]),
    "an unknown key of 500 letters": (["kbv:", f"!kbv-{'colour' * 83}: blue"], ["unknown"]),
    "a zone of an unknown kind": (["kbv:", '!kbv-zone: "joineuis.example joineuid"'],
                                  ["joineui", "netid", "deveui"]),
    "a zone without a kind": (["kbv:", '!kbv-zone: "joineuis.example"'], ["kind"]),
    "a zone with an unknown attribute": (["kbv:", f'!kbv-zone: "{ZONE} colour=blue"'],
                                         ["colour", "form", "lookup", "port"]),
    "a JoinEUI zone in flat form": (["kbv:", f'!kbv-zone: "{ZONE} form=flat"'], ["nibble"]),
    "a NetID zone in nibble form": (["kbv:", '!kbv-zone: "netids.example netid form=nibble"'],
                                    ["flat"]),
    "an unknown form": (["kbv:", '!kbv-zone: "d.example deveui form=round"'], ["nibble", "flat"]),
    "an unknown lookup": (["kbv:", f'!kbv-zone: "{ZONE} lookup=guess"'], ["service", "identity"]),
    "port 0": (["kbv:", f'!kbv-zone: "{ZONE} port=0"'], ["65535"]),
    "port 65536": (["kbv:", f'!kbv-zone: "{ZONE} port=65536"'], ["65535"]),
    "a port that is no number": (["kbv:", f'!kbv-zone: "{ZONE} port=https"'], ["65535"]),
    "a port twice": (["kbv:", f'!kbv-zone: "{ZONE} port=443,443"'], ["443"]),
    "nine ports": (["kbv:", f'!kbv-zone: "{ZONE} port=1,2,3,4,5,6,7,8,9"'], ["8"]),
    "a zone twice": (["kbv:", f'kbv-zone: "{ZONE}"', f'!kbv-zone: "{ZONE}"'], []),
    "a suffix that is no name": (["kbv:", '!kbv-zone: "a..b joineui"'], ["name"]),
    "kbv-literal": (["kbv:", "!kbv-literal: maybe"], ["yes", "no"]),
    "kbv-txt": (["kbv:", "!kbv-txt: 1"], ["yes", "no"]),
    "kbv-qname-minimisation": (["kbv:", "!kbv-qname-minimisation: strict"], ["yes", "no"]),
    "kbv-rrtype of an assigned type": (["kbv:", "!kbv-rrtype: 52"], ["65280", "65534"]),
    "kbv-rrtype beyond private use": (["kbv:", "!kbv-rrtype: 65535"], ["65280", "65534"]),
    "kbv-rrtype with a rest": (["kbv:", "!kbv-rrtype: 65300x"], ["65280", "65534"]),
    "kbv-edns-option of an assigned option": (["kbv:", "!kbv-edns-option: 15"],
                                              ["65001", "65534"]),
    "kbv-max-ttl below zero": (["kbv:", "!kbv-max-ttl: -1"], []),
    "kbv-max-ttl with a unit": (["kbv:", "!kbv-max-ttl: 1h"], []),
    "kbv-max-negative-ttl without a value": (["kbv:", '!kbv-max-negative-ttl: ""'], []),
    "kbv-max-pending": (["kbv:", "!kbv-max-pending: many"], []),
    "kbv-chain-ratelimit": (["kbv:", "!kbv-chain-ratelimit: none"], ["0", "1000000"]),
    "kbv-cache-size": (["kbv:", "!kbv-cache-size: 16q"], ["m", "k"]),
    "kbv-ca-bundle without a file": (["kbv:", '!kbv-ca-bundle: "/nonexistent.pem"'], ["PEM"]),
    "kbv-ca-bundle without a certificate": (["kbv:", '!kbv-ca-bundle: "/dev/null"'],
                                            ["no certificate", "PEM"]),
    "kbv-security-level": (["kbv:", "!kbv-security-level: 6"], ["0", "5"]),
    "kbv-require-secure": (["kbv:", '!kbv-require-secure: "a..b"'], ["name"]),
    "val-permissive-mode": (["server:", "!val-permissive-mode: yes"], ["no"]),
    "val-override-date": (["server:", '!val-override-date: "20261122050000"'], ["0"]),
    "serve-expired without an end": (["server:", "serve-expired: yes", "!serve-expired-ttl: 0"],
                                     ["serve-expired: yes"]),
    "serve-expired with a reset": (["server:", "serve-expired: yes", "serve-expired-ttl: 3600",
                                    "!serve-expired-ttl-reset: yes"], ["no"]),
    "cache-min-ttl with cachedb": (
        ["server:", 'module-config: "kbv validator cachedb iterator"', "!cache-min-ttl: 60"],
        ["0", "cachedb", "age"]),
    "serve-original-ttl with cachedb": (
        ["server:", 'module-config: "kbv validator cachedb iterator"', "!serve-original-ttl: yes"],
        ["no", "cachedb", "age"]),
    "kbv behind the validator": (["server:", '!module-config: "validator kbv iterator"'], [STACK]),
    "kbv twice": (["server:", '!module-config: "kbv kbv validator iterator"'], [STACK]),
    "a clause without the module": (["server:", 'module-config: "validator iterator"', "kbv:",
                                     f'!!kbv-zone: "{ZONE}"'],
                                    ['module-config: "validator iterator"', STACK]),
    "local data of our type": (["server:", "!local-data: \"_443._tcp.x.test. TYPE65300 \\# 1 12\""],
                               ["65300"]),
    "local data below _kbv": (["server:", '!local-data: "_kbv.x.test. TXT status=BOUND"'],
                              ["_kbv"]),
    "a local zone below _kbv": (["server:", '!local-zone: "_kbv.x.test." static'], ["_kbv"]),
    "local data of our type in a view": (
        ["view:", 'name: "v"', "!local-data: \"_443._tcp.x.test. TYPE65300 \\# 1 12\""],
        ["65300", "v"]),
}
ACCEPTED = {
    "the world's own configuration": [],
    "every key": ["kbv:", f'kbv-zone: "{ZONE} port=443,8443"',
                  'kbv-zone: "d.example deveui form=flat lookup=service"', "kbv-literal: no",
                  "kbv-rrtype: 65301", "kbv-edns-option: 65101", "kbv-txt: no", "kbv-max-ttl: 60",
                  "kbv-max-negative-ttl: 5", 'kbv-require-secure: "x.example"',
                  "kbv-max-pending: 10", "kbv-qname-minimisation: yes", "kbv-cache-size: 4m",
                  "kbv-chain-ratelimit: 10"],
    "neither table nor limit": ["kbv:", "kbv-cache-size: 0", "kbv-chain-ratelimit: 0"],
    "bounded serve-expired": ["server:", "serve-expired: yes", "serve-expired-ttl: 3600"],
    "cache-min-ttl and serve-original-ttl without cachedb": ["server:", "cache-min-ttl: 60",
                                                             "serve-original-ttl: yes"],
    "cachedb": ["server:", 'module-config: "kbv validator cachedb iterator"', "cache-min-ttl: 0"],
    "no kbv: clause": ["server:"],
}


def write(described, name, lines):
    """A configuration with these lines at its end; the file, and the number of the `!` line."""
    folder = Path(described["dir"]) / "configuration"
    folder.mkdir(exist_ok=True)
    conf = folder / f"{name.replace(' ', '-')}.conf"
    with_zones = "kbv-zone" not in "".join(lines)
    text = resolver.unbound_conf(described if with_zones else
                                 described | {"kbv_zones": [], "kbv_require_secure": []},
                                 folder, extra=[line.lstrip("!") for line in lines])
    conf.write_text(text)
    marked = [number for number, line in enumerate(lines) if line.startswith("!")]
    before = len(text.splitlines()) - len(lines)
    return conf, before + marked[0] + 1 if marked else None


def said(command):
    """Exit status and all output of a program that must end by itself."""
    try:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=10,
                              check=False)
    except subprocess.TimeoutExpired:
        return None, f"{command[0]} keeps running"
    return done.returncode, done.stdout + done.stderr


def our_line(output, key):
    """The line of the output that speaks of the key."""
    lines = [line for line in output.splitlines() if key in line]
    assert lines, f"nothing about {key}: {output}"
    return lines[0].partition("error: ")[2] or lines[0]


def is_refused(described, name):
    lines, words = REFUSED[name]
    conf, number = write(described, name, lines)
    marked = next(line for line in lines if line.startswith("!"))
    key, _, value = marked.lstrip("!").partition(": ")
    key = key[:63]  # what is shown of one that is longer
    status, output = said([programs.CHECKCONF, conf])
    assert status not in (0, None), f"unbound-checkconf accepts it: {output}"
    message = our_line(output, key)
    value = "" if marked.startswith("!!") else value.split('" ')[0].strip('"')
    for word in [f"{conf}:{number}", key, value, *words]:
        assert word in message, f"no {word!r} in: {message}"

    log = conf.with_suffix(".log")
    text = conf.read_text().replace(f"{conf.parent}/unbound.log", str(log))
    # Without a log file the message goes to standard error.
    conf.write_text(text.replace(f'logfile: "{log}"', 'logfile: ""'))
    status, output = said([programs.UNBOUND, "-d", "-c", conf])
    assert status not in (0, None), f"Unbound starts: {output}"
    same("Unbound's message", our_line(output, key), message)


def is_accepted(described, name):
    conf, _ = write(described, name, ACCEPTED[name])
    status, output = said([programs.CHECKCONF, conf])
    same(f"exit status of unbound-checkconf ({output})", status, 0)


def main():
    suite = tap.Suite("configuration")
    described = programs.world()
    suite.tests([(f"refused: {name}", is_refused, described, name) for name in REFUSED] +
                [(f"accepted: {name}", is_accepted, described, name) for name in ACCEPTED])
    suite.finish()


main()
