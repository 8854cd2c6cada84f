# SPDX-License-Identifier: BSD-3-Clause
"""Every verifier, asked as a person would: about a real server, with records from the real DNS.

A verifier of somebody else's says `accepts`, `refuses`, `PKIX alone` (accepts, and says that no
TLSA record had a part in it) or `error` (it came to no decision); ours says a status.
"""

import json
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kbvtest import programs, verdicts, wire

ACCEPTS, REFUSES, PKIX, ERROR, NOT_ASKED = "accepts", "refuses", "PKIX alone", "error", "–"
DEADLINE_S = 60  # for a busy machine; none needs a second
ATTEMPTS = 3  # until a peer comes to a decision: a lost connection is none


def run(words, **how):
    """Exit status and all that was printed."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=DEADLINE_S,
                          check=False, **how)
    return done.returncode, done.stdout


def first_match(pattern, words):
    return re.search(pattern, run(words)[1])[1]


@dataclass
class Setting:
    """What a verifier needs to know besides the case."""
    folder: Path
    bundle: Path  # CA certificates for usages 0 and 1


# ------------------------------------------------------------------------------------- ours


def kbv_verify(case, setting):
    """The status of `kbv verify`."""
    chain = setting.folder / f"{case.host}.chain"
    chain.write_text("".join(cert.pem for cert in case.chain))
    words = [str(programs.KBV), "verify", "--json", "--owner", case.owner, "--chain", str(chain),
             "--ca-file", str(setting.bundle)]
    for record in case.tlsa:
        words += ["--tlsa", record]
    status, printed = run(words)
    try:
        return json.loads(printed)["status"]
    except ValueError:
        return f"exit status {status}: {printed.strip()}"


def resolver(case, _):
    """The status in the resolver's verdict: the chain in the EDNS option, over TCP."""
    chain = b"".join(struct.pack(">H", len(cert.der)) + cert.der for cert in case.chain)
    option = struct.pack(">BBBBH", 0x11, 0, 5, 0, len(chain)) + chain
    return verdicts.decode(wire.ask(case.owner, "TYPE65300", option, tcp=True))["status"]


# ------------------------------------------------------------------------------------ peers


class SClient:
    """OpenSSL takes the records from its command line; EE name checks off, as RFC 7671 wants."""
    name = "openssl s_client"

    @staticmethod
    def version():
        return first_match(r"OpenSSL (\S+)", ["openssl", "version"])

    @staticmethod
    def ask(case, setting):
        words = ["openssl", "s_client", "-brief", "-verify_return_error", "-connect",
                 f"{case.address}:443", "-CAfile", str(setting.bundle), "-no-CApath", "-no-CAstore",
                 "-dane_ee_no_namechecks", "-dane_tlsa_domain", case.host]
        for record in case.tlsa:
            words += ["-dane_tlsa_rrdata", record]
        status, printed = run(words)
        if status == 0 and re.search(r"^Verification: OK$", printed, re.M) and \
                re.search(r"^DANE TLSA ", printed, re.M):
            return ACCEPTS
        refused = r"^verify error:|Failed to import any TLSA records"
        return REFUSES if status == 1 and re.search(refused, printed, re.M) else ERROR


class LdnsDane:
    name = "ldns-dane"

    @staticmethod
    def version():
        return first_match(r"ldns-dane version (\S+)", ["ldns-dane", "-v"])

    @staticmethod
    def ask(case, setting):
        status, printed = run(["ldns-dane", "-4", "-r", "127.0.0.1", "-f", str(setting.bundle),
                               "verify", case.host, "443"])
        if status == 0 and "dane-validated successfully" in printed:
            return ACCEPTS
        if status == 0 and "PKIX-validated successfully" in printed:
            return PKIX
        return REFUSES if status == 1 and "did not dane-validate" in printed else ERROR


class Danetool:
    """GnuTLS. It takes no CA certificates: that part of usages 0 and 1 it leaves to others."""
    name = "danetool"

    @staticmethod
    def version():
        return first_match(r"danetool (\S+)", ["danetool", "--version"])

    @staticmethod
    def ask(case, setting):
        status, printed = run(["danetool", "--check", case.host, "--port", "443", "--local-dns"],
                              cwd=setting.folder)
        if status == 0 and "Verification: Certificate matches" in printed:
            return ACCEPTS
        return REFUSES if status == 1 and "Verification: " in printed else ERROR


PEERS = (SClient, LdnsDane, Danetool)


def ask_peer(peer, case, setting):
    if case.client:  # none of them judges a client
        return NOT_ASKED
    for _ in range(ATTEMPTS):
        try:
            said = peer.ask(case, setting)
        except subprocess.TimeoutExpired:
            said = ERROR
        if said != ERROR:
            break
    return said
