"""A mail server on loopback: takes mail line by line as RFC 5321 says, or refuses it as it is told."""

import asyncio
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


class SmtpServer:
    """Without TLS, and so only fit for a client that sends no password.

    Args:
        refusals: Instead of a yes, by the command that gets it: "MAIL", "RCPT", "DATA", ".".
    """

    def __init__(self, refusals: Mapping[str, str] | None = None, *, hangs: bool = False) -> None:
        self._refusals = dict(refusals or {})
        self._hangs = hangs
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "SmtpServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        if self._hangs:
            await reader.read()
            return
        say("220 mail.example.com")
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "QUIT":
                say("221 bye")
                break
            if verb in self._refusals:
                say(self._refusals[verb])
            elif verb == "RCPT":
                self.recipients.append(line.partition("<")[2].rstrip(">"))
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                body = await reader.readuntil(b"\r\n.\r\n")
                mail = message_from_bytes(body.removesuffix(b".\r\n"), policy=default)
                assert isinstance(mail, EmailMessage)
                self.mails.append(mail)
                say(self._refusals.get(".", "250 taken"))
            else:
                say("250 ok")
        writer.close()
