"""The welcome mail, and how it gets to the mail server."""

import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr

from .config import Config
from .event import Verified


class ServerAway(Exception):
    """The mail server, not this recipient, is the problem: everything waits."""


class RefusedForNow(Exception):
    """A transient failure (4xx) of this mail alone."""


class RefusedForGood(Exception):
    """A permanent failure of this mail alone. The text is the dead letter's reason."""


def welcome(event: Verified, config: Config) -> None:
    """Returns when the server has taken the mail. One connection each: enough for an example, a pool is quicker."""
    sender = parseaddr(config.mail_from)[1]
    try:
        mail = render(event, config.mail_from)
    except Exception:  # email.headerregistry raises many kinds for an address that it can't write
        raise RefusedForGood("unwritable") from None
    try:
        with smtplib.SMTP(*config.smtp, timeout=10) as session:
            if config.starttls:
                session.starttls(context=ssl.create_default_context())
            if config.login:
                session.login(*config.login)
            _send(session, mail, sender, event.email)
    except (smtplib.SMTPException, OSError) as error:
        raise ServerAway(type(error).__name__) from None


def render(event: Verified, mail_from: str) -> EmailMessage:
    """The same event always becomes the same mail, with the same Message-ID: mail programs recognise a copy."""
    mail = EmailMessage()
    mail["From"] = mail_from
    local_part, _, domain = event.email.rpartition("@")
    mail["To"] = Address(f"{event.first_name} {event.last_name}", local_part, domain)
    mail["Subject"] = "Welcome"
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<welcome-{event.event_id}@{parseaddr(mail_from)[1].rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"Hello {event.first_name},\n\nyour account is verified. Welcome!\n")
    return mail


def _send(session: smtplib.SMTP, mail: EmailMessage, sender: str, recipient: str) -> None:
    try:
        session.send_message(mail, sender, [recipient])
    except smtplib.SMTPNotSupportedError:  # an address that is not ASCII, and a server without SMTPUTF8
        raise RefusedForGood("smtputf8_missing") from None
    except smtplib.SMTPRecipientsRefused as error:
        status, reason = error.recipients[recipient][0], "recipient_refused"
    except smtplib.SMTPDataError as error:
        status, reason = error.smtp_code, "content_refused"
    else:
        return
    if status == 421:
        raise ServerAway("it is closing")
    raise RefusedForNow(reason) if status < 500 else RefusedForGood(reason)
