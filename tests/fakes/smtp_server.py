"""A mail server on loopback: takes mail line by line as RFC 5321 says, or refuses it as it is told."""

import asyncio
from collections.abc import Mapping, Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


class SmtpServer:
    """Without TLS, and so only fit for a client that sends no password.

    Args:
        refusals: Instead of a yes, by the command that gets it: "EHLO", "MAIL", "RCPT", "DATA", ".".
        recipients: Instead of a yes, by the recipient that gets it.
        content: Instead of a yes to a message, by a text in its subject or plain text.
        extensions: What the server offers, e.g. "SMTPUTF8".
        drops: Closes the connection instead of replying to a message that it took.
    """

    def __init__(
        self,
        refusals: Mapping[str, str] | None = None,
        *,
        hangs: bool = False,
        recipients: Mapping[str, str] | None = None,
        content: Mapping[str, str] | None = None,
        extensions: Sequence[str] = (),
        drops: bool = False,
    ) -> None:
        self.refusals = dict(refusals or {})
        self.refused_recipients = dict(recipients or {})
        self.refused_content = dict(content or {})
        self.drops = drops
        self._extensions = extensions
        self._hangs = hangs
        self.accepted: list[EmailMessage] = []
        self.envelopes: list[list[str]] = []
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "SmtpServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    def _content_refusal(self, mail: EmailMessage) -> str:
        body = mail.get_body(("plain",))
        text = f"{mail['Subject']}\n{body.get_content() if body else ''}"
        return next((reply for word, reply in self.refused_content.items() if word in text), "")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        self._writers.append(writer)
        if self._hangs:
            await reader.read()
            return
        envelope: list[str] = []
        say(self.refusals.get("", "220 mail.example.com"))
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "QUIT":
                say("221 bye")
                break
            if verb in self.refusals:
                say(self.refusals[verb])
            elif verb == "EHLO":
                lines = ["mail.example.com", *self._extensions]
                for number, extension in enumerate(lines, 1):
                    say(f"250{' ' if number == len(lines) else '-'}{extension}")
            elif verb == "MAIL":
                envelope.clear()
                say("250 ok")
            elif verb == "RCPT":
                recipient = line.partition("<")[2].partition(">")[0]
                if recipient in self.refused_recipients:
                    say(self.refused_recipients[recipient])
                    continue
                self.recipients.append(recipient)
                envelope.append(recipient)
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                body = await reader.readuntil(b"\r\n.\r\n")
                mail = message_from_bytes(body.removesuffix(b".\r\n"), policy=default)
                assert isinstance(mail, EmailMessage)
                self.mails.append(mail)
                refusal = self.refusals.get(".") or self._content_refusal(mail)
                if not refusal:
                    self.accepted.append(mail)
                    self.envelopes.append(list(envelope))
                if self.drops:
                    break
                say(refusal or "250 taken")
            else:
                say("250 ok")
        writer.close()
