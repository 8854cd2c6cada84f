# SPDX-License-Identifier: BSD-3-Clause
"""A resolver that signs: what its key file must be, what is signed and what is not, who believes it,
and how its key is changed without a moment in which clients refuse. Signatures are verified by
python's cryptography; the clients that pin are libkbv (tests/client/ask) and kbv query."""

import base64
import os
import subprocess
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (BestAvailableEncryption, Encoding,
                                                          PrivateFormat, PublicFormat)

from kbvtest import programs, spec, tap, verdicts, wire
from kbvtest.clients import RRTYPE, dig
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.signing import SIGNED_LEN, Key, pem, write
from kbvtest.tap import same
from kbvworld import capture, resolver

ASK = programs.BUILD / "tests/client/ask"
FAR, FAR6 = capture.SERVICE
TLS = 853
OWNER = "_8003._tcp.js1.op-a.example."
NONCE = bytes(range(16))


def signing(key, *lines):
    """Lines of unbound.conf."""
    return [*PATIENT, *key.conf(*lines)]


def conf_of(file):
    return [*PATIENT, "kbv:", f'    kbv-signing-key: "{file}"']


def option(name, rrtype=RRTYPE, **how):
    """The octets of the option, for dig over UDP from a loopback address."""
    return dig(name, rrtype, spec.request(**how), patience_s=30).option


# ---------------------------------------------------------------------------------- the key's file

def bad_files(folder):
    """Files that are no signing key, and a word of what is said of each."""
    good = pem(ed25519.Ed25519PrivateKey.generate())
    rsa_key = rsa.generate_private_key(65537, 2048)
    rows = {
        "an empty file": (b"", "no PEM"),
        "an RSA key": (pem(rsa_key), "rsaEncryption"),
        "an RSA key in PKCS#1": (pem(rsa_key, PrivateFormat.TraditionalOpenSSL), "RSA PRIVATE KEY"),
        "an EC key": (pem(ec.generate_private_key(ec.SECP256R1())), "id-ecPublicKey"),
        "an X25519 key": (pem(x25519.X25519PrivateKey.generate()), "X25519"),
        "an encrypted key": (pem(ed25519.Ed25519PrivateKey.generate(),
                                 encryption=BestAvailableEncryption(b"word")), "encrypted"),
        "a public key": (ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "PUBLIC KEY"),
        "two keys": (good + good, "behind the key"),
        "half a key": (good[:60], "cannot be read"),
        "a key that everybody reads": (good, "0644", 0o644),
        "a key that everybody writes": (good, "0602", 0o602),
        "a key that its group writes": (good, "0660", 0o660),
    }
    for name, (octets, word, *mode) in rows.items():
        path = folder / f"{name.replace(' ', '-').replace('#', '')}.pem"
        write(path, octets, *mode)
        yield name, path, word
    yield "a folder", folder, "directory"
    yield "no file", folder / "none.pem", "No such file"


def said(*command):
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return None, f"{command[0]} keeps running"
    return done.returncode, done.stdout + done.stderr


def conf_with(described, folder, *lines):
    folder.mkdir(exist_ok=True)
    conf = folder / "unbound.conf"
    conf.write_text(resolver.unbound_conf(described, folder, extra=lines).replace(
        f'logfile: "{folder}/unbound.log"', 'logfile: ""'))
    return conf


def file_refused(described, path, word):
    """checkconf and the daemon say where, which key, which file, and why."""
    conf = conf_with(described, Path(described["dir"]) / "refused", "kbv:",
                     f'    kbv-signing-key: "{path}"')
    line = len(conf.read_text().splitlines())
    for command in ([programs.CHECKCONF, conf], [programs.UNBOUND, "-d", "-c", conf]):
        status, output = said(*command)
        assert status not in (0, None), f"{command[0].name} goes on: {output}"
        for expected in (f"{conf}:{line}: kbv-signing-key: \"{path}\": ", word, "expected"):
            assert expected in output, f"{command[0].name}: no {expected!r} in: {output}"
        assert "PRIVATE KEY-----" not in output and "MC4C" not in output, f"a key in: {output}"


