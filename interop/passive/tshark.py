"""Wireshark's reading of a capture, in the vocabulary of `dissect`.

Each layer's fields are taken one by one. What is left must be on the list of what is not compared:
a field that a later tshark shows is a failure here, not an omission.
"""

import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

OPTIONS = {
    # Cisco's authentication extension has no address.
    "nhrp.auth_ext_has_addr": "FALSE",
    "esp.enable_encryption_decode": "TRUE",
    "esp.enable_authentication_check": "TRUE",
    "ip.check_checksum": "TRUE",
}

# Fields that are read by no comparison of their own, each with the reason.
NOT_COMPARED = [(re.compile(pattern + "$"), why) for pattern, why in [
    (r"ip\.(addr|host|src_host|dst_host)", "the two addresses once more"),
    (r"ip\.(checksum|checksum_calculated)", "whether it is right is compared"),
    (r"ip\.(dsfield|flags)\..*", "bits of a number that is compared, or compared themselves"),
    (r"ip\.opt.*", "the dissector reads no IP options; the header's length is compared"),
    (r"udp\.(port|stream|payload|checksum.*|time.*)", "the ports once more; of the conversation"),
    (r"gre\.flags.*", "the fields that they announce are compared"),
    (r"gre\.checksum", "whether it is right is compared"),
    (r"nhrp\.flag\..*", "bits of `nhrp.flags`"),
    (r"nhrp\.hdr\.(shtl|sstl)\..*", "bits of the octet that is compared"),
    (r"nhrp\.(src|dst)\.prot\.len", "the length of the address, which is compared"),
    (r"nhrp\.(prot\.len|cli\.s?addr_tl.*)", "the length of the address, which is compared"),
    (r"isakmp\.(mjver|mnver|flag_.)", "bits of a number that is compared"),
    (r"isakmp\.nextpayload", "of a payload: the type of the next, which is compared"),
    (r"isakmp\.(spisize|spinum|prop\.transforms)", "lengths of what is compared"),
    (r"isakmp\.sa\.situation\..*", "bits of the situation"),
    (r"isakmp\.(ike|ipsec)\.attr\.(?!type|format|value).*", "a name for the value"),
    (r"isakmp\.(vid_string|vid\..*)", "a name for the octets"),
    (r"isakmp\.notify\.data\..*", "a name for the octets"),
    (r"isakmp\.(fragments?|fragment\.count|reassembled\.length)", "the joined message is compared"),
    (r"esp\.(encrypted|decrypted|contained)_data", "what is in it is compared"),
    (r"esp\.(pad|icv_bad)", "its length is compared; the opposite of icv_good"),
    (r"_ws\.expert.*", "a remark"),
]]

LAYERS = "gre", "nhrp", "isakmp", "esp"


class Unread(Exception):
    """tshark did not read the capture, or shows a field that is neither compared nor on the list of those that are not."""


def read(path, profile):
    """By frame number, the object that `dissect` should print; and in how many frames an ICMP
    error quotes a packet."""
    command = ["tshark", "-n", "-r", path, "-T", "pdml"]
    for option, value in OPTIONS.items():
        command += ["-o", f"{option}:{value}"]
    environment = os.environ | {"WIRESHARK_CONFIG_DIR": str(profile)}
    ran = subprocess.run(command, env=environment, capture_output=True)
    if ran.returncode:
        raise Unread(ran.stderr.decode().strip())
    frames, quoting = {}, 0
    for number, packet in enumerate(ElementTree.fromstring(ran.stdout), 1):
        frame, quotes = _frame(packet)
        quoting += quotes
        if frame["layers"]:
            frames[number] = frame
    return frames, quoting


def _frame(packet):
    frame = {"layers": []}
    quotes = False
    for proto in packet:
        name = proto.get("name")
        # What an ICMP error quotes is no packet of this capture.
        quotes = name == "icmp" and proto.find(".//proto") is not None
        if quotes:
            break
        # The last piece of an ISAKMP message has the whole one in it.
        for layer in [proto, *proto.iterfind(".//proto[@name='isakmp']")]:
            if name in LAYERS:
                frame["layers"].append(name)
            if name in READERS:
                frame.setdefault(name, []).append(READERS[name](Fields(layer)))
    frame["malformed"] = not quotes and packet.find("proto[@name='_ws.malformed']") is not None
    return frame, quotes and not frame["layers"]


