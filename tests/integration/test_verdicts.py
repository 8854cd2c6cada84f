# SPDX-License-Identifier: BSD-3-Clause
"""Every case of the world, in every form of the question, with two clients.

The unkeyed answer, a right and a wrong digest by EDNS option and in the name, TXT, and for literal
owners the option on a TLSA query; each compared with what the world's description demands.
"""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

from kbvtest import programs, spec, tap, verdicts
from kbvtest.clients import RRTYPE, dig, kdig
from kbvtest.resolver import Resolver
from kbvtest.tap import same, within

CLIENTS = (dig, kdig)
TXT_ORDER = ["v", "status", "owner", "endpoint", "match", "pin", "issued", "not-after", "reason"]


def patience(case):
    return {"patience_s": 45 if case["slow"] else 15}


def check_answer(reply, statuses):
    """What holds for every answer of ours: RCODE, AD, size, and EDE for those who look at it."""
    same(f"RCODE of `{reply.command}`", reply.rcode, "NOERROR")
    assert "ad" not in reply.flags, f"AD in the answer to `{reply.command}`"
    if reply.transport == "UDP":
        within("size over UDP", reply.size, 12, 1232)
    check_edes(reply, statuses)


def check_edes(reply, statuses):
    """An EDE with every status but BOUND and PUBLISHED; of several verdicts only theirs."""
    allowed = set()
    for status in statuses:
        allowed |= spec.BOGUS_EDES if status == "BOGUS" else {spec.STATUSES[status][1]}
    assert set(reply.edes) <= allowed, f"EDE {reply.edes} for {statuses}"
    if len(statuses) == 1 and None not in allowed:
        assert reply.edes, f"no EDE for {statuses[0]}"


def check_ttl(reply, found):
    """The TTL is what is left until the first T; less where a server did not answer in time."""
    left = min(verdicts.epoch(verdict["not_after"]) for verdict in found) - time.time()
    late = any(verdict["status"] == "TEMPFAIL" for verdict in found)
    for record in reply.records(RRTYPE):
        within(f"TTL of {record.name}", record.ttl, 0 if late else max(left - verdicts.CLOCK_S, 0),
               left + verdicts.CLOCK_S)


def ask_both(name, case, *arguments):
    """The octets that dig and kdig got, which must be the same: a verdict stays as it was issued
    until it ends, and one that ends between two questions is asked for again."""
    for _ in range(3):
        replies = [client(name, RRTYPE, None, *arguments, **patience(case)) for client in CLIENTS]
        found = [verdicts.decode(octets) for octets in replies[0].verdicts]
        if replies[0].verdicts == replies[1].verdicts:
            return replies, found
        if min(verdicts.life(verdict) for verdict in found) <= 5:
            # Made anew for each question, or soon: the same but for the time.
            other = [verdicts.decode(octets) for octets in replies[1].verdicts]
            untimed = [[verdict | {"issued": None, "not_after": None} for verdict in side]
                       for side in (found, other)]
            if untimed[0] == untimed[1]:
                return replies, found
    raise AssertionError(f"dig and kdig got different octets: {replies[0].verdicts} and "
                         f"{replies[1].verdicts}")


def published_rrset(name, **how):
    """The RDATA of a TLSA RRset as a plain query shows it."""
    return [bytes(int(word) for word in record.text.split()[:3]) +
            bytes.fromhex("".join(record.text.split()[3:]))
            for record in dig(name, "TLSA", None, **how).records("TLSA")]


def check_rrset(world, found):
    """Algorithm and hash of the RRset that the verdict rests on."""
    if found["status"] not in ("PUBLISHED", "UNUSABLE"):
        return
    at = found["found_at"] or found["owner"]
    zone = world.zone_of(at)
    same("algorithm", found["algorithm"], min(spec.ALGORITHMS[name] for name in
                                              zone["algorithms"]))
    same("hash of the RRset", found["rrset_hash"], spec.rrset_hash(published_rrset(at)).hex())
    assert verdicts.life(found) <= zone["ttl"], f"a life of {verdicts.life(found)} s"
    assert verdicts.epoch(found["not_after"]) <= zone["expires"], "outlives the signatures"


def unkeyed(world, case):
    replies, found = ask_both(case["name"], case)
    for reply in replies:
        check_answer(reply, [row["status"] for row in case["expect"]])
    check_ttl(replies[-1], found)

    def one(verdict, row):
        verdicts.check_expected(verdict, row, case)
        verdicts.check_unkeyed(verdict, row)
        check_rrset(world, verdict)
    verdicts.check_set(found, case["expect"], one)