def may_become_nobody():
    """Whether this namespace lets root become another user."""
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def chroot_of(described, name):
    """A folder to be Unbound's chroot, and a function that lets checkconf say what it thinks of a
    key's path there: (status, output)."""
    root = Path(described["dir"]) / name
    (root / "etc").mkdir(parents=True, exist_ok=True)
    for folder in (Path(described["dir"]), root, root / "etc"):
        folder.chmod(0o755)
    inside = {}
    for what in ("anchor", "hints"):
        (root / "etc" / what).write_text(Path(described[what]).read_text())
        inside[what] = str(root / "etc" / what)

    def check(value, user):
        conf = conf_with(described | inside, root / "etc", "server:", f'    username: "{user}"',
                         f'    chroot: "{root}"', "kbv:", f'    kbv-signing-key: "{value}"')
        return said(programs.CHECKCONF, conf)
    return root, check


def in_a_chroot(described, key):
    """checkconf as root knows what Unbound can read from inside, whoever it is."""
    root, check_as = chroot_of(described, "box")
    path, link = root / "etc/kbv.pem", root / "etc/link.pem"
    write(path, pem(key.private))
    for value in (path, "/etc/kbv.pem"):
        status, output = check_as(value, "")
        same(f"{value}: {output}", status, 0)
    link.symlink_to("kbv.pem")
    same("a link beside it", check_as(link, "")[0], 0)
    link.unlink()
    link.symlink_to(path)  # which is there outside of the chroot alone
    status, output = check_as(link, "")
    assert status != 0 and f'inside the chroot "{root}"' in output, f"a link to outside: {output}"


def as_another_user(described, key):
    """checkconf as root knows what Unbound can read once it is nobody, in a chroot."""
    can = may_become_nobody()
    root, check_as = chroot_of(described, "root")
    path = root / "etc/kbv.pem"

    def check(value):
        return check_as(value, "nobody")

    write(path, pem(key.private))
    status, output = check(path)
    assert status != 0 and "nobody" in output and "cannot read it" in output, output
    if not can:  # nothing can be read as a user that nobody can become
        return
    os.chown(path, 0, 65534)
    path.chmod(0o640)
    for value in (path, "/etc/kbv.pem"):  # the chroot in front or not
        status, output = check(value)
        same(f"{value}, root's and its group's: {output}", status, 0)
    os.chown(path, 65534, 0)
    path.chmod(0o400)
    same("its own", check(path)[0], 0)
    path.chmod(0o440)
    status, output = check(path)
    assert status != 0 and "group 0" in output, f"another group reads it: {output}"
    os.chown(path, 4711, 65534)
    path.chmod(0o640)
    status, output = check(path)
    assert status != 0 and "user 4711" in output, f"another user's: {output}"
    os.chown(path, 0, 65534)
    (root / "etc").chmod(0o700)
    status, output = check(path)
    assert status != 0 and "cannot read it" in output, f"a folder that it cannot enter: {output}"
    (root / "etc").chmod(0o755)


# --------------------------------------------------------------------------------- what is signed

def every_record(described, key):
    """Each verdict of each case, and what comes again from the cache is the same octets."""
    counted = 0
    for case in described["cases"]:
        if case["slow"]:
            continue
        first = dig(case["name"], RRTYPE, patience_s=30).verdicts
        assert first and all(key.signed(octets) for octets in first), f"{case['id']} is unsigned"
        if case["expect"][0]["status"] in ("PUBLISHED", "NO_BINDING"):
            same(f"{case['id']} again", dig(case["name"], RRTYPE, patience_s=30).verdicts, first)
        counted += len(first)
    assert counted > 30, f"only {counted} verdicts"
    text = dig(f"_kbv.{OWNER}", "TXT", patience_s=30).records("TXT")
    assert text and "v=kbv1" in text[0].strings, f"no TXT: {text}"


