# SPDX-License-Identifier: BSD-3-Clause
"""The signed DNS tree behind the resolver: every test of every forwarder has a name for itself."""

ROUNDS = 10  # each has names of its own: one for questions in flight, one for cached ones
# Forms of the question as libkbv knows them, but for: `rr`, which has no key; `digits`, an option on
# a name without letters, whose case libkbv cannot choose at random.
KINDS = ("rr", "name", "txt", "option", "tlsa", "digits")
READY = "ready.op.example."
BRIEF, BRIEF_S = "_443._tcp.js.brief.", 4  # a verdict about it has so many seconds
EIGHT = "70B3D57ED0000163"
TTL_S = 900  # nothing ends during a run

_DESCRIPTION = """
ttl = {ttl}
origin = "op.example."
kbv_zones = [ "joineuis.example joineui" ]
kbv_require_secure = []
[server]
root = {{ kind = "nsd", v4 = "198.51.100.1" }}
op   = {{ kind = "nsd", v4 = "198.51.100.2" }}
[zone."."]
servers = ["root"]
algorithm = "ECDSAP256SHA256"
[zone."example."]
servers = ["root"]
algorithm = "ECDSAP256SHA256"
[zone."joineuis.example."]
servers = ["root"]
algorithm = "ECDSAP256SHA256"
[zone."9."]
servers = ["op"]
algorithm = "ECDSAP256SHA256"
records = '''
{digits}
'''
[zone."brief."]
servers = ["op"]
algorithm = "ECDSAP256SHA256"
ttl = {brief}
records = '''
_443._tcp.js TLSA 3 1 1 @one
'''
[zone."op.example."]
servers = ["op"]
algorithm = "ECDSAP256SHA256"
records = '''
ready A 203.0.113.1
{records}
'''
[cert]
"one"   = {{ names = ["op.example"] }}
"two"   = {{ names = ["op.example"] }}
"other" = {{ names = ["op.example"] }}
"tls"   = {{ names = ["resolver.example"] }}
[case.eight]
about = "eight endpoints"
ask = "joineui {eight}"
records = '''
@ NAPTR 50 50 "S" "LWNS" "" _lwn.op.example.
'''
expect = []
"""


def owner(kind, round_, cached=False):
    number = 2 * round_ + cached
    return f"_443.{number}.9." if kind == "digits" else f"_443._tcp.{kind}{number}.op.example."


def _both(kind):
    """Records of both keys at every round's name."""
    return [f"{owner(kind, number, cached)} TLSA 3 1 1 @{cert}" for number in range(ROUNDS)
            for cached in (False, True) for cert in ("one", "two")]


def description():
    records = [record for kind in KINDS if kind != "digits" for record in _both(kind)]
    for port in range(9001, 9009):
        records += [f"_lwn SRV {port - 9000} 0 {port} many", f"_{port}._tcp.many TLSA 3 1 1 @one"]
    records += ["many A 203.0.113.2"]
    return _DESCRIPTION.format(ttl=TTL_S, brief=BRIEF_S, eight=EIGHT, records="\n".join(records),
                               digits="\n".join(_both("digits")))
