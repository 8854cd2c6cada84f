# SPDX-License-Identifier: BSD-3-Clause
"""A server for zones of zone.py: UDP and TCP, on as many addresses as there are attackers."""

import asyncio
import multiprocessing
import signal
import struct
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

UDP_DEFAULT = 512


@dataclass
class Question:
    """What a hook gets. It returns None (be honest), a Message, octets, or a list of (seconds to
    wait, Message or octets); an empty list is silence."""
    zone: object
    name: object
    type: int
    wire: bytes
    message: object
    tcp: bool
    nth: int     # how often this has been asked for, this time included
    peer: tuple  # who asks

    def honest(self):
        """The answer of an honest authority."""
        reply = dns.message.make_response(self.message)
        self.zone.answer(reply, self.name, self.type)
        return reply

    def empty(self):
        return dns.message.make_response(self.message)

    def is_for(self, *types):
        return dns.rdatatype.to_text(self.type) in types


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, site):
        self.site = site

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        asyncio.get_running_loop().create_task(self.serve(data, peer))

    async def serve(self, data, peer):
        waited = 0
        for seconds, reply in self.site.replies(data, False, peer):
            await asyncio.sleep(seconds - waited)
            waited = seconds
            self.transport.sendto(reply, peer)


class Site:
    """One address, the zones it serves, and how it treats TCP: None (as it should), "refuse",
    "silent", "trickle" (an octet a second), "close", "lie" (about the length)."""

    def __init__(self, authority, address):
        self.authority, self.address = authority, address
        self.zones = []
        self.tcp = None

    def zone_for(self, asked, rrtype):
        found = [zone for zone in self.zones if asked.is_subdomain(zone.name)
                 and not (rrtype == dns.rdatatype.DS and asked == zone.name)]
        return max(found, key=lambda zone: len(zone.name.labels), default=None) or \
            next((zone for zone in self.zones if asked == zone.name), None)

    def replies(self, wire, tcp, peer):
        """[(seconds to wait, octets)]."""
        try:
            message = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return []
        asked, rrtype = message.question[0].name, message.question[0].rdtype
        nth = self.authority.count(self.address, asked, rrtype)
        zone = self.zone_for(asked, rrtype)
        if zone is None:
            refusal = dns.message.make_response(message)
            refusal.set_rcode(dns.rcode.REFUSED)
            return [(0, refusal.to_wire())]
        question = Question(zone, asked, rrtype, wire, message, tcp, nth, peer)
        try:
            said = zone.hook(question) if zone.hook else None
            if said is None:
                said = question.honest()
            if not isinstance(said, list):
                said = [(0, said)]
            return [(seconds, self._octets(reply, message, tcp)) for seconds, reply in said]
        except Exception as error:  # a mistake of the test's own
            self.authority.mistake(f"{asked} {rrtype}: {error!r}")
            return []

    @staticmethod
    def _octets(reply, message, tcp):
        if isinstance(reply, bytes):
            return reply
        try:
            octets = reply.to_wire(max_size=65535)
        except dns.exception.TooBig:
            octets = None
        most = 65535 if tcp else max(UDP_DEFAULT, message.payload)
        if octets is None or len(octets) > most:
            short = dns.message.make_response(message)
            short.flags |= dns.flags.TC
            octets = short.to_wire()
        return octets

    async def stream(self, reader, writer):
        peer = writer.get_extra_info("peername")
        try:
            if self.tcp == "close":
                return
            while True:
                length, = struct.unpack(">H", await reader.readexactly(2))
                wire = await reader.readexactly(length)
                if self.tcp == "silent":
                    self.replies(wire, True, peer)
                    await asyncio.sleep(60)
                    return
                waited = 0
                for seconds, reply in self.replies(wire, True, peer):
                    await asyncio.sleep(seconds - waited)
                    waited = seconds
                    if self.tcp == "lie":
                        writer.write(struct.pack(">H", 65535) + reply)
                        continue
                    octets = struct.pack(">H", len(reply)) + reply
                    step = 1 if self.tcp == "trickle" else len(octets)
                    for at in range(0, len(octets), step):
                        writer.write(octets[at:at + step])
                        await writer.drain()
                        if self.tcp == "trickle":
                            await asyncio.sleep(1)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Authority:
    """All sites, in a process of their own for the length of a block."""

    def __init__(self):
        self.sites, self._counts = {}, {}
        self._mistakes = multiprocessing.SimpleQueue()
        self._process = None

    def site(self, address):
        if address not in self.sites:
            self.sites[address] = Site(self, address)
        return self.sites[address]

    def serve(self, address, *zones):
        """Zones on an address; returns its site."""
        site = self.site(address)
        site.zones += zones
        return site

    def count(self, address, asked, rrtype):
        """How often this has been asked there."""
        key = (address, asked, rrtype)
        self._counts[key] = self._counts.get(key, 0) + 1
        return self._counts[key]

    def mistake(self, text):
        """The test's own: it is wrong about something."""
        self._mistakes.put(text)

    def mistakes(self):
        found = []
        while not self._mistakes.empty():
            found.append(self._mistakes.get())
        return found

    async def _serve(self, ready):
        loop = asyncio.get_running_loop()
        for site in self.sites.values():
            await loop.create_datagram_endpoint(lambda site=site: _Udp(site),
                                                local_addr=(site.address, 53))
            if site.tcp != "refuse":
                await asyncio.start_server(site.stream, site.address, 53)
        ready.set()
        await asyncio.Event().wait()

    def _run(self, ready):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        asyncio.run(self._serve(ready))

    def __enter__(self):
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        self._process = context.Process(target=self._run, args=(ready,), daemon=True)
        self._process.start()
        if not ready.wait(30):
            raise TimeoutError("the authorities do not start")
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.join()
