#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A decoder of key-binding verdicts, written from docs/verdict-format.md alone.

    kbv_decode.py --rr HEX              the RDATA of one RR
    kbv_decode.py --option HEX          the data of one EDNS option
    kbv_decode.py --message HEX|-       a whole DNS message: its RRs and its options
    kbv_decode.py [--dig FILE|-]        what dig printed: TYPE65300 RRs, `\\# LEN HEX`, OPT=65100
        [--rrtype N] [--edns-option N]

Prints one JSON object a verdict, one a line. Exit status: 0, or 1 if there was no
verdict or if one was malformed, which standard error then says. As a module:
decode() gives the fields, describe() the JSON object, from_message() and
from_dig() the octets of each verdict.

It shares nothing with the C code on purpose: the tests hold the two against each
other. Numbers in comments are sections of docs/verdict-format.md.
"""
import argparse
import json
import re
import sys
import time

# 1
RRTYPE = 65300
EDNS_OPTION = 65100

# 2
STATUSES = {1: 'BOUND', 2: 'NOT_BOUND', 3: 'NO_BINDING', 4: 'UNUSABLE', 5: 'UNDECIDED',
            6: 'PUBLISHED', 16: 'INSECURE', 17: 'INDETERMINATE', 18: 'BOGUS', 19: 'STALE',
            20: 'DOWNGRADE', 32: 'TEMPFAIL', 33: 'REFUSED', 34: 'BAD_INPUT', 35: 'LIMIT'}
FLAGS = ((0x01, 'keyed'), (0x02, 'aliased'), (0x04, 'wildcard'), (0x08, 'dates'))
KINDS = {1: ('joineui', 8), 2: ('netid', 3), 3: ('deveui', 8)}
SUBJECTS = {0: None, 1: 'spki', 2: 'cert'}


class Malformed(ValueError):
    """The octets are no verdict of version 1; the text says why."""


def need(condition, what):
    if not condition:
        raise Malformed(what)


class Octets:
    """Reads octets from the front."""

    def __init__(self, octets):
        self.octets = octets
        self.at = 0

    def left(self):
        return len(self.octets) - self.at

    def take(self, n):
        need(n <= self.left(), 'a field ends beyond the octets')
        self.at += n
        return self.octets[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), 'big')

    def rest(self):
        return self.take(self.left())

    def name(self):
        """The labels of a name, without the root."""
        labels, start = [], self.at
        while True:
            length = self.number(1)
            need(length <= 63, 'a label is longer than 63 octets, or compressed')
            if length == 0:
                break
            label = self.take(length)
            need(not any(0x41 <= c <= 0x5A for c in label), 'a name has upper-case letters')
            labels.append(label)
        need(self.at - start <= 255, 'a name is longer than 255 octets')
        return tuple(labels)

    def end(self, what):
        need(self.left() == 0, what + ' has octets after its end')


def read_associations(value):
    need(value.left() <= 8192, 'ASSOCIATIONS is longer than 8192 octets')
    records = []
    while value.left():
        usage, selector, mtype = value.take(3)
        data = value.take(value.number(2))
        need(usage <= 3 and selector <= 1 and mtype <= 2, 'an association is not usable')
        need({0: len(data) > 0, 1: len(data) == 32, 2: len(data) == 64}[mtype],
             'an association has data of the wrong length')
        records.append((usage, selector, mtype, data))
    return records


def read_tlv(key, value, v):
    """4"""
    if key == 1:
        v['nonce'] = value.rest()
        need(8 <= len(v['nonce']) <= 16, 'NONCE has a wrong length')
    elif key == 2:
        kind = value.number(1)
        need(kind in KINDS, 'IDENTIFIER is of an unknown kind')
        v['identifier'] = (kind, value.take(KINDS[kind][1]), value.name())
    elif key == 3:
        v['endpoint'] = tuple(value.number(2) for _ in range(5)) + (value.name(),)
    elif key == 4:
        v['associations'] = read_associations(value)
    elif key == 5:
        v['found_at'] = value.name()
    elif key == 6:
        v['reference_names'] = []
        while value.left():
            v['reference_names'].append(value.name())
    elif key == 7:
        text = value.rest()
        need(len(text) <= 120, 'REASON is longer than 120 octets')
        try:
            v['reason'] = text.decode('utf-8')
        except UnicodeDecodeError:
            raise Malformed('REASON is not UTF-8') from None
    value.end(f'TLV {key}')


def check(v):
    """5, number 7: a verdict does not contradict itself."""
    keyed = bool(v['flags'] & 0x01)
    need(keyed == (v['subject_kind'] != 0), 'keyed and the subject kind contradict each other')
    need(keyed or v['subject'] == bytes(32), 'a subject digest without a subject')
    need(keyed or v['status'] not in (1, 2, 5), 'the status wants a key')
    need(not keyed or v['status'] != 6, 'PUBLISHED, although a key was presented')
    if v['match'] == (255, 255, 255):
        need(v['status'] != 1, 'BOUND without a match')
        return
    usage, selector, mtype = v['match']
    need(usage <= 3 and selector <= 1 and mtype <= 2, 'the match is none that there can be')
    need(v['status'] == 1 or (v['status'] == 20 and keyed), 'a match in a status without one')


def decode(octets):
    """The fields of the verdict that octets are, as a dict; names are tuples of labels.

    Raises Malformed."""
    r = Octets(bytes(octets))
    v = dict.fromkeys(('nonce', 'identifier', 'endpoint', 'associations', 'found_at',
                       'reference_names', 'reason', 'key_id', 'signature', 'signed_octets'))
    need(r.number(1) == 0x12, 'the first octet is not that of a verdict of version 1')
    v['status'] = r.number(1)
    need(v['status'] in STATUSES, 'unknown status')
    v['flags'] = r.number(1)
    need(v['flags'] & 0xF0 == 0, 'an unknown critical flag')
    v['subject_kind'] = r.number(1)
    need(v['subject_kind'] in SUBJECTS, 'unknown subject kind')
    v['match'] = tuple(r.take(3))
    v['algorithm'] = r.number(1)
    v['issued'] = r.number(4)
    v['not_after'] = r.number(4)
    v['subject'] = r.take(32)
    v['rrset_hash'] = r.take(16)
    v['ede'] = r.number(2)
    v['owner'] = r.name()
    check(v)

    tlvs, last = Octets(r.take(r.number(2))), 0
    while tlvs.left():
        key = tlvs.number(2)
        value = Octets(tlvs.take(tlvs.number(2)))
        need(key > last, 'TLVs are not in order')
        need(key < 0x8000, 'an unknown critical TLV')
        last = key
        if key <= 7:
            read_tlv(key, value, v)

    v['auth'] = r.number(1)
    need(v['auth'] in (0, 1), 'unknown auth')
    if v['auth'] == 1:
        v['key_id'] = r.take(4)
        v['signed_octets'] = b'lorawan-kbv-v1\0' + r.octets[:r.at]
        v['signature'] = r.take(64)
    r.end('the verdict')
    return v


def name_text(labels):
    """12"""
    def octet(c):
        if not 0x21 <= c <= 0x7E:
            return f'\\{c:03d}'
        return '\\' + chr(c) if chr(c) in '\\."();@$' else chr(c)
    return ''.join(''.join(map(octet, label)) + '.' for label in labels) or '.'


def host_text(labels):
    return name_text(labels)[:-1] or '.'


def time_text(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(seconds))


def describe(v):
    """The JSON object of section 12 for what decode() gave."""
    match = v['match'] if v['match'] != (255, 255, 255) else (None, None, None)
    endpoint = identifier = associations = names = None
    if v['endpoint']:
        order, preference, priority, weight, port, target = v['endpoint']
        endpoint = {'host': host_text(target), 'port': port, 'order': order,
                    'preference': preference, 'priority': priority, 'weight': weight}
    if v['identifier']:
        kind, value, name = v['identifier']
        identifier = {'kind': KINDS[kind][0], 'value': value.hex().upper(),
                      'name': name_text(name)}
    if v['associations'] is not None:
        associations = [{'usage': u, 'selector': s, 'mtype': m, 'data': data.hex()}
                        for u, s, m, data in v['associations']]
    if v['reference_names'] is not None:
        names = [name_text(n) for n in v['reference_names']]
    return {
        'status': STATUSES[v['status']], 'code': v['status'], 'owner': name_text(v['owner']),
        'usage': match[0], 'selector': match[1], 'mtype': match[2],
        'subject': v['subject'].hex() if v['subject_kind'] else None,
        'issued': time_text(v['issued']), 'not_after': time_text(v['not_after']),
        'flags': [text for bit, text in FLAGS if v['flags'] & bit],
        'endpoint': endpoint, 'identifier': identifier, 'associations': associations,
        'ede': v['ede'] if v['ede'] != 0xFFFF else None, 'reason': v['reason'],
        'signed': {'key_id': v['key_id'].hex(), 'verified': None} if v['auth'] else None,
        'subject_kind': SUBJECTS[v['subject_kind']],
        'algorithm': v['algorithm'] or None,
        'rrset_hash': v['rrset_hash'].hex() if any(v['rrset_hash']) else None,
        'nonce': v['nonce'].hex() if v['nonce'] is not None else None,
        'found_at': name_text(v['found_at']) if v['found_at'] is not None else None,
        'reference_names': names,
    }


# Where verdicts come from

def skip_name(message):
    """Moves a reader over a name that may be compressed (RFC 1035 section 4.1.4)."""
    while True:
        length = message.number(1)
        if length >= 0xC0:
            message.take(1)
            return
        need(length <= 63, 'the message has a malformed name')
        if length == 0:
            return
        message.take(length)


def from_message(octets, rrtype=RRTYPE, option=EDNS_OPTION):
    """The octets of each verdict in a DNS message: RDATA of its RRs, then data of its options."""
    message = Octets(bytes(octets))
    message.take(4)
    questions, *sections = [message.number(2) for _ in range(4)]
    rrs, options = [], []
    for _ in range(questions):
        skip_name(message)
        message.take(4)
    for _ in range(sum(sections)):
        skip_name(message)
        kind = message.number(2)
        message.take(6)
        rdata = Octets(message.take(message.number(2)))
        if kind == rrtype:
            rrs.append(rdata.rest())
        while kind == 41 and rdata.left():  # OPT, RFC 6891 section 6.1.2
            code = rdata.number(2)
            data = rdata.take(rdata.number(2))
            if code == option:
                options.append(data)
    message.end('the message')
    return rrs + options


def from_dig(text, rrtype=RRTYPE, option=EDNS_OPTION):
    """The octets of each verdict in what dig, kdig or drill printed: RRs in the form of RFC 3597
    section 5, then EDNS options. An option that begins as a request is one (dig +qr), no verdict."""
    rrs, options, words, last = [], [], [], ''
    for line in text.splitlines():
        option_line = re.match(rf'; OPT={option}: *((?:[0-9a-f]{{2}} ?)*)|;; Option \({option}\): *(\w*)',
                               line)
        if option_line:
            data = bytes.fromhex(option_line[1] or option_line[2] or '')
            if data[:1] != b'\x11':
                options.append(data)
        if not line.startswith(';'):
            words += re.split(r'[\s()]+', line)
    words = iter(word for word in words if word)
    for word in words:
        if word != '\\#':
            last = word
            continue
        digits, wanted = '', 2 * int(next(words, '0'))
        while len(digits) < wanted:
            digits += next(words, 'missing')
        need(len(digits) == wanted, 'the length after \\# is not that of the octets')
        if not last.startswith('TYPE') or last == f'TYPE{rrtype}':
            rrs.append(bytes.fromhex(digits))
    return rrs + options


def read_file(path):
    if path == '-':
        return sys.stdin.read()
    with open(path, encoding='utf-8') as f:
        return f.read()


def collect(args):
    if args.rr is not None:
        return [bytes.fromhex(args.rr)]
    if args.option is not None:
        return [bytes.fromhex(args.option)]
    if args.message is not None:
        text = sys.stdin.read() if args.message == '-' else args.message
        return from_message(bytes.fromhex(text), args.rrtype, args.edns_option)
    return from_dig(read_file(args.dig), args.rrtype, args.edns_option)


def main():
    parser = argparse.ArgumentParser(description='Decodes key-binding verdicts to JSON.')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--rr', metavar='HEX', help='the RDATA of one RR')
    source.add_argument('--option', metavar='HEX', help='the data of one EDNS option')
    source.add_argument('--message', metavar='HEX', help='a whole DNS message, - for standard input')
    source.add_argument('--dig', metavar='FILE', default='-', help='what dig printed, default -')
    parser.add_argument('--rrtype', type=int, default=RRTYPE)
    parser.add_argument('--edns-option', type=int, default=EDNS_OPTION)
    try:
        verdicts = [describe(decode(octets)) for octets in collect(parser.parse_args())]
    except ValueError as error:
        print(f'kbv_decode.py: {error}', file=sys.stderr)
        return 1
    for verdict in verdicts:
        print(json.dumps(verdict, ensure_ascii=False))
    if not verdicts:
        print('kbv_decode.py: no verdict found', file=sys.stderr)
    return 0 if verdicts else 1


if __name__ == '__main__':
    sys.exit(main())
