-- SPDX-License-Identifier: BSD-3-Clause
-- Wireshark and tshark: key-binding verdicts and the requests for them, as docs/verdict-format.md has
-- them; the numbers in comments are its sections. docs/wireshark.md says how to load and use it.
--
-- The dns dissector shows EDNS options and RR types that it does not know as plain octets, and lets
-- nobody hook in there. So this is a post-dissector: it looks for the octets that the other one found,
-- whatever carried them (UDP, TCP, TLS, HTTPS), and shows them in a tree of its own. What is malformed
-- by section 5 or 7.4 is shown as far as it goes, with an expert information that says why.

local kbv = Proto("kbv", "LoRaWAN Key-Binding Verdict")

kbv.prefs.rrtype = Pref.uint("RR type", 65300, "RR type of verdicts (kbv-rrtype)")
kbv.prefs.option = Pref.uint("EDNS option", 65100,
    "EDNS option of requests and verdicts (kbv-edns-option)")

-- 2: name, whether it may accept a key, what it says
local STATUSES = {
    [1] = { "BOUND", true, "the key presented matches" },
    [2] = { "NOT_BOUND", false, "no record matches the key presented" },
    [3] = { "NO_BINDING", false, "it is proven that there is no name, no TLSA record or no service" },
    [4] = { "UNUSABLE", false, "no TLSA record is usable" },
    [5] = { "UNDECIDED", false, "what was presented does not decide all records" },
    [6] = { "PUBLISHED", true, "no key was presented" },
    [16] = { "INSECURE", false, "a step is provably unsigned" },
    [17] = { "INDETERMINATE", false, "no trust anchor, or local data or policy" },
    [18] = { "BOGUS", false, "DNSSEC validation failed" },
    [19] = { "STALE", false, "there is only expired data" },
    [20] = { "DOWNGRADE", false, "insecure or too weak where the operator requires more" },
    [32] = { "TEMPFAIL", false, "no answer, SERVFAIL or no authority in reach" },
    [33] = { "REFUSED", false, "not served here, so or so often" },
    [34] = { "BAD_INPUT", false, "the option, the certificate or the name is malformed" },
    [35] = { "LIMIT", false, "a cap was reached before the answer was certain" },
}
local STATUS_NAMES, STATUS_OF = {}, {}
for code, row in pairs(STATUSES) do
    STATUS_NAMES[code] = row[1]
    STATUS_OF[row[1]] = code
end

local KINDS = { [0x11] = "request, version 1", [0x12] = "verdict, version 1" }
local SUBJECTS = { [0] = "none", "SHA-256 of the SubjectPublicKeyInfo", "SHA-256 of the certificate" }
local MATERIALS = { [0] = "none", "SHA-256 of the SubjectPublicKeyInfo", "SHA-256 of the certificate",
    "SubjectPublicKeyInfo", "end-entity certificate", "chain" }
local TLVS = { "NONCE", "IDENTIFIER", "ENDPOINT", "ASSOCIATIONS", "FOUND_AT", "REFERENCE_NAMES",
    "REASON" }
local IDENTIFIERS = { "joineui", "netid", "deveui" }
local IDENTIFIER_OCTETS = { 8, 3, 8 }
local USAGES = { [0] = "PKIX-TA", "PKIX-EE", "DANE-TA", "DANE-EE", [255] = "none" }
local SELECTORS = { [0] = "certificate", "SubjectPublicKeyInfo", [255] = "none" }
local MTYPES = { [0] = "full", "SHA-256", "SHA-512", [255] = "none" }
local AUTHS = { [0] = "none", "Ed25519" }
local NO_EDE = 0xFFFF
local DIGEST_OF_NOTHING = "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24" ..
    "\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55"

local function flag(name, text, mask)
    return ProtoField.bool("kbv.flags." .. name, text, 8, nil, mask)
end

