"""A plain program with a server and a client in it, which knows nothing of simctl: `python talker.py [IP]`.

It has the loopback interface brought up, listens on IP (127.0.0.1) and a port of its own, says the port on standard
output, and then does what a line of standard input says, each answered by a line `done`:

    connect IP PORT   open a connection and keep it
    accept            take the connection that waits
    close             close the connection that was opened
    leave             close the one that was accepted
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys

_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x41


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("=16sh14x", b"lo", _UP_AND_RUNNING))
    listener = socket.create_server((address, 0))
    print(listener.getsockname()[1], flush=True)
    opened = accepted = socket.socket()
    for line in sys.stdin:
        match line.split():
            case ["connect", host, port]:
                opened = socket.create_connection((host, int(port)))
            case ["accept"]:
                accepted, _ = listener.accept()
            case ["close"]:
                opened.close()
            case ["leave"]:
                assert accepted.recv(1) == b"", "the other end closed first"
                accepted.close()
        print("done", flush=True)


if __name__ == "__main__":
    main()