def options(world, key):
    """Asked for, signed, whatever is presented; not asked for, not; again, the same octets."""
    good = {"material": "spki-sha256", "octets": world.certs["js1.next"]["spki-sha256"]}
    bad = {"material": "cert-sha256", "octets": world.certs["other"]["cert-sha256"]}
    for rrtype in (RRTYPE, "TLSA"):
        for how in (good, bad, {}):
            unsigned = option(OWNER, rrtype, **how)
            assert not key.signed(unsigned), f"{rrtype}: signed without being asked"
            first = option(OWNER, rrtype, **how, sign=True)
            assert key.signed(first), f"{rrtype}: unsigned"
            same(f"{rrtype}: octets of a signature", len(first) - len(unsigned), SIGNED_LEN)
            time.sleep(1.1)
            same(f"{rrtype}: again", option(OWNER, rrtype, **how, sign=True), first)
            same(f"{rrtype}: status", [verdicts.decode(octets)["status"]
                                       for octets in (first, unsigned)],
                 [{1: "BOUND", 2: "UNDECIDED"}.get(spec.MATERIALS[how.get("material")],
                                                   "PUBLISHED")] * 2)
    rr = dig(OWNER, RRTYPE, patience_s=30).verdicts
    same("the RR's own signature", [option(OWNER, sign=True)], rr)


def nonces(world, key):
    """Each is signed by itself; far away over TCP alone."""
    digest = world.certs["js1.next"]["spki-sha256"]
    seen = set()
    for tcp in (True, False, True):
        octets = wire.ask(OWNER, RRTYPE, spec.request("spki-sha256", digest, NONCE, sign=True),
                          tcp=tcp, timeout_s=30)
        verdict = verdicts.decode(octets)
        same("status and nonce", (verdict["status"], verdict["nonce"]), ("BOUND", NONCE.hex()))
        assert key.signed(octets), "a nonce is not signed"
        seen.add(octets)
        time.sleep(1.1)
    same("signed afresh", len(seen), 3)
    octets = wire.ask(OWNER, RRTYPE, spec.request("spki-sha256", digest, NONCE, sign=True),
                      server=FAR, tcp=False, timeout_s=30)
    same("over UDP", verdicts.decode(octets)["status"], "REFUSED")
    assert not key.signed(octets), "a nonce over UDP is signed"


def limited(described, world, key):
    """Signatures over nonces run out for a client, in its second; what needs none does not."""
    request = spec.request("spki-sha256", world.certs["js1.next"]["spki-sha256"], NONCE, sign=True)
    plain = spec.request("spki-sha256", world.certs["js1.next"]["spki-sha256"], sign=True)
    with Resolver(described, extra=signing(key, "    kbv-chain-ratelimit: 3")) as handle:
        option(OWNER, sign=True)
        made, counted = 1, 0  # the RR's, which the option repeats
        for _ in range(10):  # a second may begin in between
            answers = [wire.ask(OWNER, RRTYPE, request, tcp=False) for _ in range(12)]
            found = [verdicts.decode(octets) for octets in answers]
            refused = [row for row in found if row["status"] == "REFUSED"]
            made, counted = made + len(found) - len(refused), counted + len(refused)
            if refused:
                break
        assert refused, "no signature was refused"
        for octets, row in zip(answers, found):
            assert row["status"] in ("BOUND", "REFUSED"), row
            same("signed", key.signed(octets), row["status"] == "BOUND")
            if row["status"] == "REFUSED":
                same("reason and EDE", (row["reason"], row["ede"]), ("too many signatures", 18))
        for _ in range(3):  # the first one is made, and told again
            assert key.signed(wire.ask(OWNER, RRTYPE, plain, tcp=False)), "unsigned"
        lines = dict(line.split("=") for line in control(handle, "stats_noreset")[1].split())
        same("statistics", (lines["kbv.signatures"], lines["kbv.signatures.ratelimited"]),
             (str(made + 1), str(counted)))
        deadline = time.monotonic() + 30
        while verdicts.decode(wire.ask(OWNER, RRTYPE, request, tcp=False))["status"] != "BOUND":
            assert time.monotonic() < deadline, "refused for ever"
            time.sleep(0.3)


