"""The mail, and what each reply of a mail server means."""

import unittest

from tests.smtp_server import SmtpServer
from welcome.config import Config
from welcome.event import Verified
from welcome.mail import RefusedForGood, RefusedForNow, ServerAway, render, welcome

ADDRESS = "ada@example.com"


def verified(name: str = "Ada", email: str = ADDRESS) -> Verified:
    return Verified("af5a43c7-0a52-8f3e-9d7c-2a1b3c4d5e6f", "11111111", name, "Lovelace", email)


class WelcomeMail(unittest.TestCase):
    def setUp(self):
        self.server = SmtpServer()
        self.addCleanup(self.server.go_away)
        self.config = Config.from_env({"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(self.server.port)})

    def test_the_same_event_becomes_the_same_mail(self):
        first, second = (render(verified(), "Shop <shop@example.org>") for _ in range(2))
        self.assertEqual(first["Message-ID"], "<welcome-af5a43c7-0a52-8f3e-9d7c-2a1b3c4d5e6f@example.org>")
        self.assertEqual(first["Message-ID"], second["Message-ID"])
        self.assertEqual(first.get_content(), second.get_content())

    def test_a_name_is_delivered_as_it_was_given(self):
        welcome(verified("José"), self.config)
        [mail] = self.server.to(ADDRESS)
        self.assertEqual(mail["To"].addresses[0].display_name, "José Lovelace")
        self.assertIn("Hello José,", mail.get_content())

    def test_a_name_or_address_can_not_add_a_header(self):
        for event in (verified("Ada\r\nBcc: eve@example.com"), verified(email="a@example.com\r\nBcc: eve@example.com")):
            with self.assertRaisesRegex(RefusedForGood, "^unwritable$"):
                welcome(event, self.config)
        self.assertEqual(self.server.mails, [])

    def test_a_refusal_is_for_now_or_for_good(self):
        for phase, reason in (("rcpt", "recipient_refused"), ("data", "content_refused")):
            self.server.script(ADDRESS, "450 later", "550 never", phase=phase)
            with self.assertRaisesRegex(RefusedForNow, reason):
                welcome(verified(), self.config)
            with self.assertRaisesRegex(RefusedForGood, reason):
                welcome(verified(), self.config)

    def test_an_address_that_is_not_ascii_needs_a_server_that_takes_it(self):
        with self.assertRaisesRegex(RefusedForGood, "smtputf8_missing"):
            welcome(verified(email="jürgen@example.com"), self.config)
        self.server.extension = "SMTPUTF8"
        welcome(verified(email="jürgen@example.com"), self.config)
        self.assertEqual(self.server.recipients(), ["jürgen@example.com"])

    def test_a_server_that_is_closing_or_busy_or_gone_is_away(self):
        self.server.script(ADDRESS, "421 closing")
        with self.assertRaises(ServerAway):
            welcome(verified(), self.config)
        self.server.greeting = "421 busy"
        with self.assertRaises(ServerAway):
            welcome(verified(), self.config)
        self.server.go_away()
        with self.assertRaises(ServerAway):
            welcome(verified(), self.config)
        self.server.come_back()

    def test_a_server_that_refuses_the_login_is_away(self):
        config = Config.from_env({"SMTP_PORT": str(self.server.port), "SMTP_USERNAME": "u", "SMTP_PASSWORD": "p"})
        with self.assertRaises(ServerAway):
            welcome(verified(), config)


class Configuration(unittest.TestCase):
    def test_it_has_defaults_and_refuses_what_it_does_not_know(self):
        config = Config.from_env({})
        self.assertEqual(config.kafka, {"bootstrap.servers": "localhost:9092"})
        self.assertEqual((config.group, config.smtp), ("welcome", ("localhost", 1025)))
        for name, value in (("SMTP_ENCRYPTION", "maybe"), ("SMTP_PORT", "x"), ("MAIL_FROM", "nobody")):
            with self.assertRaises((ValueError, KeyError), msg=name):
                Config.from_env({name: value})
