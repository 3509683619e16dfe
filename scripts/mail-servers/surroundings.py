"""What both runs have around a mail server: Kafka, the services, and the sink at the end of the way."""
import asyncio, collections, email, json, os, pathlib, signal, socket, subprocess, time
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Sink:
    """The end of the way: accepts all mail. It knows each by the service that sent it (X-Case), its recipient and Message-ID."""

    def __init__(self):
        self.port, self.mails = free_port(), collections.Counter()

    async def start(self):
        self.server = await asyncio.start_server(self.session, "127.0.0.1", self.port)

    def arrived(self, recipient, content):
        """Called with each mail."""

    async def session(self, reader, writer):
        def say(line):
            writer.write(line.encode() + b"\r\n")

        say("220 sink")
        try:
            while command := (await reader.readline()).decode("latin-1").strip():
                match command.split(":")[0].split(" ")[0].upper():
                    case "EHLO":
                        say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")
                    case "RCPT":
                        recipient = command.split("<")[1].split(">")[0].lower()
                        say("250 2.1.5 ok")
                    case "DATA":
                        say("354 go on")
                        content = await reader.readuntil(b"\r\n.\r\n")
                        mail = email.message_from_bytes(content)
                        self.mails[mail["X-Case"], recipient, mail["Message-ID"]] += 1
                        self.arrived(recipient, content.decode("latin-1"))
                        say("250 2.0.0 ok")
                    case "QUIT":
                        say("221 bye")
                        break
                    case _:
                        say("250 2.0.0 ok")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the server went away, or the run ends; a mail without its end does not count
        finally:
            writer.close()


class Run:
    """Kafka and the services, in a folder of their own."""

    def __init__(self, folder, binaries, environment):
        self.folder, self.binaries, self.processes = folder, binaries, {}
        self.kafka_port, self.admin, self.api = free_port(), free_port(), free_port()
        self.environment = os.environ | {
            "KAFKA_BROKERS": f"127.0.0.1:{self.kafka_port}",
            "CODE_SECRETS": "test:bWFpbCBzZXJ2ZXJzOiB0aGUgY29kZXMnIHNlY3JldCE=",
            "ID_SECRET": "bWFpbCBzZXJ2ZXJzOiB0aGUgaWRzJyBvd24gc2VjcmU=",
            "USER_SERVICE_ADDR": f"127.0.0.1:{self.api}",
            "USER_SERVICE_ADMIN_ADDR": f"127.0.0.1:{self.admin}",
            "RATE_LIMIT": "off",
            "MAIL_FROM": "Signup <no-reply@example.com>",
        } | environment

    def kafka(self, verb, *arguments):
        command = [REPOSITORY / "scripts/kafka.sh", verb, "--port", str(self.kafka_port), "--dir", self.folder / "kafka", *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def user_service(self):
        self.start("user-service", "user-service", {}, self.admin)

    def notification_service(self, name, changes):
        """Starts one and waits until it is ready. Its log is NAME.log; it goes on where an earlier one of this name ended."""
        health = free_port()
        self.start("notification-service", name, {"NOTIFICATION_SERVICE_ADDR": f"127.0.0.1:{health}"} | changes, health)
        return health

    def start(self, binary, name, changes, health):
        with open(self.folder / f"{name}.log", "a") as log:
            process = self.processes[name] = subprocess.Popen(
                [self.binaries / binary], env=self.environment | changes, cwd=self.folder, stdout=log, stderr=log)
        ended = lambda: process.poll() is not None
        wait_until(lambda: ended() or answers(f"http://127.0.0.1:{health}/health/ready"), 60, f"{name} is not ready")
        if ended():
            raise SystemExit(f"{name} ended: {self.log(name)[-500:]}")

    def stop(self, names=None):
        """Stops these, or all and Kafka. What went wrong."""
        names = names or list(self.processes)
        for name in names:
            self.processes[name].send_signal(signal.SIGTERM)
        codes = {name: self.processes.pop(name).wait(timeout=60) for name in names}
        if not self.processes:
            self.kafka("stop")
        return [f"{name} ended with {code}" for name, code in codes.items() if code != 0]

    def end(self):
        """Ends what still runs, after a failure."""
        for process in self.processes.values():
            process.kill()
        subprocess.run([REPOSITORY / "scripts/kafka.sh", "kill", "--port", str(self.kafka_port), "--dir", self.folder / "kafka"],
                       stderr=subprocess.DEVNULL)

    async def register(self, people):
        """Registers each of these local parts, over one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.api)
        for person in people:
            body = json.dumps({"first_name": "Ada", "last_name": "Lovelace", "email": f"{person}@example.org"}).encode()
            writer.write(b"POST /api/register HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
                         b"content-length: %d\r\n\r\n%s" % (len(body), body))
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 202"):
                raise SystemExit(f"register: {head.splitlines()[0].decode()}")
            length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
        writer.close()

    def dead_letters(self):
        command = [self.binaries / "notification-service", "dead-letters", "list", "--json"]
        output = subprocess.run(command, env=self.environment, cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True).stdout
        return output.strip().splitlines()

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()


def answers(address):
    try:
        return urllib.request.urlopen(address, timeout=2).status == 200
    except OSError:
        return False


def wait_until(condition, seconds, complaint):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(complaint)
        time.sleep(0.05)


def greets(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False

def replace(file, text):
    """Readers see the old text or the new one."""
    next_one = file.with_name(f"{file.name}.next")
    next_one.write_text(text)
    next_one.chmod(0o644)
    next_one.rename(file)