def ask_digest(form, digest, **how):
    """The verdict for a digest by its name, or by the option on either type: octets."""
    if form == "name":
        name = spec.digest_name("spki-sha256", digest, OWNER)
        return verdicts.kbv_decode.from_message(wire.exchange(name, RRTYPE, timeout_s=30, **how))[0]
    return wire.ask(OWNER, form, spec.request("spki-sha256", digest, sign=True), timeout_s=30, **how)


def digests(described, world, key):
    """Each digest that nobody asked about before costs a signature. They run out for a client, in its
    second, however it asks, and for no other client; what was signed before does not. Who is far away
    and says so in a datagram alone takes none from who uses TCP."""
    known = world.certs["js1.next"]["spki-sha256"]
    refused = 0
    near = {"source": "127.0.1.1", "tcp": False}
    with Resolver(described, extra=signing(key, "    kbv-chain-ratelimit: 1")) as handle:
        for form in ("name", RRTYPE, "TLSA"):
            assert key.signed(ask_digest(form, known)), "unsigned"
        for reason, how, other in (("too many signatures", near, near | {"source": "127.0.1.2"}),
                                   ("use TCP", {"server": FAR, "source": FAR, "tcp": False},
                                    {"server": FAR, "source": FAR, "tcp": True})):
            for form in ("name", RRTYPE, "TLSA"):
                start = int(time.time())
                answers = [ask_digest(form, os.urandom(32), **how) for _ in range(80)]
                beside = ask_digest(form, os.urandom(32), **other)
                again = ask_digest(form, known, **how)
                seconds = int(time.time()) - start + 1
                found = [verdicts.decode(octets) for octets in answers]
                no = [row for row in found if row["status"] == "REFUSED"]
                what = f"{form}, {reason}"
                assert no and len(found) - len(no) <= 10 * seconds, \
                    f"{what}: {len(no)} of {len(found)} refused in {seconds} s"
                for row in no:
                    same(what, (row["reason"], row["ede"], row["flags"], verdicts.life(row)),
                         (reason, 18, ["keyed"], 0))
                same(what, {row["status"] for row in found if row not in no}, {"NOT_BOUND"})
                same(f"{what}: signed", [key.signed(octets) for octets in answers],
                     [row not in no for row in found])
                same(f"{what}: another", verdicts.decode(beside)["status"], "NOT_BOUND")
                assert key.signed(beside) and key.signed(again), f"{what}: others are unsigned"
                same(f"{what}: what is known", verdicts.decode(again)["status"], "BOUND")
                refused += len(no)
                time.sleep(1.1)
        lines = dict(line.split("=") for line in control(handle, "stats_noreset")[1].split())
        same("statistics", lines["kbv.signatures.ratelimited"], str(refused))


def nobody_waits(described, world, key):
    """The verdict of a name that exists nowhere is made for a digest's sake alone, and not signed."""
    def name(digit):
        return f"{digit}.{'f.' * 15}joineuis.lora-alliance.org."

    def signatures(handle):
        lines = dict(line.split("=") for line in control(handle, "stats_noreset")[1].split())
        return int(lines["kbv.signatures"])

    digest = world.certs["js1.next"]["spki-sha256"]
    with Resolver(described, extra=signing(key)) as handle:
        wire.exchange(name(0), RRTYPE, timeout_s=30)  # what denies its neighbours is known then
        for asked in (name(1), spec.digest_name("spki-sha256", digest, name(2)),
                      f"_kbv.{name(3)}"):
            before = signatures(handle)
            octets = verdicts.kbv_decode.from_message(wire.exchange(asked, RRTYPE, timeout_s=30))[0]
            same(asked, verdicts.decode(octets)["status"], "NO_BINDING")
            assert key.signed(octets), f"{asked} is unsigned"
            same(f"{asked}: signatures", signatures(handle) - before, 1)