def unkeyed_option(_, case):
    """Over TCP, for it may be large; it is one of the verdicts in the answer, to the octet."""
    row = spec.select(case["expect"], keyed=False)
    for client in CLIENTS:
        reply = client(case["name"], RRTYPE, spec.request(), "+tcp", **patience(case))
        found = verdicts.decode(reply.option)
        verdicts.check_expected(found, row, case)
        verdicts.check_unkeyed(found, row)
        check_answer(reply, [row["status"]])
        if row["status"] != "BAD_INPUT":
            assert reply.option in reply.verdicts, "the option holds none of the answer's verdicts"


def keyed_option(world, case, material, digest):
    row = spec.select(world.keyed(case, material, digest), keyed=True)
    for client, arguments in ((dig, ()), (kdig, ()), (dig, ("+cd",))):
        reply = client(case["name"], RRTYPE, spec.request(material, digest), *arguments,
                       **patience(case))
        found = verdicts.decode(reply.option)
        verdicts.check_expected(found, row, case)
        verdicts.check_keyed(found, row, material, digest)
        check_answer(reply, [row["status"]])
        same("verdicts in the answer section",
             sorted(verdicts.decode(octets)["status"] for octets in reply.verdicts),
             sorted(row["status"] for row in case["expect"]))


def keyed_tlsa(world, case, material, digest):
    """The option on a TLSA query. The DNS answer around it is that of a query without."""
    row = spec.select(world.keyed(case, material, digest), keyed=True)
    if row["status"] == "BAD_INPUT":  # no identifier, but as a literal owner it does not exist
        row = row | {"status": "NO_BINDING"}
    for client in CLIENTS:
        plain = client(case["name"], "TLSA", None, **patience(case))
        reply = client(case["name"], "TLSA", spec.request(material, digest), **patience(case))
        found = verdicts.decode(reply.option)
        verdicts.check_expected(found, row, case)
        verdicts.check_keyed(found, row, material, digest)
        same("RCODE", reply.rcode, plain.rcode)
        same("AD", "ad" in reply.flags, "ad" in plain.flags)
        same("TLSA records", sorted(record.text for record in reply.records("TLSA")),
             sorted(record.text for record in plain.records("TLSA")))
        assert row["status"] in ("BOUND", "PUBLISHED") or reply.edes, "no EDE"
        secure = case["expect"][0]["status"] in ("PUBLISHED", "UNUSABLE", "NO_BINDING")
        if secure:
            assert "ad" in reply.flags, "no AD on a secure TLSA answer"
        elif case["expect"][0]["status"] in ("BOGUS", "INSECURE"):
            assert "ad" not in reply.flags, "AD on a TLSA answer that is not secure"
    checking_disabled = dig(case["name"], "TLSA", spec.request(material, digest), "+cd",
                            **patience(case))
    found = verdicts.decode(checking_disabled.option)
    if row["status"] not in ("BOUND", "NOT_BOUND", "UNDECIDED"):
        assert found["code"] not in (1, 2, 5, 6), f"{found['status']} by CD"


def keyed_name(world, case, material, digest):
    rows = world.keyed(case, material, digest)
    for client in CLIENTS:
        reply = client(spec.digest_name(material, digest, case["name"]), RRTYPE, None,
                       **patience(case))
        found = [verdicts.decode(octets) for octets in reply.verdicts]

        def one(verdict, row):
            verdicts.check_expected(verdict, row, case)
            verdicts.check_keyed(verdict, row, material, digest)
        verdicts.check_set(found, rows, one)
        check_answer(reply, [row["status"] for row in rows])
        check_ttl(reply, found)


def items(record):
    """The items of a TXT verdict, `pin` as a list, after a look at their order."""
    pairs = [text.partition("=")[::2] for text in record.strings]
    keys = [key for key, _ in pairs]
    assert set(keys) <= set(TXT_ORDER), f"unknown items in {record.strings}"
    same("order of the items", keys, sorted(keys, key=TXT_ORDER.index))
    found = dict(pairs)
    same("items that stand once", [key for key in found if key != "pin"],
         [key for key in keys if key != "pin"])
    return found | {"pin": [value for key, value in pairs if key == "pin"]}


def txt_pin(pin):
    """The form of a pin in TXT: full data is too long, and shown as its SHA-256."""
    usage, selector, mtype, data = spec.parse_pin(pin)
    if mtype == 0:
        mtype, data = 1, hashlib.sha256(data).digest()
    return f"{usage}/{selector}/{mtype}/{data.hex()}"


