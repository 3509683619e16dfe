"""Real Kafka, both services as processes, a mail server for them and one for the subscriber."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from tests.smtp_server import SmtpServer

EXAMPLE = Path(__file__).parents[1]
ROOT = EXAMPLE.parents[1]
DEADLINE = 30
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
# Each request is part of one trace, as if a page of ours traced.
HEADERS = {
    "content-type": "application/json",
    "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
    "tracestate": "page=1",
}
# In seconds. Short, so that a test can wait for the next window, and as the user service asks for it: CODE_TTL + 3 * MAX_CLOCK_SKEW <=
# WINDOW, WINDOW + CODE_TTL <= LINK_TTL. A code with less than a minute left is not mailed.
COOLDOWN, SKEW, CODE_TTL, WINDOW, LINK_TTL = 1, 1, 65, 70, 140


def wait_for(what: str, condition, deadline: float = DEADLINE):
    """The condition's first result that is true."""
    end = time.monotonic() + deadline
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(0.02)
    return result


def free_port(below: int = 0) -> int:
    """A free port; with `below`, one below that, and port + 10000 (Kafka's controller) is free, too."""
    for port in range(below - 1, 1024, -1) if below else (0,):
        try:
            with (
                socket.create_server(("127.0.0.1", port)) as taken,
                socket.create_server(("127.0.0.1", port + 10_000 if port else 0)),
            ):
                return taken.getsockname()[1]
        except OSError:
            continue
    raise AssertionError("no free port")


