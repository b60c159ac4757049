#!/bin/sh
# FRR beside a daemon of ours: run in its network namespace and in a mount namespace of its own, ROOT being the unpacked packages
# and STATE a directory with the daemons' configuration files.  Ends when a daemon ends; whoever started it kills the session.
set -eu
ROOT=$1 STATE=$2 ROUTING=$3
for d in run var tmp etc; do mount -t tmpfs tmpfs "$ROOT/$d"; done
mount --rbind /proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount --bind "$STATE" "$ROOT/host"
mkdir -p "$ROOT/run/frr" "$ROOT/etc/frr" "$ROOT/etc/pam.d" "$ROOT/var/log/frr" "$ROOT/var/lib/frr" "$ROOT/var/tmp"
ln -s /run "$ROOT/var/run"
printf '%s\n' "root:x:0:0:root:/root:/bin/bash" "frr:x:990:990::/nonexistent:/bin/false" >"$ROOT/etc/passwd"
printf '%s\n' "root:x:0:" "frr:x:990:" "frrvty:x:991:frr" >"$ROOT/etc/group"
printf '%s\n' "auth sufficient pam_permit.so" "account sufficient pam_permit.so" >"$ROOT/etc/pam.d/frr"
cp "$STATE"/*.conf "$ROOT/etc/frr/"
chroot "$ROOT" chown -R frr:frr /run/frr /etc/frr /var/log/frr /var/lib/frr
start() { chroot "$ROOT" "/usr/lib/frr/$1" -A 127.0.0.1 --log "file:/host/log/$1.log" --log-level debug >"$STATE/$1.out" 2>&1 & }
start mgmtd
start zebra
for _ in $(seq 100); do [ -S "$ROOT/run/frr/zserv.api" ] && break; sleep 0.05; done
start "$ROUTING"
: >"$STATE/ready"
wait