def check_txt(reply, rows, is_keyed):
    found = [items(record) | {"ttl": record.ttl} for record in reply.records("TXT")]
    same("number of TXT records", len(found), len(rows))
    for row in sorted(rows, key=lambda row: row["owner"] is None):
        same_one = [text for text in found if text["status"] == row["status"] and
                    row["owner"] in (None, text["owner"])]
        assert same_one, f"no TXT says {row['status']} of {row['owner']}: {found}"
        text = same_one[0]
        found.remove(text)
        same("version", text["v"], "kbv1")
        point = row["endpoint"]
        if row["owner"]:
            same("endpoint", text.get("endpoint"),
                 point and f"{point['host'].rstrip('.')}:{point['port']}")
        same("match", text.get("match"),
             "/".join(map(str, row["match"])) if row.get("match") else None)
        same("pins", sorted(text["pin"]),
             [] if is_keyed else sorted(map(txt_pin, row["pins"] or [])))
        issued, not_after = (verdicts.epoch(text[key]) for key in ("issued", "not-after"))
        assert issued <= not_after, "T before issued"
        assert text["ttl"] <= not_after - time.time() + verdicts.CLOCK_S, "the TTL outlives T"


def txt(world, case, material, digest):
    unkeyed_reply = dig(f"_kbv.{case['name']}", "TXT", None, **patience(case))
    check_txt(unkeyed_reply, case["expect"], is_keyed=False)
    check_answer(unkeyed_reply, [row["status"] for row in case["expect"]])
    rows = world.keyed(case, material, digest)
    for client in CLIENTS:
        reply = client(spec.digest_name(material, digest, case["name"]), "TXT", None,
                       **patience(case))
        check_txt(reply, rows, is_keyed=True)
        check_answer(reply, [row["status"] for row in rows])


def described_key(world, case, key):
    """A key that the description names, with the status that it names; the model agrees."""
    digest = world.certs[key["key"]][key["material"]]
    row = spec.select(world.keyed(case, key["material"], digest), keyed=True)
    match = "{} {} {}".format(*row["match"]) if row["match"] else None
    same("the model's verdict and the description's", (row["status"], match),
         (key["status"], key["match"]))
    keyed_option(world, case, key["material"], digest)


def right_and_wrong(world, case):
    """A digest that is bound, or would be were it not for the case's fault, and a stranger's."""
    def bound(material, name):
        return any(row["status"] == "BOUND" for row in
                   world.keyed(case, material, world.certs[name][material]))

    right = next(((material, name) for material in ("spki-sha256", "cert-sha256")
                  for name in world.certs if bound(material, name)), ("spki-sha256", "js-v"))
    wrong = (right[0], "other" if not bound(right[0], "other") else "rsa")
    return {"right": right, "wrong": wrong}


def rows_of(world, case):
    yield f"{case['id']}: {case['about']}", unkeyed, world, case
    yield f"{case['id']}: the option without a key", unkeyed_option, world, case
    for which, (material, name) in right_and_wrong(world, case).items():
        key = (world, case, material, world.certs[name][material])
        label = f"{case['id']}: {'the' if which == 'right' else 'a'} {which} key"
        yield f"{label} by option", keyed_option, *key
        yield f"{label} in the name", keyed_name, *key
        if case["kind"] == "literal":
            yield f"{label} by option on TLSA", keyed_tlsa, *key
        yield f"{label} as text", txt, *key
    for key in case["keys"]:
        yield (f"{case['id']}: {key['key']} by {key['material']} is {key['status']}",
               described_key, world, case, key)


def stays_as_issued():
    """From the cache `issued` and T stay as they are, and the TTL alone counts down."""
    name = "_443._tcp.ns.op-a.example."
    first = dig(name)
    time.sleep(3)
    second = kdig(name)
    same("octets", second.verdicts, first.verdicts)
    counted = first.records(RRTYPE)[0].ttl - second.records(RRTYPE)[0].ttl
    within("seconds that the TTL counted down in 3 s", counted, 2, 4)


def main():
    suite = tap.Suite("verdicts")
    described = programs.world()
    world = verdicts.World(described)
    with Resolver(described) as resolver:
        cases = sorted(world.cases.values(), key=lambda case: not case["slow"])
        # The rows of one case in turn; cases side by side, the slow ones from the start.
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda case: suite.tests(rows_of(world, case)), cases))
        suite.test("a cached verdict stays as it was issued", stays_as_issued)
        suite.test("the resolver ends in good order", resolver.end)
    suite.finish()


main()
