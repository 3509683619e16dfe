"""The loop: one record after the other, its offset stored when its work is done.

A record is welcomed, passed over, handed on to the retry topic, or made a dead letter; or it is held, and with it its partition,
while the mail server or Kafka is away. So nothing is lost, and one bad record holds up no other.
"""

import logging
import time
from datetime import timedelta
from threading import Event

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from .config import Config
from .event import NotUnderstood, Verified, read
from .mail import RefusedForGood, RefusedForNow, ServerAway, welcome

# Its own topics are named after its group: nobody but the services writes to those of the contract. Addresses are in them, so
# their records are deleted after these times.
RETRY_DAYS, DEAD_LETTER_DAYS = 2, 14
MAX_ATTEMPTS = 5
# The bound on duplicates after a crash: what was welcomed and not committed is welcomed again, with the same Message-ID.
COMMIT_RECORDS, COMMIT_SECONDS = 50, 1.0
REMEMBERED_ACCOUNTS = 50_000
MAX_BYTES = 2_000_000
THERE_OR_OTHERS_TO_CREATE = (
    KafkaError.TOPIC_ALREADY_EXISTS,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)

CONSUMER = {
    # A new group begins at the first verified account.
    "auto.offset.reset": "earliest",
    # An offset is stored when its record's work is done, and only stored ones are committed.
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "cooperative-sticky",
    # A killed member's partitions are taken over after this time, not after 45 s.
    "session.timeout.ms": 10_000,
    # The topic may be created, by the user service, after this subscriber has started.
    "topic.metadata.refresh.interval.ms": 5000,
}
PRODUCER = {
    "enable.idempotence": True,
    "linger.ms": 0,
    "message.timeout.ms": 10_000,
    # Keys are placed as Java clients and the services do it.
    "partitioner": "murmur2_random",
    # A copy has more headers than the largest record that a broker takes by default (1 MiB).
    "message.max.bytes": MAX_BYTES,
}


