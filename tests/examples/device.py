# SPDX-License-Identifier: BSD-3-Clause
"""A LoRaWAN 1.0.4 device that joins (TS001-1.0.4 section 6.2): its side of the cryptography, made
apart from that of examples/lorawan.c."""

import itertools
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

_dev_nonces = itertools.count(1)


@dataclass
class Device:
    """dev_eui, join_eui: as people write them, most significant octet first."""
    dev_eui: str
    join_eui: str
    app_key: bytes = field(default=bytes(range(16)))
    dev_nonce: int = 0

    def row(self):
        """Its entry in a join server's devices.json."""
        return {"DevEUI": self.dev_eui, "JoinEUI": self.join_eui, "AppKey": self.app_key.hex()}

    def _mic(self, octets):
        cmac = CMAC(algorithms.AES(self.app_key))
        cmac.update(octets)
        return cmac.finalize()[:4]

    def _encrypt(self, octets):
        return Cipher(algorithms.AES(self.app_key), modes.ECB()).encryptor().update(octets)

    def join_request(self, dev_nonce=None):
        """A PHYPayload in hex; with a new DevNonce unless one is given."""
        self.dev_nonce = next(_dev_nonces) if dev_nonce is None else dev_nonce
        octets = (b"\0" + bytes.fromhex(self.join_eui)[::-1] + bytes.fromhex(self.dev_eui)[::-1] +
                  struct.pack("<H", self.dev_nonce))
        return (octets + self._mic(octets)).hex()

    def accept(self, join_nonce, net_id, dev_addr):
        """What a join server answers: (PHYPayload, NwkSKey, AppSKey) in hex, for the DevNonce of the
        last join_request()."""
        plain = (b"\x20" + struct.pack("<I", join_nonce)[:3] + bytes.fromhex(net_id)[::-1] +
                 bytes.fromhex(dev_addr)[::-1] + b"\0\1")
        cipher = Cipher(algorithms.AES(self.app_key), modes.ECB()).decryptor()
        phy_payload = plain[:1] + cipher.update(plain[1:] + self._mic(plain))
        mine = self.join(phy_payload.hex())
        return phy_payload.hex(), mine["nwk_s_key"], mine["app_s_key"]

    def join(self, phy_payload):
        """What the device makes of a join-accept: {net_id, dev_addr, join_nonce, nwk_s_key,
        app_s_key}. AssertionError if it is not for this device."""
        octets = bytes.fromhex(phy_payload)
        assert octets[0] == 0x20 and len(octets) in (17, 33), phy_payload
        plain = octets[:1] + self._encrypt(octets[1:])
        assert self._mic(plain[:-4]) == plain[-4:], "the join-accept's MIC is wrong"
        nonces = plain[1:7] + struct.pack("<H", self.dev_nonce)
        return {"net_id": plain[4:7][::-1].hex().upper(), "dev_addr": plain[7:11][::-1].hex().upper(),
                "join_nonce": int.from_bytes(plain[1:4], "little"), "settings": plain[11:13].hex(),
                "nwk_s_key": self._encrypt((b"\1" + nonces).ljust(16, b"\0")).hex().upper(),
                "app_s_key": self._encrypt((b"\2" + nonces).ljust(16, b"\0")).hex().upper()}
