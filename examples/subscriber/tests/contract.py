"""Holds records to docs/asyncapi.json and the schemas it refers to."""

import json
from pathlib import Path

from confluent_kafka import Message
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCS = Path(__file__).parents[3] / "docs"


class Contract:
    def __init__(self):
        self._document = json.loads((DOCS / "asyncapi.json").read_text())
        files = {f"schemas/{file.name}": json.loads(file.read_text()) for file in (DOCS / "schemas").glob("*.json")}
        for schema in files.values():
            Draft202012Validator.check_schema(schema)
        resources = [(name, Resource(contents, DRAFT202012)) for name, contents in files.items()]
        self._files, self._registry = files, Registry().with_resources(resources)
        self._kinds = self._document["components"]["messages"]
        self._unseen = set(self._kinds)
        for kind in self._kinds.values():
            self._unseen |= self._headers_of(kind)

    def topics(self) -> list[str]:
        return list(self._document["channels"])

    def never_seen(self) -> set[str]:
        """Kinds of records and names of headers that are described, and were not among the records."""
        return self._unseen

    def hold(self, topic: str, record: Message):
        headers = {name: value.decode() for name, value in record.headers() or []}
        value = None if record.value() is None else json.loads(record.value())
        kind = _kind(topic, headers, value)
        assert kind in self._document["channels"][topic]["messages"], f"{kind} in {topic}"
        described = self._kinds[kind]
        self._validate(described["bindings"]["kafka"]["key"], record.key().decode())
        self._validate(described["payload"], value)
        self._validate(described.get("headers", {"maxProperties": 0}), headers)
        known = self._headers_of(described)
        if kind in ("mail_retry", "dead_letter"):  # an event's own value and headers, and more
            event = self._kinds[headers["ce_type"]]
            self._validate(event["payload"], value)
            self._validate(event["headers"], headers)
            known |= self._headers_of(event)
        assert set(headers) <= known, f"not described: {set(headers) - known}"
        self._unseen -= {kind} | set(headers)

    def _validate(self, schema: dict, value):
        Draft202012Validator(schema, registry=self._registry, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)

    def _headers_of(self, kind: dict) -> set[str]:
        return set(self._files[kind["headers"]["$ref"]]["properties"]) if "headers" in kind else set()


def _kind(topic: str, headers: dict[str, str], value) -> str:
    if topic == "user_account_mail_retry":
        return "mail_retry"
    if topic == "user_account_dead_letter":
        return "dead_letter_resolved" if "dead_letter_resolved" in headers else "dead_letter"
    return headers["ce_type"] if value is not None else "user_account_forgotten"
