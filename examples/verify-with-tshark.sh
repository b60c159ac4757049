#!/usr/bin/env bash
# Has Wireshark's own dissectors read what phase1 puts on the wire, with the keys that phase1 writes.
#
#   verify-with-tshark.sh [--skip-if-missing] [PHASE1]
#       runs PHASE1 (built here when not named) once plainly and once with --nat, and checks both
#   verify-with-tshark.sh [--skip-if-missing] --capture FILE KEYS
#       checks a capture that is already there, with the keys in directory KEYS
#
# Fails where tshark is missing, unless told to skip.
set -euo pipefail

skip_if_missing=false
if [ "${1:-}" = --skip-if-missing ]; then
    skip_if_missing=true
    shift
fi
if ! command -v tshark >/dev/null; then
    echo "tshark is not installed"
    if $skip_if_missing; then echo SKIP; exit 0; else exit 1; fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# Frames of the capture that a display filter selects.
count() {
    WIRESHARK_CONFIG_DIR=$keys tshark -r "$capture" -Y "$1" -T fields -e frame.number \
        -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE \
        -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE \
        -o nhrp.auth_ext_has_addr:FALSE 2>"$work/errors" | wc -l ||
        { cat "$work/errors" >&2; return 1; }
}

# report GOOD WHAT: one line, and the verdict kept.
report() {
    if [ "$1" = true ]; then
        echo "  ok      $2"
    else
        echo "  FAILED  $2"
        failed=1
    fi
}

some() {
    local found
    found=$(count "$3")
    report "$([ "$found" -ge "$1" ] && echo true)" "$2 ($found, at least $1)"
}

none() {
    local found
    found=$(count "$2")
    report "$([ "$found" -eq 0 ] && echo true)" "$1 ($found)"
}

# check CAPTURE KEYS REPLY_SIZE
check() {
    capture=$1 keys=$2
    none "malformed frames" "_ws.malformed || _ws.expert.severity == 8388608"
    none "wrong IPv4 checksums" "ip.checksum.status == 0"
    none "wrong UDP checksums" "udp.checksum.status == 0"
    none "wrong ICMP checksums" "icmp.checksum.status == 0"

    some 6 "main mode messages" "isakmp.exchangetype == 2"
    some 2 "of them identity and hash, decrypted" \
        "isakmp.exchangetype == 2 && isakmp.typepayload == 5 && isakmp.typepayload == 8"
    some 3 "quick mode messages, decrypted" \
        "isakmp.exchangetype == 32 && isakmp.typepayload == 8"
    none "encrypted ISAKMP that stays closed" "isakmp.flag_e == 1 && !isakmp.typepayload"

    some 4 "ESP packets with a good ICV" "esp.icv_good == 1"
    none "ESP packets without" "esp && !(esp.icv_good == 1)"
    none "ESP packets that carry no GRE" "esp && !gre"
    none "GRE packets outside ESP" "gre && !esp"

    some 1 "NHRP registration request of 108 bytes" \
        "nhrp.hdr.op.type == 3 && nhrp.hdr.pktsz == 108"
    some 1 "NHRP registration reply of $3 bytes" \
        "nhrp.hdr.op.type == 4 && nhrp.hdr.pktsz == $3"
    none "NHRP packets without a good checksum" "nhrp && !(nhrp.hdr.chksum.status == 1)"

    some 1 "echo request through the tunnel" \
        "gre && icmp.type == 8 && ip.src == 209.165.201.1 && ip.dst == 203.0.113.1"
    some 1 "echo reply through the tunnel" \
        "gre && icmp.type == 0 && ip.src == 203.0.113.1 && ip.dst == 209.165.201.1"
    some 1 "multicast to 224.0.0.10 through the tunnel" "gre && ip.dst == 224.0.0.10"
}

if [ "${1:-}" = --capture ]; then
    echo "$2"
    check "$2" "$3" 128
    exit $failed
fi

cd "$(dirname "$0")/.."
if [ $# -eq 0 ]; then
    cargo build --quiet --release --bin phase1
    set -- "${CARGO_TARGET_DIR:-target}/release/phase1"
fi

echo "phase1"
"$1" --pcap "$work/plain.pcap" --keys "$work/plain" --debug none >/dev/null
check "$work/plain.pcap" "$work/plain" 128
none "ESP packets inside UDP" "esp && udp.port == 4500"

echo "phase1 --nat"
"$1" --pcap "$work/nat.pcap" --keys "$work/nat" --debug none --nat >/dev/null
# The hub appends to the reply an entry with the address that it sees (20 bytes).
check "$work/nat.pcap" "$work/nat" 148
none "ESP packets outside UDP" "esp && !(udp.port == 4500)"
exit $failed