local F = {
    kind = ProtoField.uint8("kbv.kind", "Kind", base.HEX, KINDS),
    -- 3
    status = ProtoField.uint8("kbv.status", "Status", base.DEC, STATUS_NAMES),
    flags = ProtoField.uint8("kbv.flags", "Flags", base.HEX),
    keyed = flag("keyed", "keyed: a key was presented", 0x01),
    aliased = flag("aliased", "aliased: a CNAME or DNAME was followed", 0x02),
    wildcard = flag("wildcard", "wildcard: a record came from one", 0x04),
    dates = flag("dates", "dates: the dates of certificates were checked", 0x08),
    critical = ProtoField.uint8("kbv.flags.critical", "critical: zero in version 1", base.HEX, nil,
        0xF0),
    subject_kind = ProtoField.uint8("kbv.subject_kind", "Subject kind", base.DEC, SUBJECTS),
    usage = ProtoField.uint8("kbv.usage", "Usage that matched", base.DEC, USAGES),
    selector = ProtoField.uint8("kbv.selector", "Selector that matched", base.DEC, SELECTORS),
    mtype = ProtoField.uint8("kbv.mtype", "Matching type that matched", base.DEC, MTYPES),
    algorithm = ProtoField.uint8("kbv.algorithm", "Lowest DNSSEC algorithm"),
    issued = ProtoField.absolute_time("kbv.issued", "Issued", base.UTC),
    not_after = ProtoField.absolute_time("kbv.not_after", "Not after (T)", base.UTC),
    life = ProtoField.uint32("kbv.life", "Life in seconds"),
    subject = ProtoField.bytes("kbv.subject", "Subject"),
    rrset_hash = ProtoField.bytes("kbv.rrset_hash", "Hash of the TLSA RRset"),
    ede = ProtoField.uint16("kbv.ede", "Extended DNS error", base.DEC),
    owner = ProtoField.string("kbv.owner", "Owner"),
    auth = ProtoField.uint8("kbv.auth", "Authentication", base.DEC, AUTHS),
    key_id = ProtoField.bytes("kbv.key_id", "Key id"),
    signature = ProtoField.bytes("kbv.signature", "Signature"),
    -- 4
    tlvs_length = ProtoField.uint16("kbv.tlvs_length", "Octets of TLVs"),
    tlv = ProtoField.none("kbv.tlv", "TLV"),
    tlv_key = ProtoField.uint16("kbv.tlv.key", "Key", base.DEC, TLVS),
    tlv_length = ProtoField.uint16("kbv.tlv.length", "Length"),
    tlv_value = ProtoField.bytes("kbv.tlv.value", "Value"),
    nonce = ProtoField.bytes("kbv.nonce", "Nonce"),
    identifier_kind = ProtoField.uint8("kbv.identifier.kind", "Kind", base.DEC, IDENTIFIERS),
    identifier_value = ProtoField.bytes("kbv.identifier.value", "Value"),
    identifier_name = ProtoField.string("kbv.identifier.name", "Name asked"),
    order = ProtoField.uint16("kbv.endpoint.order", "Order (NAPTR)"),
    preference = ProtoField.uint16("kbv.endpoint.preference", "Preference (NAPTR)"),
    priority = ProtoField.uint16("kbv.endpoint.priority", "Priority (SRV)"),
    weight = ProtoField.uint16("kbv.endpoint.weight", "Weight (SRV)"),
    port = ProtoField.uint16("kbv.endpoint.port", "Port"),
    host = ProtoField.string("kbv.endpoint.host", "Host"),
    association = ProtoField.none("kbv.association", "Association"),
    association_usage = ProtoField.uint8("kbv.association.usage", "Usage", base.DEC, USAGES),
    association_selector = ProtoField.uint8("kbv.association.selector", "Selector", base.DEC,
        SELECTORS),
    association_mtype = ProtoField.uint8("kbv.association.mtype", "Matching type", base.DEC, MTYPES),
    association_length = ProtoField.uint16("kbv.association.length", "Length"),
    association_data = ProtoField.bytes("kbv.association.data", "Data"),
    found_at = ProtoField.string("kbv.found_at", "Found at"),
    reference_name = ProtoField.string("kbv.reference_name", "Reference name"),
    reason = ProtoField.string("kbv.reason", "Reason", base.UNICODE),
    -- 7.2, 7.4, 8
    digest = ProtoField.bytes("kbv.question.digest", "Digest in the name asked"),
    digest_kind = ProtoField.uint8("kbv.question.digest_kind", "It is", base.DEC, SUBJECTS),
    request_flags = ProtoField.uint8("kbv.request.flags", "Flags", base.HEX),
    request_sign = ProtoField.bool("kbv.request.flags.sign", "a signature is wanted", 8, nil, 0x01),
    request_zero = ProtoField.uint8("kbv.request.flags.zero", "zero in version 1", base.HEX, nil,
        0xFE),
    nonce_length = ProtoField.uint8("kbv.nonce_length", "Octets of nonce"),
    material_kind = ProtoField.uint8("kbv.material_kind", "Material", base.DEC, MATERIALS),
    material_length = ProtoField.uint16("kbv.material_length", "Octets of material"),
    material = ProtoField.bytes("kbv.material", "Material"),
    certificate_length = ProtoField.uint16("kbv.certificate_length", "Octets of certificate"),
    certificate = ProtoField.bytes("kbv.certificate", "Certificate"),
    text = ProtoField.string("kbv.text", "Item of a TXT verdict", base.UNICODE),
}
local E = {
    malformed = ProtoExpert.new("kbv.malformed", "Malformed, to be refused", expert.group.MALFORMED,
        expert.severity.ERROR),
    refusal = ProtoExpert.new("kbv.refusal", "A status that accepts no key",
        expert.group.RESPONSE_CODE, expert.severity.WARN),
    no_result = ProtoExpert.new("kbv.no_result", "A status that is no result",
        expert.group.RESPONSE_CODE, expert.severity.NOTE),
    over = ProtoExpert.new("kbv.over", "Not valid when it was captured", expert.group.SEQUENCE,
        expert.severity.WARN),
    fault = ProtoExpert.new("kbv.fault", "A fault of this dissector", expert.group.DEBUG,
        expert.severity.ERROR),
}
kbv.fields = F
kbv.experts = E

