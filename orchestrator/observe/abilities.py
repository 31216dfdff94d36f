"""Tries what a run needs of the kernel, for real, in a throwaway child: nothing that it makes outlives it.

Reading /proc/config.gz or module lists would only guess: a container, a security module or a setting can refuse
what the kernel has. The parent forks, so it should have one thread; what is imported late is imported in the child,
which works while the parent does other things.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from orchestrator.system import linux
from orchestrator.text.record import record

Outcome = dict[str, str | None]
"""Ability -> None when it works, or the kernel's reason. An ability that could not be tried is not in it."""

_PATIENCE = 10
"""Seconds before a hanging child is ended; it takes milliseconds."""

TRACING = Path("/sys/kernel/tracing")
_EVENT = "events/sock/inet_sock_set_state"


@record
class Trial:
    """A child at work. `outcome` waits for it, and must be called once."""

    pid: int
    pipe: int

    def outcome(self) -> Outcome:
        """What it found; `child` is the reason when it died of it."""
        with os.fdopen(self.pipe) as pipe:
            text = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        if not text:
            return {"child": f"the process that tried it ended with status {os.waitstatus_to_exitcode(status)}"}
        outcome: Outcome = json.loads(text)
        return outcome


def try_user_namespaces() -> Trial:
    """`namespaces` (user, network, mount and pid, as an ordinary user gets them) and `proc` (a /proc of one's own)."""

    def attempt(report: Outcome) -> None:
        if _try(report, "namespaces", lambda: _enter(user=True)):
            _try(report, "proc", _mount_proc)

    return _in_child(attempt)


def try_lab(*, user_namespace: bool) -> Trial:
    """`namespaces`, `wiring`, `socket tables`, `netem`, `nftables`, `capture`, `tracing`, `proc`, as a lab uses them.

    `user_namespace`: from inside one, as the rootless netns runtime does; otherwise with the rights of this process.
    """

    def attempt(report: Outcome) -> None:
        if not _try(report, "namespaces", lambda: _enter(user=user_namespace)):
            return
        _try(report, "wiring", _wire)
        _try(report, "socket tables", _dump_sockets)
        _try(report, "netem", _add_netem)
        _try(report, "nftables", _ask_nftables)
        _try(report, "capture", _open_capture)
        if not user_namespace:
            _try(report, "tracing", _open_tracing)
        _try(report, "proc", _mount_proc)  # last: it hides the /proc that the others use

    return _in_child(attempt)


def try_faults(names: Iterable[str], *, user_namespace: bool) -> Trial:
    """`packet rules`, `refusing rules`, `netem` and `closing from outside`, as faults use them (fabric/faults)."""

    def attempt(report: Outcome) -> None:
        if user_namespace:
            linux.enter_new_user_namespace()
        linux.unshare(linux.CLONE_NEWNET)
        for name in names:
            _try(report, name, _FAULTS[name])

    return _in_child(attempt)


def _take_packets() -> None:
    """A rule at this namespace's loopback interface, and a reader of what they report."""
    from orchestrator.fabric.faults import nftables
    from orchestrator.observe.sources.filtered import Filtered

    flags = ("SYN", "SYN+ACK", "FIN", "RST", "ACK", "data")
    way, kind = nftables.Way(["lo"], ["02:00:00:00:00:01"]), nftables.Kind("tcp", 80, flags)
    nftables.take(1, [way], kind, nftables.Chosen(nth=[1]), "drop")
    Filtered(nftables.GROUP, {}, 0.0, {}).close()


def _refuse_packets() -> None:
    """A RST and an ICMP message, likewise."""
    from orchestrator.fabric.faults import nftables

    way, kind = nftables.Way(["lo"]), nftables.Kind("tcp", 80)
    for number, verdict in enumerate(nftables.VERDICTS):
        nftables.take(100 + number, [way], kind, nftables.Chosen(), verdict)


def _impair_packets() -> None:
    """Every kind of impairment at this namespace's loopback interface."""
    from orchestrator.fabric.faults import impairment

    settings = impairment.Settings("", delay=0.1, jitter=0.01, duplicate=0.1, corrupt=0.1, reorder=0.1, rate="1mbit")
    impairment.tc([impairment.root("lo"), impairment.netem("lo", 2, settings)])


