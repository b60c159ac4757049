#!/usr/bin/env bash
# The guide's hub and spoke as two daemons on one machine, each in a network namespace of its own with
# a third one, the Internet, between them. Pings from loopback to loopback and shows what there is.
#
#   examples/two-routers.sh [--keep SECONDS]     keep it running for a look around
#
# Needs root, network namespaces and /dev/net/tun; says so and ends with status 0 where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

keep=0
if [ "${1:-}" = --keep ]; then keep=$2; fi

if [ "$(id -u)" != 0 ] || [ ! -c /dev/net/tun ] || ! command -v ip >/dev/null \
  || ! ip netns add "dmvpn-try-$$" 2>/dev/null; then
  echo "skipped: two-routers.sh needs root, iproute2, network namespaces and /dev/net/tun"
  exit 0
fi
ip netns del "dmvpn-try-$$"

if ! command -v ping >/dev/null; then
  if command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq iputils-ping >/dev/null
  else
    echo "skipped: two-routers.sh needs ping"
    exit 0
  fi
fi

cargo build --release --quiet --bin dmvpn
dmvpn=${CARGO_TARGET_DIR:-target}/release/dmvpn

hub=dmvpn-hub-$$ spoke=dmvpn-spoke-$$ internet=dmvpn-internet-$$
directory=$(mktemp -d)
pids=()
end() {
  local pid namespace
  for pid in ${pids[@]+"${pids[@]}"}; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  for namespace in $hub $spoke $internet; do ip netns del "$namespace" 2>/dev/null || true; done
  rm -rf "$directory"
}
trap end EXIT

# A router with its underlay address towards the Internet, and its loopbacks.
router() {
  local namespace=$1 address=$2 gateway=$3 loopback=$4 number
  ip netns add "$namespace"
  ip link add "$5" netns "$namespace" type veth peer name "$5" netns $internet
  ip -n "$namespace" address add "$address/24" dev "$5"
  ip -n "$namespace" link set "$5" up
  ip -n "$namespace" link set lo up
  ip -n "$namespace" route add default via "$gateway"
  ip -n $internet address add "$gateway/24" dev "$5"
  ip -n $internet link set "$5" up
  for number in 1 2 3 4; do ip -n "$namespace" address add "$loopback.$number/32" dev lo; done
}
ip netns add $internet
ip netns exec $internet sysctl -qw net.ipv4.ip_forward=1
router $hub 172.16.10.1 172.16.10.254 203.0.113 to-hub
router $spoke 172.16.1.1 172.16.1.254 209.165.201 to-spoke

# The daemon of a router; waits until it is ready.
start() {
  local namespace=$1 name=$2
  : >"$directory/$name.log"
  ip netns exec "$namespace" "$dmvpn" run "examples/configs/$name.ios" \
    --control "$directory/$name.sock" >"$directory/$name.log" &
  pids+=($!)
  for _ in $(seq 100); do
    grep -qx ready "$directory/$name.log" && return
    kill -0 $! 2>/dev/null || { echo "the $name ended"; exit 1; }
    sleep 0.1
  done
  echo "the $name is not ready"
  exit 1
}
start $hub hub
start $spoke spoke
# In the guide EIGRP says this.
ip -n $hub route add 209.165.201.0/24 via 10.1.1.1 dev Tunnel0 onlink
ip -n $spoke route add 203.0.113.0/24 via 10.1.1.254 dev Tunnel0

echo "spoke# ping 203.0.113.1 source 209.165.201.1"
for _ in $(seq 20); do
  if ip netns exec $spoke ping -q -n -c 1 -W 1 -I 209.165.201.1 203.0.113.1 >/dev/null; then break; fi
done
ip netns exec $spoke ping -n -c 5 -i 0.2 -W 2 -I 209.165.201.1 203.0.113.1
ip netns exec $hub ping -q -n -c 5 -i 0.2 -W 2 -I 203.0.113.1 209.165.201.1

# Multicast, as routing protocols have it: a copy for each peer, from the hub and from the spoke.
for namespace in $hub $spoke; do
  ip netns exec "$namespace" sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=0
  ip netns exec "$namespace" ping -q -n -c 3 -i 0.2 -W 2 -I Tunnel0 224.0.0.1
done

for name in hub spoke; do
  for show in "ip nhrp" "dmvpn detail"; do
    printf '\n%s# show %s\n\n' "$name" "$show"
    # Word by word, as on a router.
    "$dmvpn" --control "$directory/$name.sock" show $show
  done
done
"$dmvpn" --control "$directory/spoke.sock" show ip nhrp nhs | grep -q '10.1.1.254 *R' \
  || { echo "the spoke is not registered"; exit 1; }

if [ "$keep" != 0 ]; then
  echo "running for $keep s: ip netns exec $spoke bash, $dmvpn --control $directory/spoke.sock show dmvpn"
  sleep "$keep"
fi

# Signals end both in order: the hub has heard the spoke's purge, and forgotten it.
kill "${pids[1]}"
wait "${pids[1]}" || { echo "the spoke did not end in order"; exit 1; }
if "$dmvpn" --control "$directory/hub.sock" show ip nhrp | grep -q '10.1.1.1/32'; then
  echo "the hub still knows a spoke that went"
  exit 1
fi
kill "${pids[0]}"
wait "${pids[0]}" || { echo "the hub did not end in order"; exit 1; }
pids=()
echo "hub and spoke met, pinged and parted"
