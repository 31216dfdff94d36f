"""Makes its node a NAT: writes rules for nftables from the knobs, loads them, and stays.

Nothing listens here. What does the work is the kernel of this node's network namespace: conntrack, which keeps a table
of flows, and the rules, which send the first segment of a flow elsewhere and let the kernel treat all others alike.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

from events import emit
from knobs import KnobError, Knobs, refuse_arguments
from native import end

_NFT = "/usr/sbin/nft"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")

_FIRST = "tcp flags & (fin | syn | rst | ack) == syn"
"""Only a SYN begins a flow. Left to itself conntrack takes any segment for the first one (nf_conntrack_tcp_loose), and
what was forgotten would come back, with another port."""

_RULES = """\
table ip simctl {{
  ct timeout flows {{
    protocol tcp
    l3proto ip
    policy = {{ established: {established}, close_wait: {close_wait}, time_wait: {time_wait} }}
  }}
  chain flows {{
    type filter hook prerouting priority mangle; policy accept;
    {first} ct timeout set "flows" accept
    {unknown}
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    {unknown_on_the_way}
  }}
  chain destination {{
    type nat hook prerouting priority dstnat; policy accept;
    {destination}
  }}
  chain source {{
    type nat hook postrouting priority srcnat; policy accept;
    masquerade
  }}
}}
"""
"""A segment of no flow that is not dropped comes to this node's own TCP, which knows no such connection and sends a
RST; one that would only pass through gets its RST from the rules."""

_STOP = {signal.SIGTERM, signal.SIGINT}

_OF_NO_FLOW = "meta l4proto tcp ct state new,invalid"


def main() -> None:
    try:
        refuse_arguments("nat", sys.argv[1:])
        rules = _rules(Knobs())
    except KnobError as error:
        end("nat", str(error), 2)
    if _FORWARDING.read_text().strip() != "1":
        end("nat", "this node does not forward: set `sysctls: {net.ipv4.ip_forward: 1}` in the Compose file", 1)
    _load(rules)
    # Waited for, not handled: a Python handler would not run for a signal that comes just before pause().
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    emit({"ev": "ready", "t": time.monotonic(), "kind": "nat"})
    signal.sigwait(_STOP)


def _rules(knobs: Knobs) -> str:
    drops = knobs.word("ON_UNKNOWN", "drop", "drop", "reset") == "drop"
    port = knobs.port("HTTP_PORT", 8080)
    upstream = knobs.endpoints("UPSTREAM")
    if len(upstream) > 1:
        raise KnobError("UPSTREAM: a NAT forwards to one host:port")
    return _RULES.format(
        established=knobs.whole_seconds("CONNTRACK_ESTABLISHED", 432000),
        close_wait=knobs.whole_seconds("CONNTRACK_CLOSE_WAIT", 60),
        time_wait=knobs.whole_seconds("CONNTRACK_TIME_WAIT", 120),
        first=_FIRST,
        unknown=f"{_OF_NO_FLOW} drop" if drops else "",
        unknown_on_the_way="" if drops else f"{_OF_NO_FLOW} {_FIRST.replace('==', '!=')} reject with tcp reset",
        destination=f"tcp dport {port} {_FIRST} dnat to {_address(*upstream[0])}" if upstream else "",
    )


def _address(host: str, port: int) -> str:
    try:
        return f"{socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]}:{port}"
    except OSError as error:
        raise KnobError(f"UPSTREAM: {host} has no IPv4 address here: {error.strerror}") from None


def _load(rules: str) -> None:
    try:
        done = subprocess.run([_NFT, "-f", "-"], input=rules, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        end("nat", f"there is no program {_NFT} here: install the Debian package nftables", 127)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        end(
            "nat", "the kernel did not take these rules; it needs nf_tables, conntrack, and the capability NET_ADMIN", 1
        )


if __name__ == "__main__":
    main()
