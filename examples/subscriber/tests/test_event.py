"""Reading records: what is understood, what is passed over, what is a dead letter."""

import json
import unittest
from pathlib import Path

from welcome.event import NotUnderstood, read

GOLDEN = Path(__file__).parents[3] / "shared/tests/contract/golden"
HEADERS = {"ce_type": b"user_account_verified"}
FIELDS = {
    "event_id": "af5a43c7-0a52-8f3e-9d7c-2a1b3c4d5e6f",
    "occurred_at": "2026-11-21T10:03:00.000Z",
    "version": 1,
    "id": "11111111-1111-8111-9111-111111111111",
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
    def test_every_version_that_was_ever_written_is_read(self):
        files = sorted(GOLDEN.glob("*/user_account_verified.json"))
        self.assertTrue(files, f"no events below {GOLDEN}")
        for file in files:
            event = read(file.read_bytes(), HEADERS)
            self.assertEqual(event.account_id, "11111111-1111-8111-9111-111111111111", file)
            self.assertEqual((event.first_name, event.last_name), ("José", "O’Neil"), file)

    def test_unknown_fields_are_ignored(self):
        added = FIELDS | {"added_later": {"deep": [1, 2]}}
        self.assertEqual(read(json.dumps(added).encode(), HEADERS), read(json.dumps(FIELDS).encode(), HEADERS))

    def test_other_types_are_passed_over(self):
        self.assertIsNone(read(b"\xff not even JSON", {"ce_type": b"account_renamed"}))

    def test_an_unknown_version_is_not_guessed_at(self):
        for version in (2, "1", None):
            self.assertEqual(reason_for(json.dumps(FIELDS | {"version": version}).encode()), "unknown_version")
        self.assertEqual(reason_for(b'{"version": 3, "who": "ada"}'), "unknown_version")

    def test_what_is_broken_says_so_and_repeats_nothing(self):
        broken = [b"", b"null", b"[]", b"7", b"{", b"\xff\xfe", b"[" * 100_000]
        for name in ("event_id", "id", "occurred_at", "first_name", "last_name", "email"):
            without = {key: value for key, value in FIELDS.items() if key != name}
            broken += [json.dumps(fields).encode() for fields in (without, without | {name: 7}, without | {name: ""})]
        for value in broken:
            self.assertEqual(reason_for(value), "undecodable", value[:80])