class Fields:
    """The children of an element, each of which is taken once."""

    def __init__(self, element):
        self.element = element
        self.left = list(element)

    def take(self, name):
        for child in self.left:
            if child.get("name") == name:
                self.left.remove(child)
                return child
        return None

    def take_all(self, name):
        taken = [child for child in self.left if child.get("name") == name]
        self.left = [child for child in self.left if child.get("name") != name]
        return taken

    def group(self, title):
        """Fields under a heading that has no name; none, where it is not there."""
        for child in self.left:
            if child.get("name") == "" and child.get("show", "").startswith(title):
                self.left.remove(child)
                return Fields(child)
        return Fields([])

    def number(self, name):
        field = self.take(name)
        return None if field is None else int(field.get("show"), 0)

    def flag(self, name):
        number = self.number(name)
        return None if number is None else number != 0

    def text(self, name):
        field = self.take(name)
        return None if field is None else field.get("show")

    def octets(self, name):
        field = self.take(name)
        return None if field is None else field.get("value", "")

    def inside(self, name):
        """The fields below one whose own value is only the sum of them."""
        field = self.take(name)
        return Fields([] if field is None else field)

    def end(self, value):
        """`value`, if nothing unknown is left."""
        for child in self.left:
            for field in child.iter("field"):
                name = field.get("name")
                if name and not any(pattern.match(name) for pattern, _ in NOT_COMPARED):
                    raise Unread(f"a field that nobody looked at: {name} ({field.get('showname')})")
        return value


def _ip(fields):
    flags = fields.inside("ip.flags")
    return fields.end({
        "version": fields.number("ip.version"),
        "header_length": fields.number("ip.hdr_len"),
        "traffic_class": fields.number("ip.dsfield"),
        "length": fields.number("ip.len"),
        "id": fields.number("ip.id"),
        "dont_fragment": flags.flag("ip.flags.df"),
        "more_fragments": flags.flag("ip.flags.mf"),
        "fragment_offset": fields.number("ip.frag_offset"),
        "ttl": fields.number("ip.ttl"),
        "protocol": fields.number("ip.proto"),
        "checksum_ok": fields.number("ip.checksum.status") == 1,
        "source": fields.text("ip.src"),
        "destination": fields.text("ip.dst"),
    })


def _udp(fields):
    return fields.end({
        "source_port": fields.number("udp.srcport"),
        "destination_port": fields.number("udp.dstport"),
        "length": fields.number("udp.length"),
    })


def _gre(fields):
    flags = fields.inside("gre.flags_and_version")
    status = fields.number("gre.checksum.status")
    return fields.end({
        "version": flags.number("gre.flags.version"),
        "protocol": fields.number("gre.proto"),
        "key": fields.number("gre.key"),
        "sequence": fields.number("gre.sequence_number"),
        "checksum_ok": None if status is None else status == 1,
    })


def _esp(fields):
    icv = fields.take("esp.icv")
    trailer = fields.inside("esp.decrypted_data")
    return fields.end({
        "spi": fields.number("esp.spi"),
        "sequence": fields.number("esp.sequence"),
        "iv": fields.octets("esp.iv"),
        "icv": None if icv is None else icv.get("value"),
        "icv_ok": None if icv is None else Fields(icv).flag("esp.icv_good"),
        "pad_length": trailer.number("esp.pad_len"),
        "next_header": trailer.number("esp.protocol"),
    })


def _nhrp(fields):
    nhrp = _nhrp_fixed(fields)
    mandatory = fields.group("NHRP Mandatory Part")
    nhrp["src_nbma"] = mandatory.text("nhrp.src.nbma.addr")
    nhrp["src_protocol"] = mandatory.text("nhrp.src.prot.addr")
    nhrp["dst_protocol"] = mandatory.text("nhrp.dst.prot.addr")
    if nhrp["type"] == 7:
        nhrp["error_code"] = mandatory.number("nhrp.err.code")
        nhrp["error_offset"] = mandatory.number("nhrp.err.offset")
    elif nhrp["type"] != 8:
        nhrp["flags"] = mandatory.number("nhrp.flags")
        nhrp["request_id"] = mandatory.number("nhrp.reqid")
        nhrp["cies"] = _nhrp_cies(mandatory)
    if nhrp["type"] in (7, 8):
        cause = fields.group("Packet Causing Indication")
        if nhrp["type"] == 7:
            nhrp["contents"] = cause.element.get("value")
        # Nothing behind the quoted packet's first header: it is cut off somewhere.
        quoted = cause.element.find("proto")
        nhrp["quoted"] = READERS["ip" if nhrp["type"] == 8 else "quoted"](Fields(quoted))
    extensions = []
    while extension := next((child for child in fields.left if child.get("name") == ""), None):
        fields.left.remove(extension)
        extensions.append(_nhrp_extension(Fields(extension)))
    nhrp["extensions"] = extensions
    return fields.end(mandatory.end(nhrp))


