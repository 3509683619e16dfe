"""The cases of logins.py: a server's demand, what the service has, the words of its log, and the mending."""
import dataclasses, itertools
from typing import Callable

from certificates import EXPIRED
from dovecot import NAME, PASSWORD
from surroundings import replace
from tokens import token

CLIENT = {"SMTP_CERTIFICATE_FILE": "client.pem", "SMTP_KEY_FILE": "client.key"}
BY_PASSWORD = {"SMTP_USERNAME": NAME, "SMTP_PASSWORD_FILE": "secret"}
BY_TOKEN = {"SMTP_USERNAME": NAME, "SMTP_TOKEN_FILE": "secret"}
PLAIN, LOGIN = BY_PASSWORD | {"SMTP_AUTH": "plain"}, BY_PASSWORD | {"SMTP_AUTH": "login"}
XOAUTH2, OAUTHBEARER = BY_TOKEN | {"SMTP_AUTH": "xoauth2"}, BY_TOKEN | {"SMTP_AUTH": "oauthbearer"}

TOKEN = "to the token of SMTP_TOKEN_FILE{}: it has expired, or is not for this user"
MISSING = "login: the server offers no login of those wanted here, PLAIN or LOGIN; it offers: {}"
CERTIFICATE = "TLS: the server {}: SMTP_CERTIFICATE_FILE and SMTP_KEY_FILE must have a certificate that it accepts"
BY_REPLY = CERTIFICATE.format("refuses the client's certificate with the reply 421 4.7.1")
BY_ALERT = CERTIFICATE.format("ended TLS with the alert {}")
NO_RELAY = "RCPT TO: reply 554 5.7.1"


@dataclasses.dataclass
class Case:
    name: str
    server: str
    listener: str
    environment: dict
    # Writes the files that the environment names, into a folder.
    files: Callable
    # The reason in the log when the gate closes, or its beginning; none for a login that is accepted.
    words: str = ""
    # Ends the refusal. May return further variables, which only a restart can bring.
    mend: Callable = lambda folder: None


def secret(text):
    return lambda folder: replace(folder / "secret", text)


def token_for(life, **issuer):
    return lambda folder: replace(folder / "secret", token(NAME, life, **issuer) + "\r\n")


def cases(logins):
    client, mend_server = logins.certify_client, lambda name: lambda _: logins.certify_server(name)
    right, wrong, fresh, expired = secret(PASSWORD), secret("battery-staple"), token_for(3600), token_for(-10)
    foreign = token_for(3600, issuer="https://elsewhere.example.com")
    return [
        Case("plain", "postfix", "submission", PLAIN, right),
        Case("login", "postfix", "smtps", LOGIN, right),
        Case("xoauth2", "postfix", "submission", XOAUTH2, fresh),
        Case("oauthbearer", "postfix", "smtps", OAUTHBEARER, fresh),
        Case("certificate", "postfix", "certificate", CLIENT, client),
        Case("certificate_to_relay", "postfix", "certificate_to_relay", CLIENT, client),
        Case("exim_plain", "exim", "starttls", PLAIN, right),
        Case("exim_login", "exim", "tls", LOGIN, right),
        Case("exim_certificate", "exim", "certificate", CLIENT, client),
        Case("wrong_password", "postfix", "submission", PLAIN, wrong, "login: reply 535 5.7.8", right),
        Case("wrong_password_by_login", "postfix", "smtps", LOGIN, wrong, "login: reply 535 5.7.8", right),
        Case("exim_wrong_password", "exim", "tls", PLAIN, wrong, "login: reply 535", right),
        Case("expired_xoauth2", "postfix", "submission", XOAUTH2, expired, "login: reply 535 5.7.8 " + TOKEN.format(" (401)"), fresh),
        Case("expired_oauthbearer", "postfix", "smtps", OAUTHBEARER, expired,
             "login: reply 535 5.7.8 " + TOKEN.format(" (invalid_token)"), fresh),
        Case("foreign_token", "postfix", "submission", BY_TOKEN, foreign,
             "login: reply 535 5.7.8 " + TOKEN.format(" (invalid_token)"), fresh),
        Case("exim_expired_xoauth2", "exim", "tls", XOAUTH2, secret("ya29.early"), "login: reply 535 " + TOKEN.format(""),
             lambda _: logins.exim.accept("ya29.early")),
        Case("expired_server", "postfix", "expired", PLAIN, right, "TLS: invalid peer certificate: certificate expired: ",
             mend_server("expired")),
        Case("another_name", "postfix", "another-name", PLAIN, right,
             r'TLS: invalid peer certificate: certificate not valid for name \"localhost\"; '
             r'certificate is only valid for DnsName(\"mail.example.com\")', mend_server("another-name")),
        Case("unknown_authority", "postfix", "stranger", PLAIN, right, "TLS: invalid peer certificate: UnknownIssuer", mend_server("stranger")),
        Case("no_login_offered", "postfix", "no_login", BY_PASSWORD, right, MISSING.format("none"),
             lambda _: logins.postfix.set("later_login", "yes")),
        Case("tokens_alone_offered", "postfix", "tokens_only", BY_PASSWORD, right, MISSING.format("XOAUTH2 OAUTHBEARER"),
             lambda _: logins.postfix.set("later_mechanisms", "static:all")),
        Case("no_login", "postfix", "submission", {}, right, NO_RELAY, lambda _: BY_PASSWORD),
        *itertools.chain.from_iterable((
            Case(f"{server}_{listener}_expired", server, listener, CLIENT, lambda folder: client(folder, dates=EXPIRED), of_expired, client),
            Case(f"{server}_{listener}_foreign", server, listener, CLIENT, lambda folder: client(folder, logins.others), of_foreign, client),
            Case(f"{server}_{listener}_missing", server, listener, {}, client, of_missing, lambda _: CLIENT),
        ) for server, listener, of_expired, of_foreign, of_missing in (
            ("postfix", "certificate", BY_REPLY, BY_REPLY, BY_REPLY),
            ("postfix", "certificate_to_relay", NO_RELAY, NO_RELAY, NO_RELAY),
            # GnuTLS has one alert for both.
            ("exim", "certificate", BY_ALERT.format("BadCertificate"), BY_ALERT.format("BadCertificate"),
             BY_ALERT.format("CertificateRequired")),
        )),
    ]
