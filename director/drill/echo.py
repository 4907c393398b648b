# The echo server of a drill's real server: `echo.py PORT NAME`. Runs with `python -I -S`, so it
# knows the standard library alone. It greets with its name and a newline, then sends back what
# comes. A datagram is answered with the name, a space, and what came, from the very address that it
# was sent to: a wildcard socket would answer from its first address, and not from the VIP.
"""An echo server that says who it is."""

import selectors
import socket
import sys

BACKLOG = 512
IN6_PKTINFO = 20  # bytes


class Echo:
    """One thread, one selector. A client that does not take in what it sent is dropped."""

    def __init__(self, port: int, name: str) -> None:
        self._name = name.encode()
        self._selector = selectors.DefaultSelector()
        self._server = socket.create_server(
            ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
        )
        self._datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self._datagrams.bind(("", port))
        for sock in (self._server, self._datagrams):
            sock.settimeout(0)
            self._selector.register(sock, selectors.EVENT_READ)

    def run(self) -> None:
        """For ever."""
        while True:
            for key, _ in self._selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._server:
                    self._greet(*sock.accept())
                elif sock is self._datagrams:
                    self._answer(sock)
                elif not self._echo(sock):
                    self._selector.unregister(sock)
                    sock.close()

    def _greet(self, connection: socket.socket, _: object) -> None:
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(self._name + b"\n")
        self._selector.register(connection, selectors.EVENT_READ)

    def _answer(self, sock: socket.socket) -> None:
        data, ancillary, _, sender = sock.recvmsg(65536, socket.CMSG_SPACE(IN6_PKTINFO))
        # struct in6_pktinfo: the address, then the interface; 0 leaves that to the routes.
        info = [(level, kind, value[:16] + bytes(4)) for level, kind, value in ancillary]
        sock.sendmsg([self._name, b" ", data], info, 0, sender)

    def _echo(self, connection: socket.socket) -> bool:
        try:
            data = connection.recv(4096)
            return bool(data) and connection.send(data) == len(data)
        except OSError:
            return False


def main() -> None:
    """Arguments: port, name."""
    Echo(int(sys.argv[1]), sys.argv[2]).run()


if __name__ == "__main__":
    main()
