"""systemd/hooks/mail-event: the hook that mails, run as director-exec runs it."""

import socketserver
import subprocess
import threading
from email import message_from_bytes, policy
from pathlib import Path

import msgspec
import pytest

from director.model.event import Event

HOOK = Path(__file__).parents[1] / "systemd" / "hooks" / "mail-event"
SENDMAIL = """#!/bin/sh
echo "$@" > {at}/arguments
cat > {at}/message
exit {status}
"""
EVENT = Event(
    kind="destination.down",
    object="web/web1",
    from_="up",
    to="down",
    reason="HTTP 503\r\nBcc: everybody@example.com",
    by="check",
    seq=7,
    at="2026-01-01T00:00:00.000Z",
    node="lb1",
)


def mail(tmp_path: Path, *words: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    """With a sendmail of ours in the way."""
    program = tmp_path / "sendmail"
    program.write_text(SENDMAIL.format(at=tmp_path, status=status))
    program.chmod(0o755)
    return subprocess.run(
        [HOOK, *words],
        input=msgspec.json.encode(EVENT).decode(),
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def check_message(data: bytes) -> None:
    message = message_from_bytes(data, policy=policy.default)
    assert message["To"] == "ops@example.com"
    assert message["Subject"] == "[lb1] destination.down web/web1: up -> down"
    assert message["Bcc"] is None
    assert "reason: HTTP 503 Bcc: everybody@example.com\n" in message.get_content().replace(
        "\r\n", "\n"
    )


def test_an_event_is_handed_to_sendmail(tmp_path: Path) -> None:
    """Who it is for and what happened; nothing in a reason becomes a header."""
    done = mail(tmp_path, "ops@example.com")

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert (tmp_path / "arguments").read_text() == "-i -t\n"
    check_message((tmp_path / "message").read_bytes())


def test_a_sendmail_that_fails_is_a_hook_that_fails(tmp_path: Path) -> None:
    """Its status is ours."""
    assert mail(tmp_path, "ops@example.com", status=75).returncode == 75


class Server(socketserver.StreamRequestHandler):
    """Speaks as much SMTP as is needed, and keeps the message."""

    said: bytes = b""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                type(self).said = b"".join(lines)
            if line.upper().startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 well\r\n")


def test_an_event_is_handed_to_a_mail_server(tmp_path: Path) -> None:
    """Where a set-group-id sendmail has no right to anything; sendmail is not asked then."""
    with socketserver.TCPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        done = mail(tmp_path, "ops@example.com", f"127.0.0.1:{server.server_address[1]}")
        thread.join()

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert not (tmp_path / "message").exists()
    check_message(Server.said)


@pytest.mark.parametrize("words", [[], ["a", "b", "c"]])
def test_wrong_usage_says_how(tmp_path: Path, words: list[str]) -> None:
    """On one line, which the log shows."""
    done = mail(tmp_path, *words)

    assert done.returncode == 1
    assert done.stderr == "mail-event RECIPIENT [HOST:PORT]\n"


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The last line is what director-exec reports."""
    with socketserver.TCPServer(("127.0.0.1", 0), Server) as server:
        port = server.server_address[1]

    done = mail(tmp_path, "ops@example.com", f"127.0.0.1:{port}")

    assert done.returncode == 1
    assert done.stdout.startswith(f"127.0.0.1:{port} does not take it: ")
