# SPDX-License-Identifier: BSD-3-Clause
"""dig and kdig: two clients that know nothing of verdicts, run as a person would run them."""

import re
import subprocess
from dataclasses import dataclass, field

RRTYPE = "TYPE65300"
OPTION = 65100


@dataclass
class Record:
    name: str
    ttl: int
    type: str
    text: str  # RDATA as printed, blanks inside hex left as they are

    @property
    def octets(self):
        """RDATA of a record in the form of RFC 3597."""
        mark, length, *hex_words = self.text.split()
        octets = bytes.fromhex("".join(hex_words))
        assert mark == "\\#" and len(octets) == int(length), f"not RFC 3597 text: {self.text}"
        return octets

    @property
    def strings(self):
        """The character-strings of a TXT record."""
        return [re.sub(r"\\(\d{3}|.)", lambda m: chr(int(m[1])) if len(m[1]) == 3 else m[1], text)
                for text in re.findall(r'"((?:[^"\\]|\\.)*)"', self.text)]


@dataclass
class Reply:
    command: str
    rcode: str = ""
    flags: set = field(default_factory=set)
    edes: list = field(default_factory=list)     # info codes
    options: list = field(default_factory=list)  # octets of option 65100
    answer: list = field(default_factory=list)
    size: int = 0
    transport: str = ""

    def records(self, rrtype):
        return [record for record in self.answer if record.type == rrtype]

    @property
    def verdicts(self):
        """The octets of the verdicts in the answer section, sorted."""
        return sorted(record.octets for record in self.records(RRTYPE))

    @property
    def option(self):
        assert len(self.options) == 1, f"{len(self.options)} options 65100 in the reply"
        return self.options[0]


class NoReply(AssertionError):
    """There was no reply in time."""


_RECORD = re.compile(r"^([^;\s]\S*)\s+(\d+)\s+IN\s+(\S+)\s+(.*)$")
_PATTERNS = {
    "dig": {
        "head": re.compile(r"status: (\w+)"),
        "flags": re.compile(r"^;; flags: ([^;]*);", re.M),
        "ede": re.compile(r"^; EDE: (\d+)", re.M),
        "option": re.compile(rf"^; OPT={OPTION}:((?: [0-9a-f]{{2}})*)", re.M),
        "size": re.compile(r"^;; MSG SIZE  rcvd: (\d+)", re.M),
        "transport": re.compile(r"^;; SERVER: .*\((\w+)\)$", re.M)},
    "kdig": {
        "head": re.compile(r"status: (\w+)"),
        "flags": re.compile(r"^;; Flags: ([^;]*);", re.M),
        "ede": re.compile(r"^;; EDE: (\d+)", re.M),
        "option": re.compile(rf"^;; Option \({OPTION}\): ?([0-9A-F]*)", re.M),
        "size": re.compile(r"^;; Received (\d+) B", re.M),
        "transport": re.compile(r"^;; From .*\((\w+)\)", re.M)},
}


def command_line(client, name, rrtype=RRTYPE, option=None, server="127.0.0.1", port=53,
                 arguments=()):
    """The question as words of a command. option: octets for EDNS option 65100, or None."""
    words = [client, f"@{server}"]
    if port != 53:
        words += ["-p", str(port)]
    if option is not None:
        words.append(f"+ednsopt={OPTION}:{option.hex()}")
    return [*words, *arguments, name, rrtype]


def parse(client, output):
    """What dig or kdig printed, as a Reply; NoReply if there was none."""
    patterns = _PATTERNS[client]
    # After a truncated reply the clients ask again over TCP: the last header counts.
    heads = list(patterns["head"].finditer(output))
    if not heads:
        raise NoReply(output)
    text = output[heads[-1].start():]

    def first(key):
        match = patterns[key].search(text)
        return match[1] if match else ""

    reply = Reply("", heads[-1][1], set(first("flags").split()),
                  [int(code) for code in patterns["ede"].findall(text)],
                  [bytes.fromhex(octets) for octets in patterns["option"].findall(text)],
                  size=int(first("size") or 0), transport=first("transport"))
    for line in text.splitlines():
        match = _RECORD.match(line)
        if match:
            reply.answer.append(Record(match[1].lower(), int(match[2]), match[3], match[4]))
    return reply


def _run(client, words, deadline_s):
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace",
                              timeout=deadline_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoReply(f"no end of `{' '.join(words)}` in {deadline_s} s") from error
    try:
        reply = parse(client, done.stdout)
    except NoReply:
        raise NoReply(f"no reply to `{' '.join(words)}`: {done.stdout}{done.stderr}") from None
    reply.command = " ".join(words)
    return reply


def dig(name, rrtype=RRTYPE, option=None, *arguments, patience_s=15, **where):
    """Asks with dig. The first answer to a slow question may come late or be dropped by
    Unbound's discard-timeout: dig asks again every three seconds, patience_s at most."""
    tries = max(1, patience_s // 3)
    words = command_line("dig", name, rrtype, option, arguments=[
        "+nocmd", "+time=3", f"+tries={tries}", *arguments], **where)
    return _run("dig", words, patience_s + 5)


def kdig(name, rrtype=RRTYPE, option=None, *arguments, patience_s=15, **where):
    """Asks with kdig, as dig()."""
    tries = max(1, patience_s // 3)
    words = command_line("kdig", name, rrtype, option, arguments=[
        "+time=3", f"+retry={tries - 1}", "+edns", "+adflag", *arguments], **where)
    return _run("kdig", words, patience_s + 5)