def _close_from_outside() -> None:
    """A connection over this namespace's loopback interface, which its kernel is to abort."""
    from orchestrator.fabric.faults.destroy import destroy
    from orchestrator.fabric.wiring import bring_up

    bring_up("lo")
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as caller:
        destroy(["127.0.0.1"], caller.getsockname()[1])
        ended = caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if ended not in (errno.ECONNABORTED, errno.ECONNRESET):  # the second, where its peer was aborted before it
            raise LookupError("this kernel closes no connection for another program (CONFIG_INET_DIAG_DESTROY)")


_FAULTS = {
    "packet rules": _take_packets,
    "refusing rules": _refuse_packets,
    "netem": _impair_packets,
    "closing from outside": _close_from_outside,
}


def _in_child(attempt: Callable[[Outcome], None]) -> Trial:
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        _child(attempt, write_end)
    os.close(write_end)
    return Trial(pid, read_end)


def _child(attempt: Callable[[Outcome], None], write_end: int) -> NoReturn:
    report: Outcome = {}
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_PATIENCE)
        _try(report, "child", lambda: attempt(report))
        if report["child"] is None:
            del report["child"]
        os.write(write_end, json.dumps(report).encode())
    finally:
        os._exit(0)


def _try(report: Outcome, ability: str, action: Callable[[], None]) -> bool:
    try:
        action()
        report[ability] = None
    except Exception as error:  # the kernel's refusal, or a missing library: here every failure is a finding
        code = getattr(error, "errno", None) or getattr(error, "code", None)  # pyroute2's NetlinkError has a code
        report[ability] = os.strerror(code) if isinstance(code, int) else str(error) or type(error).__name__
    return report[ability] is None


def _enter(*, user: bool) -> None:
    """Into new namespaces; children are born in the new pid namespace. Mounts made here stay here."""
    if user:
        linux.enter_new_user_namespace()
    linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWNS | linux.CLONE_NEWPID)
    try:
        linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise LookupError("in a chroot, / is not a mount point") from None
        raise


def _mount_proc() -> None:
    """In a child, the first process of the pid namespace. Refused in containers that mask parts of /proc."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
        except OSError as error:
            code = error.errno or errno.EIO
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))


def _wire() -> None:
    """A bridge, a veth pair into another namespace, an address and the pinned settings: what the fabric does."""
    from orchestrator.fabric.wiring import Fabric, Leg

    namespace = "/proc/thread-self/ns/net"
    home = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    linux.unshare(linux.CLONE_NEWNET)
    node = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    linux.setns(home, linux.CLONE_NEWNET)
    fabric = Fabric()
    fabric.add_network("doctor")
    fabric.add_legs([Leg("node", "eth0", "doctor", "198.18.0.2", 29)], {"node": node}, {})
    fabric.close()


def _dump_sockets() -> None:
    from orchestrator.observe.sources.sockdiag import SockDiag

    SockDiag().rows()


def _add_netem() -> None:
    """A delay of 1 ms on this namespace's loopback interface."""
    from pyroute2 import IPRoute, NetlinkError

    with IPRoute() as ip:
        try:
            ip.tc("add", "netem", index=1, handle="1:", delay=1000)
        except NetlinkError as error:
            if error.code == errno.ENOENT:
                raise LookupError("this kernel has none") from None
            raise


def _ask_nftables() -> None:
    """NFT_MSG_GETGEN, which any kernel with nf_tables answers. Source: linux/netfilter/nf_tables.h, nfnetlink.h."""
    netfilter, subsystem, get_generation, request, error = 12, 10, 16, 1, 2
    header = struct.pack("=IHHII", 20, subsystem << 8 | get_generation, request, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter) as netlink:
        netlink.settimeout(1)
        netlink.send(header + struct.pack("=BBH", 0, 0, 0))
        answer = netlink.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] == error:
        code = -struct.unpack_from("=i", answer, 16)[0]
        raise OSError(code, os.strerror(code))


def _open_capture() -> None:
    """A ring for the frames of this namespace's loopback interface."""
    from orchestrator.observe.capture.packetring import PacketRing, only_from

    PacketRing(only_from([1], 64), blocks=1).close()


def _open_tracing() -> None:
    """Open what the trace source reads and writes; where tracefs is not mounted, mount it in this namespace first."""
    if not (TRACING / "events").exists():
        linux.mount("tracefs", str(TRACING), "tracefs")
    (TRACING / _EVENT / "format").read_bytes()
    os.close(os.open(TRACING / _EVENT / "enable", os.O_WRONLY | os.O_CLOEXEC))
    if not os.access(TRACING / "instances", os.W_OK):
        raise PermissionError(errno.EPERM, "no instance can be made")