def _nhrp_fixed(fields):
    fixed = fields.group("NHRP Fixed Header")
    status = fixed.number("nhrp.hdr.chksum.status")
    header = {
        "address_family": fixed.number("nhrp.hdr.afn"),
        "protocol_type": fixed.number("nhrp.hdr.pro.type"),
        "snap": fixed.octets("nhrp.protocol_type"),
        "hop": fixed.number("nhrp.hdr.hopcnt"),
        "pktsz": fixed.number("nhrp.hdr.pktsz"),
        "checksum": fixed.number("nhrp.hdr.chksum"),
        "extoff": fixed.number("nhrp.hdr.extoff"),
        "version": fixed.number("nhrp.hdr.version"),
        "type": fixed.number("nhrp.hdr.op.type"),
        "src_nbma_type_length": fixed.number("nhrp.hdr.shtl"),
        "src_subaddress_type_length": fixed.number("nhrp.hdr.sstl"),
    }
    if status != 2:
        header["checksum_ok"] = status == 1
    return fixed.end(header)


def _nhrp_cies(fields):
    cies = []
    while (cie := fields.group("Client Information Entry")).left:
        cies.append(cie.end({
            "code": cie.number("nhrp.code"),
            "prefix": cie.number("nhrp.prefix"),
            "unused": cie.number("nhrp.unused"),
            "mtu": cie.number("nhrp.mtu"),
            "holding_time": cie.number("nhrp.htime"),
            "nbma": cie.text("nhrp.client.nbma.addr"),
            "protocol": cie.text("nhrp.client.prot.addr"),
            "preference": cie.number("nhrp.pref"),
        }))
    return cies


def _nhrp_extension(fields):
    extension = {
        "type": fields.number("nhrp.ext.type"),
        "compulsory": fields.flag("nhrp.ext.c"),
        "length": fields.number("nhrp.ext.len"),
    }
    if extension["type"] in (3, 4, 5, 9):
        extension["cies"] = _nhrp_cies(fields)
    elif extension["type"] == 7:
        data = fields.group("Extension Data")
        extension["reserved"] = data.number("nhrp.auth_ext.reserved")
        extension["auth_type"] = data.number("nhrp.auth_ext.spi")
        secret = bytes.fromhex(data.octets("nhrp.auth_ext.data"))
        extension["auth_data"] = secret.decode() if extension["auth_type"] == 1 else secret.hex()
        data.end(None)
    return fields.end(extension)


def _isakmp(fields):
    encryption = fields.inside("isakmp.flags")
    isakmp = {
        "initiator_cookie": fields.octets("isakmp.ispi"),
        "responder_cookie": fields.octets("isakmp.rspi"),
        "next_payload": fields.number("isakmp.nextpayload"),
        "version": int(fields.octets("isakmp.version"), 16),
        "exchange": fields.number("isakmp.exchangetype"),
        "flags": int(encryption.element.get("value"), 16),
        "encrypted": encryption.flag("isakmp.flag_e"),
        "message_id": fields.number("isakmp.messageid"),
        "length": fields.number("isakmp.length"),
    }
    content = fields
    if isakmp["encrypted"]:
        content = fields.inside("isakmp.enc.data")
    payloads = content.take_all("isakmp.typepayload")
    isakmp["decrypted"] = bool(isakmp["encrypted"] and payloads)
    isakmp["payloads"] = [_payload(Fields(payload)) for payload in payloads]
    isakmp["padding"] = content.octets("isakmp.extradata") or ""
    content.end(None)
    return fields.end(isakmp)


