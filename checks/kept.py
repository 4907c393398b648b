"""Connections that wait for the next probe of their target."""

import _socket


class Kept:
    """At most one connection for each target."""

    def __init__(self) -> None:
        self._socks: dict[str, _socket.socket] = {}
        self._keys: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._socks)

    def add(self, key: str, sock: _socket.socket) -> None:
        """Keep a connection for a target that has none."""
        assert key not in self._socks
        self._socks[key] = sock
        self._keys[sock.fileno()] = key

    def take(self, key: str) -> _socket.socket | None:
        """The target's connection, which is the caller's from here on."""
        sock = self._socks.pop(key, None)
        if sock is not None:
            del self._keys[sock.fileno()]
        return sock

    def key_of(self, descriptor: int) -> str | None:
        """Whose connection has this descriptor."""
        return self._keys.get(descriptor)

    def drop(self, key: str) -> None:
        """Close the connection of a target, if it has one."""
        sock = self.take(key)
        if sock is not None:
            sock.close()

    def close(self) -> None:
        """Close them all."""
        for key in list(self._socks):
            self.drop(key)
