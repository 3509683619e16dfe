"""What a record of `user_account_verified` says; docs/events.md is the contract."""

import json
from dataclasses import dataclass

TYPE, VERSION = b"user_account_verified", 2


@dataclass(frozen=True)
class Verified:
    event_id: str
    account_id: str
    first_name: str
    last_name: str
    email: str


class NotUnderstood(Exception):
    """This release can't process the record. The text is the dead letter's reason, and repeats nothing of the record."""


def read(value: bytes, headers: dict[str, bytes]) -> Verified | None:
    """`None` for another type, or none: new ones may come at any time, and are passed over. Unknown fields are ignored."""
    # First of all, before the value is looked at: the type says what the record is.
    if headers.get("ce_type") != TYPE:
        return None
    try:
        fields = json.loads(value)
        # Then the version, before any other field: what another one means is never guessed.
        if fields["version"] != VERSION:
            raise NotUnderstood("unknown_version")
        texts = [fields[name] for name in ("event_id", "id", "first_name", "last_name", "email")]
        if not all(isinstance(text, str) and text for text in texts):
            raise NotUnderstood("undecodable")
        return Verified(*texts)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NotUnderstood("undecodable") from None
