"""Reading records: what is understood, what is passed over, what is a dead letter."""

import json
import unittest
from pathlib import Path

from welcome.event import NotUnderstood, read

GOLDEN = Path(__file__).parents[3] / "shared/contract/tests/wire/golden"
HEADERS = {"ce_type": b"user_account_verified"}
FIELDS = {
    "event_id": "af5a43c7-0a52-8f3e-9d7c-2a1b3c4d5e6f",
    "occurred_at": "2026-11-21T10:03:00.000Z",
    "version": 2,
    "id": "11111111-1111-8111-9111-111111111111",
    "registration": "11111111-1111-4111-9111-111111111111",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
    "locale": "en",
    "request_id": "req-6",
}


def reason_for(value: bytes) -> str | None:
    try:
        read(value, HEADERS)
    except NotUnderstood as failure:
        return str(failure)
    return None


class ReadingEvents(unittest.TestCase):
    def test_what_the_user_service_writes_is_read(self):
        event = read((GOLDEN / "v2/user_account_verified.json").read_bytes(), HEADERS)
        self.assertEqual(event.account_id, "11111111-1111-8111-9111-111111111111")
        self.assertEqual((event.first_name, event.last_name), ("José", "O’Neil"))

    def test_version_1_is_not_half_understood(self):
        self.assertEqual(reason_for((GOLDEN / "v1/user_account_verified.json").read_bytes()), "unknown_version")

    def test_unknown_fields_are_ignored(self):
        added = FIELDS | {"added_later": {"deep": [1, 2]}}
        self.assertEqual(read(json.dumps(added).encode(), HEADERS), read(json.dumps(FIELDS).encode(), HEADERS))

    def test_the_type_is_looked_at_before_the_value(self):
        verified = json.dumps(FIELDS).encode()
        others = [{}] + [{"ce_type": name} for name in (b"account_renamed", b"user_account_created", b"attempt", b"")]
        for headers in others:
            for value in (b"\xff not even JSON", b'{"version": 3}', verified):
                self.assertIsNone(read(value, headers), headers)

    def test_an_unknown_version_is_not_guessed_at(self):
        for version in (1, 3, "2", None):
            self.assertEqual(reason_for(json.dumps(FIELDS | {"version": version}).encode()), "unknown_version")
        self.assertEqual(reason_for(b'{"version": 4, "who": "ada"}'), "unknown_version")

    def test_what_is_broken_says_so_and_repeats_nothing(self):
        broken = [b"", b"null", b"[]", b"7", b"{", b"\xff\xfe", b"[" * 100_000]
        for name in ("event_id", "id", "first_name", "last_name", "email"):
            without = {key: value for key, value in FIELDS.items() if key != name}
            broken += [json.dumps(fields).encode() for fields in (without, without | {name: 7}, without | {name: ""})]
        for value in broken:
            self.assertEqual(reason_for(value), "undecodable", value[:80])
