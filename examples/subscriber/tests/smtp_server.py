"""A mail server on a real socket with scripted replies."""

import email
import email.policy
import socket
import socketserver
import threading
from collections import defaultdict
from contextlib import suppress


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        with suppress(OSError):  # cut off by `go_away`
            self._talk()

    def _talk(self):
        server: SmtpServer = self.server.owner
        self._reply(server.greeting)
        recipient = ""
        for line in self.rfile:
            command = line.decode().strip()
            verb = command.upper()
            if verb.startswith("EHLO"):
                self._reply("250-localhost", f"250 {server.extension}")
            elif verb.startswith("RCPT"):
                recipient = command[command.index("<") + 1 : command.rindex(">")]
                self._reply(server.next_reply(recipient))
            elif verb == "DATA":
                self._reply("354 go on")
                self._receive(server, recipient)
            elif verb == "QUIT":
                self._reply("221 bye")
                return
            else:
                self._reply("250 ok")

    def _receive(self, server: "SmtpServer", recipient: str):
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        if server.pause:
            threading.Event().wait(server.pause)
        reply = server.next_reply(recipient, phase="data")
        if line and reply.startswith("250"):
            server.accept(recipient, b"".join(lines))
        self._reply(reply)

    def _reply(self, *lines: str):
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


class SmtpServer:
    """Accepts everything that is not scripted otherwise; keeps its port while it is away."""

    def __init__(self):
        self.greeting, self.extension, self.pause = "220 ready", "8BITMIME", 0.0
        self.mails: list[tuple[str, email.message.EmailMessage]] = []
        self._replies: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        self._server = self._listen(0)
        self.port = self._server.server_address[1]

    def script(self, recipient: str, *replies: str, phase: str = "rcpt"):
        """The replies to this recipient, one each time; afterwards 250."""
        self._replies[recipient, phase].extend(replies)

    def next_reply(self, recipient: str, phase: str = "rcpt") -> str:
        with self._lock:
            replies = self._replies[recipient, phase]
            return replies.pop(0) if replies else "250 ok"

    def accept(self, recipient: str, text: bytes):
        with self._lock:
            self.mails.append((recipient, email.message_from_bytes(text, policy=email.policy.default)))

    def to(self, recipient: str) -> list[email.message.EmailMessage]:
        with self._lock:
            return [mail for to, mail in self.mails if to == recipient]

    def recipients(self) -> list[str]:
        with self._lock:
            return [to for to, _ in self.mails]

    def go_away(self):
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)

    def come_back(self):
        if self._server.fileno() < 0:
            self._server = self._listen(self.port)

    def _listen(self, port: int) -> "Listener":
        listener = Listener(("127.0.0.1", port), Session)
        listener.owner = self
        threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
        return listener


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.connections = []

    def process_request(self, request, client_address):
        self.connections.append(request)
        super().process_request(request, client_address)
