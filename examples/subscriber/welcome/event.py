"""What a record of `user_account_verified` says; docs/events.md is the contract."""

import json
from dataclasses import dataclass
from datetime import datetime

TYPE, VERSION = b"user_account_verified", 1


@dataclass(frozen=True)
class Verified:
    event_id: str
    account_id: str
    occurred_at: datetime
    first_name: str
    last_name: str
    email: str


class NotUnderstood(Exception):
    """This release can't process the record. The text is the dead letter's reason, and repeats nothing of the record."""


def read(value: bytes, headers: dict[str, bytes]) -> Verified | None:
    """`None` for another type: new ones may come at any time, and are passed over. Unknown fields are ignored."""
    if headers.get("ce_type", TYPE) != TYPE:
        return None
    try:
        fields = json.loads(value)
        # Before anything else: what another version means is never guessed.
        if fields["version"] != VERSION:
            raise NotUnderstood("unknown_version")
        texts = [fields[name] for name in ("event_id", "id", "occurred_at", "first_name", "last_name", "email")]
        if not all(isinstance(text, str) and text for text in texts):
            raise NotUnderstood("undecodable")
        event_id, account_id, occurred_at, *person = texts
        return Verified(event_id, account_id, datetime.fromisoformat(occurred_at).astimezone(), *person)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NotUnderstood("undecodable") from None