class Process:
    """A program with its log; killed at the end when it still runs."""

    def __init__(self, log: Path, command: list[str], env: dict[str, str], folder: Path):
        self.log = log
        with log.open("a") as out:
            self._process = subprocess.Popen(command, env=env, cwd=folder, stdout=out, stderr=subprocess.STDOUT)

    def logged(self, text: str) -> int:
        return self.log.read_text().count(text)

    def end(self, number: int = signal.SIGTERM) -> int:
        self._process.send_signal(number)
        return self._process.wait(DEADLINE)

    def kill_if_running(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class World:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="subscriber-"))
        self._kafka = ["--port", str(free_port(below=20_000)), "--dir", str(self.folder / "kafka")]
        self.broker = self._script("kafka.sh", "start")
        self._processes: list[Process] = []
        self.mails, self.welcomes = SmtpServer(), SmtpServer()
        self.verified: dict[str, str] = {}  # account id by address
        self._producer = Producer({"bootstrap.servers": self.broker, "partitioner": "murmur2_random"})
        code_secret, id_secret = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
        self._env = {
            "KAFKA_BROKERS": self.broker,
            "CODE_SECRETS": f"k1:{code_secret}",
            "ID_SECRET": id_secret,
            "RATE_LIMIT": "off",
            "RESEND_COOLDOWN": f"{COOLDOWN}s",
            "MAX_CLOCK_SKEW": f"{SKEW}s",
            "CODE_TTL": f"{CODE_TTL}s",
            "WINDOW": f"{WINDOW}s",
            "LINK_TTL": f"{LINK_TTL}s",
            "USER_SERVICE_ADDR": f"127.0.0.1:{free_port()}",
            "USER_SERVICE_ADMIN_ADDR": "127.0.0.1:0",
            "NOTIFICATION_SERVICE_ADDR": f"127.0.0.1:{free_port()}",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mails.port),
        }
        for name in ("user-service", "notification-service"):
            address = self._env[f"{name.replace('-', '_').upper()}_ADDR"]
            self._start(name, [self._binary(name)], self._env, self.folder)
            wait_for(f"{name} is ready", lambda address=address: self._is_ready(address))

    def close(self, passed: bool):
        for process in self._processes:
            process.kill_if_running()
        self._script("kafka.sh", "kill")
        if passed:
            shutil.rmtree(self.folder)
        else:
            print(f"logs are in {self.folder}", file=sys.stderr)

    # --- the services -----------------------------------------------------------------------------------------

    def command(self, name: str, *arguments: str) -> str:
        command = [self._binary(name), *arguments]
        return subprocess.run(
            command, env=self._env, cwd=self.folder, check=True, capture_output=True, text=True, timeout=DEADLINE
        ).stdout

    def register(self, address: str) -> str:
        """The registration's id."""
        body = {"first_name": "Ada", "last_name": "Lovelace", "email": address}
        status, answer = self.post("register", body)
        assert status == 202, answer
        return answer["data"]["id"]

    def verify(self, address: str) -> str:
        """Registers, reads the newest code from the mail, verifies. The account's id, which only the last answer tells."""
        earlier = len(self.mails.to(address))
        registration = self.register(address)
        mail = wait_for(f"a code for {address}", lambda: self.mails.to(address)[earlier:])[-1]
        [code] = re.findall(r"^\s*(\d{6})\s*$", mail.get_body(("plain",)).get_content(), re.MULTILINE)
        status, answer = self.post("verify", {"id": registration, "code": code})
        assert status == 200, answer
        self.verified[address] = answer["data"]["id"]
        return self.verified[address]

    def verify_many(self, prefix: str, count: int) -> list[str]:
        addresses = [f"{prefix}-{number}@example.com" for number in range(count)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.verify, addresses))
        return addresses

    def wait_for_the_next_window(self):
        """Until its first mail may go out, which is not within the cool-down after one of the window before."""
        begin = (time.time() // WINDOW + 1) * WINDOW + COOLDOWN
        wait_for("the next window", lambda: time.time() > begin, WINDOW + DEADLINE)

    def post(self, path: str, body: dict) -> tuple[int, dict]:
        url = f"http://{self._env['USER_SERVICE_ADDR']}/api/{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), HEADERS)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    # --- the subscriber ---------------------------------------------------------------------------------------

    def subscriber(self, group: str, retry_seconds: int) -> Process:
        env = {name: self._env[name] for name in ("KAFKA_BROKERS", "SMTP_HOST")}
        env |= {"SMTP_PORT": str(self.welcomes.port), "WELCOME_GROUP": group, "WELCOME_RETRY_SECONDS": str(retry_seconds)}
        return self._start(group, [sys.executable, "-m", "welcome"], env, EXAMPLE)

    # --- Kafka ------------------------------------------------------------------------------------------------

    def produce(self, topic: str, value: bytes | None, **options):
        self._producer.produce(topic, value, **options)
        assert self._producer.flush(DEADLINE) == 0

    def records(self, topic: str) -> list[Message]:
        """All that is in the topic now."""
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "reader", "auto.offset.reset": "earliest"})
        try:
            partitions = consumer.list_topics(topic, DEADLINE).topics[topic].partitions
            # A topic that was made a moment ago has no leader yet.
            ends = {number: wait_for("a leader", lambda: self._offsets(consumer, topic, number))[1] for number in partitions}
            consumer.assign([TopicPartition(topic, number, 0) for number, end in ends.items() if end])
            records = []
            while len(records) < sum(ends.values()):  # nothing is compacted in so short a time
                record = consumer.poll(DEADLINE)
                assert record is not None and not record.error(), f"{topic} can't be read"
                records.append(record)
            return records
        finally:
            consumer.close()

    @staticmethod
    def _offsets(consumer: Consumer, topic: str, partition: int) -> tuple[int, int] | None:
        """The first offset and the one after the last; `None` while the partition has no leader."""
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, partition), DEADLINE)
        except KafkaException as error:
            if error.args[0].code() not in (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE):
                raise
            return None

    def _start(self, name: str, command: list[str], env: dict[str, str], folder: Path) -> Process:
        process = Process(self.folder / f"{name}-{len(self._processes)}.log", command, env, folder)
        self._processes.append(process)
        return process

    def _script(self, name: str, *arguments: str) -> str:
        command = [ROOT / "scripts" / name, *arguments, *self._kafka]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    @staticmethod
    def _binary(name: str) -> str:
        return str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / name)

    @staticmethod
    def _is_ready(address: str) -> bool:
        try:
            return urllib.request.urlopen(f"http://{address}/health/ready", timeout=1).status == 200
        except OSError:
            return False