def cold_start(described, world, key):
    """As many as one server may have to ask about at once are signed with the limit's default."""
    with Resolver(described, extra=signing(key)):
        for form in ("name", RRTYPE):
            answers = [ask_digest(form, os.urandom(32), server=FAR, source=FAR, tcp=False)
                       for _ in range(400)]
            assert all(key.signed(octets) for octets in answers), f"{form}: one is unsigned"


def always(described, key):
    with Resolver(described, extra=signing(key, "    kbv-sign: always")):
        assert key.signed(option(OWNER)), "unsigned"
        assert key.signed(dig(OWNER, RRTYPE, b"\x11", patience_s=30).option), "a refusal is unsigned"


# -------------------------------------------------------------------------------- who believes it

def ask(*words):
    """What ask printed, as a dict of its lines."""
    command = [str(ASK), "--timeout", "30000", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and not done.stderr, f"{' '.join(command)}: {done.stderr}"
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def words_for(world):
    digest = world.certs["js1.next"]["spki-sha256"].hex()
    return ["--material", "1", "--hex", digest, "--peer-spki-sha256", digest]


def pins(keys):
    return [word for key in keys for word in ("--key", key.pin)]


def believed(described, world, key, other):
    """From far away over plain UDP and TCP, where no channel is trusted, and over TLS."""
    digest = world.certs["js1.next"]["spki-sha256"].hex()
    tls = ["--server", f"{FAR}@{TLS}", "--tls-pin",
           base64.b64encode(world.certs["ns-b.server"]["spki-sha256"]).decode()]
    for where in (["--server", FAR], ["--server", FAR6, "--tcp"], ["--server", FAR, "--nonce"],
                  tls, ["--server", "127.0.0.1", "--trust"]):
        for form in ("option", "tlsa", "name"):
            if form == "name" and "--nonce" in where:
                continue
            what = f"{' '.join(where)}, {form}"
            words = [*where, "--form", form, *words_for(world), OWNER]
            same(what, ask(*pins([key]), *words)["accept"], "ACCEPTED")
            same(f"{what}: two pins", ask(*pins([other, key]), *words)["accept"], "ACCEPTED")
            same(f"{what}: another pin", ask(*pins([other]), *words)["accept"], "REFUSED_UNSIGNED")
    for pin, status in ((key.pin, 0), (other.pin, 3)):
        done = subprocess.run([programs.KBV, "query", "--server", FAR, "--timeout", "30000",
                               "--spki-sha256", digest, "--pin", pin, OWNER], check=False,
                              capture_output=True, text=True, timeout=60)
        same(f"kbv query: {done.stdout}{done.stderr}", done.returncode, status)
    # A resolver out of resolv.conf is nobody's word; what it signed is.
    file = Path(described["dir"]) / "resolv.conf"
    file.write_text("nameserver 127.0.0.1\n")
    words = ["--resolv-conf", str(file), "--form", "option", *words_for(world), OWNER]
    same("resolv.conf, no pin", ask(*words)["accept"], "REFUSED_UNTRUSTED")
    same("resolv.conf, the pin", ask(*pins([key]), *words)["accept"], "ACCEPTED")
    # The signed unkeyed verdict of an identifier lets the key of its endpoint pass.
    name = "0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineuis.lora-alliance.org."
    words = ["--server", FAR, "--form", "name", "--identifier", "joineui:70B3D57ED0000000",
             "--peer-spki-sha256", digest, "--host", "js1.op-a.example", "--port", "8003", name]
    same("an identifier", ask(*pins([key]), *words)["accept"], "ACCEPTED")
    same("an identifier, another pin", ask(*pins([other]), *words)["accept"], "REFUSED_UNSIGNED")
    # When T has passed the same octets are worth nothing, signature or not.
    words = ["--server", FAR, "--form", "option", *words_for(world)]
    late = str(int(time.time()) + 3700)
    same("an hour later", ask(*pins([key]), "--now", late, *words, OWNER)["accept"],
         "REFUSED_EXPIRED")


def unsigned_refused(described, world, key):
    """A resolver without a key, on a channel however good: who has a pin refuses."""
    with Resolver(described, extra=PATIENT):
        for form in ("option", "tlsa", "name"):
            words = ["--server", "127.0.0.1", "--trust", "--form", form, *words_for(world), OWNER]
            same(form, ask(*pins([key]), *words)["accept"], "REFUSED_UNSIGNED")
            same(f"{form}, without a pin", ask(*words)["accept"], "ACCEPTED")


# --------------------------------------------------------------------------------- changing the key

class Consumers:
    """Clients that ask all the time, far away, each with its pins; what came of each question."""

    FORMS = ("option", "tlsa", "name")

    def __init__(self, world, rows):
        self.world, self.over = world, threading.Event()
        self.found = {name: [] for name in rows}
        self.wrong = []
        self.threads = [threading.Thread(target=self.run, args=(name, keys, form))
                        for name, keys in rows.items() for form in self.FORMS]

    def run(self, name, keys, form):
        try:
            while not self.over.is_set():
                begun = time.monotonic()
                row = ask("--server", FAR, *pins(keys), "--form", form, *words_for(self.world),
                          OWNER)
                self.found[name].append((begun, time.monotonic(), row["accept"]))
        except Exception as error:  # shown by whoever waits
            self.wrong.append(f"{name}: {error}")

    def wait(self, name, n=4):
        """Until each form has been asked about n times more."""
        least = len(self.found[name]) + n * len(self.FORMS)
        deadline = time.monotonic() + 120
        while len(self.found[name]) < least and not self.wrong:
            assert time.monotonic() < deadline, "the consumers stand still"
            time.sleep(0.05)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
        assert not self.wrong, "\n".join(self.wrong[:3])

    def accepts(self, name, after=0.0, before=float("inf")):
        """What questions that lie wholly in this time came to."""
        return {accept for begun, ended, accept in self.found[name]
                if begun >= after and ended <= before}


def control(handle, *words):
    return said(programs.CONTROL, "-c", handle.conf, *words)


def rotation(described, world, key, other, verb, same_file):
    """As docs/operations.md says: both pins, then the key, then the old pin goes. same_file: the new
    key comes under the old file's name."""
    file = Path(described["dir"]) / "current.pem"
    write(file, key.file.read_bytes())
    in_force = file if same_file else key.file
    with Resolver(described, extra=conf_of(in_force)) as handle:
        rows = {"both": [key, other], "old": [key], "new": [other]}
        with Consumers(world, rows) as consumers:
            for name in rows:
                consumers.wait(name)
            before = time.monotonic()
            if same_file:
                write(file.with_suffix(".new"), other.file.read_bytes())
                file.with_suffix(".new").rename(file)
            else:
                handle.conf.write_text(handle.conf.read_text().replace(
                    str(key.file), str(other.file)))
            same("checkconf", said(programs.CHECKCONF, handle.conf)[0], 0)
            status, output = control(handle, verb)
            same(f"{verb}: {output}", status, 0)
            handle.ask("localhost.", "A")
            after = time.monotonic()
            for name in rows:
                consumers.wait(name)
            records = dig(OWNER, RRTYPE, patience_s=30).verdicts
        assert records and all(other.signed(octets) for octets in records), "signed by the old key"
        same("both pins, all the time", consumers.accepts("both"), {"ACCEPTED"})
        same("the old pin, before", consumers.accepts("old", before=before), {"ACCEPTED"})
        same("the old pin, after", consumers.accepts("old", after=after), {"REFUSED_UNSIGNED"})
        same("the new pin, before", consumers.accepts("new", before=before), {"REFUSED_UNSIGNED"})
        same("the new pin, after", consumers.accepts("new", after=after), {"ACCEPTED"})


def bad_key_is_known_before(described, key):
    """The file of a running resolver goes bad: checkconf says so, and nothing else has happened."""
    file = Path(described["dir"]) / "going-bad.pem"
    write(file, key.file.read_bytes())
    with Resolver(described, extra=conf_of(file)) as handle:
        assert key.signed(option(OWNER, sign=True)), "unsigned"
        file.chmod(0o644)
        status, output = said(programs.CHECKCONF, handle.conf)
        assert status != 0 and "0644" in output, output
        assert key.signed(option(OWNER, sign=True)), "unsigned"
        file.unlink()
        assert key.signed(dig(f"_443._tcp.js2.op-a.example.", RRTYPE, patience_s=30).verdicts[0]), \
            "the key is gone with its file"


def fast_reload(described, key, other):
    """Where there is one: it does not take a new key, and says so. Where not, nothing changes."""
    file = Path(described["dir"]) / "fast.pem"
    write(file, key.file.read_bytes())
    with Resolver(described, extra=conf_of(file)) as handle:
        assert key.signed(option(OWNER, sign=True)), "unsigned"
        status, output = control(handle, "fast_reload")
        known = "unknown command" not in output
        same(f"fast_reload, the same key: {output}", status, 0 if known else 1)
        write(file, other.file.read_bytes())
        _, output = control(handle, "fast_reload")
        assert "kbv-signing-key" in output or not known, f"a new key without a word: {output}"
        assert key.signed(option(OWNER, sign=True)), "another key, or none"


def main():
    suite = tap.Suite("signing")
    described = programs.world()
    world = verdicts.World(described)
    folder = Path(described["dir"]) / "keys"
    folder.mkdir()
    key, other = Key(folder, "one"), Key(folder, "two")
    for name, path, word in bad_files(folder):
        suite.test(f"refused: {name}", file_refused, described, path, word)
    suite.test("a key file for another user, in a chroot", as_another_user, described, key)
    suite.test("a key file in a chroot, for whoever starts it", in_a_chroot, described, key)
    server = described["certs"]["ns-b.server"]
    lines = [f"    tls-service-key: \"{server['key']}\"",
             f"    tls-service-pem: \"{server['cert']}\"", f"    interface: {FAR}@{TLS}",
             f"    tls-port: {TLS}"]
    with Resolver(described, extra=[*signing(key), "server:", *lines]):
        suite.test("every record is signed, once", every_record, described, key)
        suite.test("options are signed for who asks", options, world, key)
        suite.test("nonces are signed afresh", nonces, world, key)
        suite.test("who pins the key believes it, on any way", believed, described, world, key,
                   other)
    suite.test("signatures over nonces are limited", limited, described, world, key)
    suite.test("signatures over digests are limited", digests, described, world, key)
    suite.test("a cold start is within that limit", cold_start, described, world, key)
    suite.test("what nobody waits for is not signed", nobody_waits, described, world, key)
    suite.test("kbv-sign: always", always, described, key)
    suite.test("who has a pin refuses an unsigned verdict", unsigned_refused, described, world, key)
    for verb, same_file in (("reload", True), ("reload_keep_cache", False)):
        suite.test(f"rotation: {verb}, {'the same' if same_file else 'another'} file", rotation,
                   described, world, key, other, verb, same_file)
    suite.test("a key file that goes bad is known before a reload", bad_key_is_known_before,
               described, key)
    suite.test("fast_reload takes no new key", fast_reload, described, key, other)
    suite.finish()


main()