def _payload(fields):
    kind = int(fields.element.get("show"))
    body = fields.element.get("value", "")[8:]
    payload = {
        "type": kind,
        "length": fields.number("isakmp.payloadlength"),
        "reserved": int(fields.octets("isakmp.reserved"), 16),
    }
    payload |= PAYLOADS.get(kind, lambda fields, body: {"data": body})(fields, body)
    return fields.end(payload)


def _security_association(fields, _):
    return {
        "doi": fields.number("isakmp.sa.doi"),
        "situation": int(fields.octets("isakmp.sa.situation"), 16),
        "proposals": [_proposal(Fields(field)) for field in fields.take_all("isakmp.typepayload")],
    }


def _proposal(fields):
    return fields.end({
        "reserved": int(fields.octets("isakmp.reserved"), 16),
        "number": fields.number("isakmp.prop.number"),
        "protocol": fields.number("isakmp.prop.protoid"),
        "spi": fields.octets("isakmp.spi") or "",
        "transforms": [_transform(Fields(field)) for field in fields.take_all("isakmp.typepayload")],
        "length": fields.number("isakmp.payloadlength"),
    })


def _transform(fields):
    reserved, reserved2 = (int(field.get("value"), 16) for field in fields.take_all("isakmp.reserved"))
    attributes = fields.take_all("isakmp.ike.attr") + fields.take_all("isakmp.ipsec.attr")
    return fields.end({
        "reserved": reserved,
        "reserved2": reserved2,
        "number": fields.number("isakmp.trans.number"),
        "id": fields.number("isakmp.trans.id"),
        "attributes": [_attribute(Fields(attribute)) for attribute in attributes],
        "length": fields.number("isakmp.payloadlength"),
    })


def _attribute(fields):
    name = fields.element.get("name")
    value = fields.octets(f"{name}.value")
    basic = fields.number(f"{name}.format") == 1
    return fields.end({
        "type": fields.number(f"{name}.type"),
        "value": int(value, 16) if basic else value,
    })


def _identification(fields, _):
    kind = fields.number("isakmp.id.type")
    data = list(fields.inside("isakmp.id.data").left)
    return {
        "id_type": kind,
        "protocol": fields.number("isakmp.id.protoid"),
        "port": fields.number("isakmp.id.port"),
        "address": data[0].get("show") if kind in (1, 5) else None,
        "data": "".join(field.get("value") for field in data),
    }


def _notification(fields, _):
    return {
        "doi": fields.number("isakmp.notify.doi"),
        "protocol": fields.number("isakmp.notify.protoid"),
        "notify_type": fields.number("isakmp.notify.msgtype"),
        "spi": fields.octets("isakmp.spi") or "",
        "data": fields.octets("isakmp.notify.data") or "",
    }


def _delete(fields, _):
    return {
        "doi": fields.number("isakmp.delete.doi"),
        "protocol": fields.number("isakmp.delete.protoid"),
        "spis": [field.get("value") for field in fields.take_all("isakmp.delete.spi")],
    }


def _nat_original_address(fields, body):
    return {
        "id_type": fields.number("isakmp.id.type"),
        "address": fields.text("isakmp.ike.nat_original_address_ipv4"),
        "data": body[8:],
    }


def _fragment(fields, body):
    fields.take("isakmp")  # The joined message, which is read as a layer of its own.
    return {
        "id": fields.number("isakmp.frag.packetid"),
        "number": fields.number("isakmp.frag.seq"),
        "last": fields.flag("isakmp.frag.last"),
        "data": body[8:],
    }


def _octets(name):
    return lambda fields, _: {"data": fields.octets(name)}


PAYLOADS = {
    1: _security_association,
    4: _octets("isakmp.key_exchange.data"),
    5: _identification,
    8: _octets("isakmp.hash"),
    10: _octets("isakmp.nonce"),
    11: _notification,
    12: _delete,
    13: _octets("isakmp.vid_bytes"),
    20: _octets("isakmp.ike.nat_hash"),
    21: _nat_original_address,
    132: _fragment,
}

READERS = {
    "ip": _ip,
    "udp": _udp,
    "gre": _gre,
    "nhrp": _nhrp,
    "quoted": _nhrp_fixed,
    "isakmp": _isakmp,
    "esp": _esp,
}