-- What is malformed ends its tree by error(); a table tells it from a fault of this program.
local function need(condition, why)
    if not condition then
        error({ why = why }, 0)
    end
end

-- --------------------------------------------------------------- octets, read from the front

local Octets = {}
Octets.__index = Octets

-- The octets of a tvb from `at` on, before `behind`. Everything below stays between the two.
local function octets_of(tvb, at, behind)
    return setmetatable({ tvb = tvb, at = at, behind = behind }, Octets)
end

function Octets:left()
    return self.behind - self.at
end

-- The next n octets as a range of the tvb; nil for none, as Wireshark has no empty ranges.
function Octets:take(n)
    need(n <= self:left(), "a field ends beyond the octets")
    self.at = self.at + n
    return n > 0 and self.tvb:range(self.at - n, n) or nil
end

-- The next n octets as an Octets of their own.
function Octets:part(n)
    self:take(n)
    return octets_of(self.tvb, self.at - n, self.at)
end

function Octets:ended(what)
    need(self:left() == 0, what .. " has octets after its end")
end

-- Adds the next n octets to the tree as a number, and returns it.
function Octets:number(tree, field, n)
    local range = self:take(n)
    return range:uint(), tree:add(field, range)
end

-- Adds the next n octets to the tree as they are, and returns them as a string.
function Octets:bytes(tree, field, n)
    local range = self:take(n)
    if not range then
        return ""
    end
    tree:add(field, range)
    return range:raw()
end

-- Adds 4 octets as a time.
function Octets:time(tree, field)
    local range = self:take(4)
    tree:add(field, range, NSTime.new(range:uint(), 0))
    return range:uint()
end