class Subscriber:
    def __init__(self, config: Config):
        self._config = config
        self._retry, self._dead_letter = f"{config.group}_retry", f"{config.group}_dead_letter"
        self._producer = Producer(PRODUCER | config.kafka)
        self._consumer = Consumer(CONSUMER | config.kafka | {"group.id": config.group})
        self._held: dict[tuple[str, int], tuple[float, Message]] = {}  # partition: until when, what
        self._away_until, self._failures = 0.0, 0
        self._uncommitted, self._last_commit = 0, 0.0
        # With a database these live there, in the transaction of the work, and there are no duplicates.
        self._welcomed: dict[str, None] = {}  # accounts
        self._forgotten: dict[str, int] = {}  # by account the offset of its tombstone

    def run(self, stop: Event) -> None:
        while not self._own_topics_exist() and not stop.wait(2):
            pass
        self._consumer.subscribe([self._config.verified_topic, self._retry], on_revoke=self._revoked, on_lost=self._revoked)
        while not stop.is_set():
            next_due = min((until for until, _ in self._held.values()), default=float("inf"))
            record = self._consumer.poll(max(0.0, min(next_due - time.time(), COMMIT_SECONDS)))
            if record is not None and record.error():
                if record.error().fatal():
                    raise KafkaException(record.error())
                logging.warning("kafka: %s", record.error())
            elif record is not None:
                self._take(record)
            self._take_held()
            waited = time.monotonic() - self._last_commit
            if self._uncommitted >= COMMIT_RECORDS or (self._uncommitted and waited >= COMMIT_SECONDS):
                self._commit()
        self._consumer.close()  # calls _revoked, which commits

    def _take(self, record: Message) -> None:
        headers = dict(record.headers() or [])
        until = max(self._away_until, float(headers.get("retry_not_before", 0)))
        if until <= time.time():
            try:
                self._process(record, headers)
                self._failures = 0
                self._consumer.store_offsets(record)
                self._uncommitted += 1
                return
            except (ServerAway, KafkaException) as error:
                until = self._away_until = time.time() + min(2**self._failures, 30)
                self._failures += 1
                logging.warning("waiting: %s", error)
        # No further record of this partition, but all others; poll has to be called in any case.
        self._consumer.pause([TopicPartition(record.topic(), record.partition())])
        self._held[record.topic(), record.partition()] = (until, record)

    def _take_held(self) -> None:
        for partition, (until, record) in list(self._held.items()):
            if until <= time.time():
                del self._held[partition]
                self._consumer.resume([TopicPartition(*partition)])
                self._take(record)

    def _process(self, record: Message, headers: dict[str, bytes]) -> None:
        if record.value() is None:
            return self._forget(record)
        try:
            event = read(record.value(), headers)
            if event is None:
                return None
            if self._is_done(event, record, headers):
                return logging.info("passed over account %s (event %s)", event.account_id, event.event_id)
            welcome(event, self._config)
            logging.info("welcomed account %s (event %s)", event.account_id, event.event_id)
            _remember(self._welcomed, event.account_id, None)
        except (ServerAway, KafkaException):
            raise
        except RefusedForNow as failure:
            attempts = int(headers.get("retry_attempt", 0)) + 1
            if attempts == MAX_ATTEMPTS:
                return self._write(self._dead_letter, record, headers, dead_letter_reason=str(failure))
            due = time.time() + self._config.retry_seconds
            self._write(self._retry, record, headers, retry_attempt=str(attempts), retry_not_before=f"{due:.3f}")
        except (NotUnderstood, RefusedForGood) as failure:
            self._write(self._dead_letter, record, headers, dead_letter_reason=str(failure))
        except Exception as bug:  # in this program: must not hold up the others
            self._write(self._dead_letter, record, headers, dead_letter_reason=f"bug_{type(bug).__name__}")

    def _is_done(self, event: Verified, record: Message, headers: dict[str, bytes]) -> bool:
        """Welcomed before, or forgotten since (a retry may be read long after the record it copies).

        A second record of an account that was not forgotten is a further registration that was proved: a subscriber that keeps
        names takes them from it, since the one with the highest offset holds. The offset says which is older: an account's
        records are in one partition, and clocks differ.
        """
        offset = int(headers.get("welcome_source", b"%d" % record.offset()).rpartition(b"/")[2])
        return event.account_id in self._welcomed or offset < self._forgotten.get(event.account_id, 0)

    def _forget(self, record: Message) -> None:
        """A tombstone: erase what is held of the account. A subscriber with a database deletes its row here."""
        account_id = (record.key() or b"").decode(errors="replace")
        self._welcomed.pop(account_id, None)
        _remember(self._forgotten, account_id, record.offset())
        logging.info("forgot account %s", account_id)

    def _write(self, topic: str, record: Message, headers: dict[str, bytes], **notes: str) -> None:
        """Copies the record, its value untouched, and waits for the ack. On KafkaException it may be written or not."""
        source = f"{record.topic()}/{record.partition()}/{record.offset()}".encode()
        headers = {"welcome_source": source} | headers | {name: text.encode() for name, text in notes.items()}
        outcome = [KafkaError(KafkaError._TIMED_OUT)]
        self._producer.produce(
            topic, record.value(), record.key(), headers=headers, on_delivery=lambda error, _: outcome.__setitem__(0, error)
        )
        self._producer.flush(15)
        if outcome[0]:
            raise KafkaException(outcome[0])
        logging.warning("to %s: %s %s", topic, headers["welcome_source"].decode(errors="replace"), notes)

    def _commit(self) -> None:
        self._last_commit = time.monotonic()
        try:
            self._consumer.commit(asynchronous=False)
            self._uncommitted = 0
        except KafkaException as error:  # the next one commits more; a crash before it means more duplicates
            logging.warning("not committed: %s", error)

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """What was held was not stored: whoever gets the partition reads it again."""
        if self._uncommitted:
            self._commit()
        for partition in partitions:
            if self._held.pop((partition.topic, partition.partition), None):
                self._consumer.resume([partition])  # or it stays paused when it comes back

    def _own_topics_exist(self) -> bool:
        kept = {self._retry: timedelta(days=RETRY_DAYS), self._dead_letter: timedelta(days=DEAD_LETTER_DAYS)}
        topics = [
            NewTopic(
                name,
                num_partitions=6,
                config={"retention.ms": str(time // timedelta(milliseconds=1)), "max.message.bytes": str(MAX_BYTES)},
            )
            for name, time in kept.items()
        ]
        admin = AdminClient(self._config.kafka)  # has to live until the results are there
        results = admin.create_topics(topics, request_timeout=5)
        failures = [error for future in results.values() if (error := future.exception())]
        for error in failures:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                logging.warning("own topics not created: %s", error)
        return all(error.args[0].code() in THERE_OR_OTHERS_TO_CREATE for error in failures)


def _remember(memory: dict, key: str, value) -> None:
    memory[key] = value
    if len(memory) > REMEMBERED_ACCOUNTS:
        del memory[next(iter(memory))]