-- RFC 1035 section 5.1; 12
local function escape(octet)
    local character = string.char(octet)
    if octet < 0x21 or octet > 0x7E then
        return string.format("\\%03d", octet)
    end
    return character:find('[\\."();@$]') and "\\" .. character or character
end

-- Adds a name to the tree and returns its text, with the final dot or without.
function Octets:name(tree, field, without_dot)
    local start, text = self.at, ""
    while true do
        local length = self:take(1):uint()
        need(length <= 63, "a label is longer than 63 octets, or compressed")
        if length == 0 then
            break
        end
        for _, octet in ipairs({ self:take(length):raw():byte(1, length) }) do
            need(octet < 0x41 or octet > 0x5A, "a name has upper-case letters")
            text = text .. escape(octet)
        end
        text = text .. "."
    end
    need(self.at - start <= 255, "a name is longer than 255 octets")
    text = text == "" and "." or without_dot and text:sub(1, -2) or text
    tree:add(field, self.tvb:range(start, self.at - start), text)
    return text
end

-- The UTF-8 characters of a string (RFC 3629 section 4), control characters as `?`; nil if it is none.
local function printable(text)
    local out, at = {}, 1
    while at <= #text do
        local first = text:byte(at)
        local length = first < 0x80 and 1 or first < 0xC2 and 0 or first < 0xE0 and 2 or
            first < 0xF0 and 3 or first < 0xF5 and 4 or 0
        if length == 0 or at + length - 1 > #text then
            return nil
        end
        local point = length == 1 and first or first % 2 ^ (7 - length)
        for more = at + 1, at + length - 1 do
            local octet = text:byte(more)
            if octet < 0x80 or octet > 0xBF then
                return nil
            end
            point = point * 64 + octet % 64
        end
        if (length == 3 and point < 0x800) or (length == 4 and point < 0x10000) or
            (point >= 0xD800 and point <= 0xDFFF) or point > 0x10FFFF then
            return nil
        end
        local control = point < 0x20 or (point >= 0x7F and point < 0xA0)
        out[#out + 1] = control and "?" or text:sub(at, at + length - 1)
        at = at + length
    end
    return table.concat(out)
end

-- -------------------------------------------------------------------------------- 7.4, a request

local MATERIAL_LIMITS = { [0] = { 0, 0 }, { 32, 32 }, { 32, 32 }, { 1, 2048 }, { 1, 4096 },
    { 1, 16384 } }

local function dissect_chain(octets, tree)
    local count = 0
    while octets:left() > 0 do
        count = count + 1
        need(count <= 8, "a chain of more than 8 certificates")
        local length = octets:number(tree, F.certificate_length, 2)
        need(length > 0, "an empty certificate in the chain")
        octets:bytes(tree, F.certificate, length)
    end
end

local function dissect_request(octets, tree)
    need(octets:number(tree, F.kind, 1) == 0x11, "neither request nor verdict of version 1")
    local flags_range = octets:take(1)
    local flags = tree:add(F.request_flags, flags_range)
    flags:add(F.request_sign, flags_range)
    flags:add(F.request_zero, flags_range)
    need(flags_range:uint() <= 1, "unknown flags")
    local kind = octets:number(tree, F.material_kind, 1)
    local nonce_length = octets:number(tree, F.nonce_length, 1)
    need(nonce_length == 0 or (nonce_length >= 8 and nonce_length <= 16),
        "a nonce has 0 or 8 to 16 octets")
    octets:bytes(tree, F.nonce, nonce_length)
    local limits = MATERIAL_LIMITS[kind]
    need(limits, "unknown material")
    local length = octets:number(tree, F.material_length, 2)
    need(length >= limits[1] and length <= limits[2], "material of a wrong length")
    if kind == 5 then
        dissect_chain(octets:part(length), tree)
    else
        local material = octets:bytes(tree, F.material, length)
        need(kind == 0 or kind > 2 or material ~= DIGEST_OF_NOTHING, "the digest of nothing")
    end
    octets:ended("the request")
    return "request, " .. MATERIALS[kind]
end

-- ------------------------------------------------------------------------------ 3 to 5, a verdict

local function dissect_association(octets, tree)
    local start = octets.at
    local item = tree:add(F.association)
    local usage = octets:number(item, F.association_usage, 1)
    local selector = octets:number(item, F.association_selector, 1)
    local mtype = octets:number(item, F.association_mtype, 1)
    local length = octets:number(item, F.association_length, 2)
    octets:bytes(item, F.association_data, length)
    item:set_text(string.format("Association %d %d %d, %d octets", usage, selector, mtype, length))
    item:set_len(octets.at - start)
    need(usage <= 3 and selector <= 1 and mtype <= 2, "an association is not usable")
    local right = { [0] = length > 0, length == 32, length == 64 }
    need(right[mtype], "an association has data of the wrong length")
end

-- Key: what reads its value.
local READ_TLV = {
    function(value, tree) -- NONCE
        local length = value:left()
        value:bytes(tree, F.nonce, length)
        need(length >= 8 and length <= 16, "NONCE has a wrong length")
    end,
    function(value, tree) -- IDENTIFIER
        local kind = value:number(tree, F.identifier_kind, 1)
        need(IDENTIFIERS[kind], "IDENTIFIER is of an unknown kind")
        value:bytes(tree, F.identifier_value, IDENTIFIER_OCTETS[kind])
        value:name(tree, F.identifier_name)
    end,
    function(value, tree) -- ENDPOINT
        for _, field in ipairs({ F.order, F.preference, F.priority, F.weight, F.port }) do
            value:number(tree, field, 2)
        end
        value:name(tree, F.host, true)
    end,
    function(value, tree) -- ASSOCIATIONS
        need(value:left() <= 8192, "ASSOCIATIONS is longer than 8192 octets")
        while value:left() > 0 do
            dissect_association(value, tree)
        end
    end,
    function(value, tree) -- FOUND_AT
        value:name(tree, F.found_at)
    end,
    function(value, tree) -- REFERENCE_NAMES
        while value:left() > 0 do
            value:name(tree, F.reference_name)
        end
    end,
    function(value, tree) -- REASON
        local range = value:take(value:left())
        local text = printable(range and range:raw() or "")
        need(text, "REASON is not UTF-8")
        if range then
            tree:add(F.reason, range, text)
        else
            tree:add(F.reason, "")
        end
        need(not range or range:len() <= 120, "REASON is longer than 120 octets")
    end,
}

local function dissect_tlvs(octets, tree)
    local last = 0
    while octets:left() > 0 do
        local start = octets.at
        local item = tree:add(F.tlv, octets.tvb:range(start, octets:left()))
        local key = octets:number(item, F.tlv_key, 2)
        local length = octets:number(item, F.tlv_length, 2)
        item:set_text(string.format("%s (%d), %d octets", TLVS[key] or "unknown", key, length))
        local value = octets:part(length)
        item:set_len(octets.at - start)
        need(key > last, "TLVs are not in order")
        need(key < 0x8000, "an unknown critical TLV")
        last = key
        if READ_TLV[key] then
            READ_TLV[key](value, item)
        else
            value:bytes(item, F.tlv_value, value:left())
        end
        value:ended("a TLV")
    end
end

-- 5, number 7: a verdict does not contradict itself.
local function check_contradictions(v)
    need(v.keyed == (v.subject_kind ~= 0), "keyed and the subject kind contradict each other")
    need(v.keyed or v.subject == string.rep("\0", 32), "a subject digest without a subject")
    need(v.keyed or not (v.status == 1 or v.status == 2 or v.status == 5), "the status wants a key")
    need(not v.keyed or v.status ~= 6, "PUBLISHED, although a key was presented")
    if v.usage == 255 and v.selector == 255 and v.mtype == 255 then
        need(v.status ~= 1, "BOUND without a match")
        return
    end
    need(v.usage <= 3 and v.selector <= 1 and v.mtype <= 2, "the match is none that there can be")
    need(v.status == 1 or (v.status == 20 and v.keyed), "a match in a status without one")
end

local function dissect_flags(octets, tree)
    local range = octets:take(1)
    local item = tree:add(F.flags, range)
    for _, field in ipairs({ F.keyed, F.aliased, F.wildcard, F.dates, F.critical }) do
        item:add(field, range)
    end
    need(range:uint() < 0x10, "an unknown critical flag")
    return range:uint()
end

-- 9: serial arithmetic, RFC 1982: whether time a is before b.
local function before(a, b)
    return (a - b) % 2 ^ 32 >= 2 ^ 31
end

local function check_time(v, tree, now)
    if before(now, (v.issued - 300) % 2 ^ 32) then
        tree:add_proto_expert_info(E.over, "Issued more than 300 seconds after it was captured")
    elseif not before(now, v.not_after) then
        tree:add_proto_expert_info(E.over, "T had passed when it was captured")
    end
end

local function dissect_verdict(octets, tree, now)
    local v = {}
    need(octets:number(tree, F.kind, 1) == 0x12, "neither request nor verdict of version 1")
    local status_item
    v.status, status_item = octets:number(tree, F.status, 1)
    local status = STATUSES[v.status]
    need(status, "unknown status")
    v.keyed = dissect_flags(octets, tree) % 2 == 1
    v.subject_kind = octets:number(tree, F.subject_kind, 1)
    need(SUBJECTS[v.subject_kind], "unknown subject kind")
    v.usage = octets:number(tree, F.usage, 1)
    v.selector = octets:number(tree, F.selector, 1)
    v.mtype = octets:number(tree, F.mtype, 1)
    octets:number(tree, F.algorithm, 1)
    v.issued = octets:time(tree, F.issued)
    v.not_after = octets:time(tree, F.not_after)
    tree:add(F.life, (v.not_after - v.issued) % 2 ^ 32):set_generated()
    v.subject = octets:bytes(tree, F.subject, 32)
    octets:bytes(tree, F.rrset_hash, 16)
    local ede, ede_item = octets:number(tree, F.ede, 2)
    if ede == NO_EDE then
        ede_item:append_text(" (none)")
    end
    local owner = octets:name(tree, F.owner)
    check_contradictions(v)
    dissect_tlvs(octets:part((octets:number(tree, F.tlvs_length, 2))), tree)
    local auth = octets:number(tree, F.auth, 1)
    need(AUTHS[auth], "unknown auth")
    if auth == 1 then
        octets:bytes(tree, F.key_id, 4)
        octets:bytes(tree, F.signature, 64)
    end
    octets:ended("the verdict")
    if not status[2] then
        status_item:add_proto_expert_info(v.status < 32 and E.refusal or E.no_result,
            status[1] .. ": " .. status[3])
    end
    check_time(v, tree, now)
    return status[1] .. " " .. owner
end

-- ------------------------------------------------------------------------- what the packet holds

local option_code = Field.new("dns.opt.code")
local rr_type = Field.new("dns.resp.type")
local query_name = Field.new("dns.qry.name")
local txt = Field.new("dns.txt")

-- Runs a dissector over octets of a message. What is malformed, or a fault of ours, becomes an expert
-- information in the tree: nothing gets out of here.
local function dissect(dissector, octets, root, pinfo, heading)
    local tree = octets:left() > 0 and root:add(kbv, octets.tvb:range(octets.at, octets:left())) or
        root:add(kbv)
    tree:set_text(heading)
    local good, found = pcall(dissector, octets, tree, math.floor(pinfo.abs_ts))
    if not good then
        local why = type(found) == "table" and found.why
        tree:add_proto_expert_info(why and E.malformed or E.fault, why and "Malformed: " .. why or
            tostring(found))
        found = why and "malformed" or "fault"
    end
    tree:append_text(": " .. found)
    pinfo.cols.info:append(" [KBV " .. found .. "]")
end

-- A 16-bit number of the message, and the octets behind it that it counts; nil if they were not
-- captured.
local function counted(tvb, at)
    if at + 2 > tvb:len() then
        return nil
    end
    local length = tvb:range(at, 2):uint()
    return at + 2 + length <= tvb:len() and octets_of(tvb, at + 2, at + 2 + length) or nil
end

-- RFC 6891 section 6.1.2: code, length, data
local function dissect_option(info, root, pinfo)
    local octets = counted(info.source, info.offset + 2)
    if not octets then
        return
    end
    local is_verdict = octets:left() > 0 and octets.tvb:range(octets.at, 1):uint() == 0x12
    dissect(is_verdict and dissect_verdict or dissect_request, octets, root, pinfo,
        "Key-binding verdict, EDNS option")
end

-- RFC 1035 section 4.1.3: type, class, TTL, length, RDATA
local function dissect_record(info, root, pinfo)
    local octets = counted(info.source, info.offset + 8)
    if octets then
        dissect(dissect_verdict, octets, root, pinfo, "Key-binding verdict, record")
    end
end

-- RFC 4648 section 7, without padding: 52 digits as a string of 32 octets; nil if they are not.
local function base32hex(digits)
    local out, bits, value = {}, 0, 0
    for digit in digits:lower():gmatch(".") do
        local worth = ("0123456789abcdefghijklmnopqrstuv"):find(digit, 1, true)
        if not worth then
            return nil
        end
        value, bits = value * 32 + worth - 1, bits + 5
        if bits >= 8 then
            bits = bits - 8
            out[#out + 1] = string.char(math.floor(value / 2 ^ bits))
            value = value % 2 ^ bits
        end
    end
    return #out == 32 and value == 0 and table.concat(out) or nil
end

-- 7.2: sDIGEST._kbv.NAME, cDIGEST._kbv.NAME
local function dissect_question(info, root)
    local letter, digits = tostring(info.value):match("^([sScC])([^.]*)%._[kK][bB][vV]%.")
    if not letter then
        return
    end
    local tree = root:add(kbv, info.range)
    local digest = #digits == 52 and base32hex(digits)
    tree:set_text("Key-binding question with a digest in the name")
    if not digest then
        tree:add_proto_expert_info(E.malformed, "Malformed: no SHA-256 in base32hex")
        return
    end
    tree:add(F.digest_kind, info.range, letter:lower() == "s" and 1 or 2):set_generated()
    tree:add(F.digest, ByteArray.new(digest, true):tvb("Digest"):range()):set_generated()
end

-- 8: the items of TXT verdicts follow one another; `v=kbv1` begins the next one.
local function dissect_texts(infos, root, pinfo)
    local tree
    for _, info in ipairs(infos) do
        local item = tostring(info.value)
        if item == "v=kbv1" then
            tree = root:add(kbv, info.range)
            tree:set_text("Key-binding verdict, TXT")
        end
        if tree then
            tree:add(F.text, info.range, item)
            local status = STATUS_OF[item:match("^status=(.*)") or ""]
            if status then
                tree:add(F.status, info.range, status)
                tree:append_text(": " .. STATUSES[status][1])
                pinfo.cols.info:append(" [KBV " .. STATUSES[status][1] .. "]")
            end
        end
    end
end

function kbv.dissector(_, pinfo, root)
    local asks_ours = false
    for _, info in ipairs({ query_name() }) do
        dissect_question(info, root)
        asks_ours = asks_ours or tostring(info.value):lower():find("_kbv.", 1, true) ~= nil
    end
    for _, info in ipairs({ rr_type() }) do
        if info.value == kbv.prefs.rrtype then
            dissect_record(info, root, pinfo)
        end
    end
    for _, info in ipairs({ option_code() }) do
        if info.value == kbv.prefs.option then
            dissect_option(info, root, pinfo)
        end
    end
    if asks_ours then
        dissect_texts({ txt() }, root, pinfo)
    end
end

register_postdissector(kbv)
