"""Signups through real mail servers: each relays to a sink, which counts. Started by ../mail-servers.sh.

The user service accepts SIGNUPS registrations as fast as it answers. The notification service mails them with more sessions
than the server allows, so that the server's limits are met all the time. Ends with 1 if a mail is missing, came twice, or became a dead letter.
"""
import argparse, asyncio, collections, email, json, os, pathlib, shutil, signal, socket, subprocess, sys, tempfile, time
import urllib.request

import servers

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SESSIONS = 16  # SMTP_CONNECTIONS; each server allows three
PATIENCE = 120  # seconds, for all mails of one server


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Sink:
    """The end of the way: accepts all mail, and knows each by its recipient and Message-ID."""

    def __init__(self):
        self.port, self.mails = free_port(), collections.Counter()

    async def start(self):
        self.server = await asyncio.start_server(self.session, "127.0.0.1", self.port)

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
                        self.mails[recipient, email.message_from_bytes(content)["Message-ID"]] += 1
                        say("250 2.0.0 ok")
                    case "QUIT":
                        say("221 bye")
                        break
                    case _:
                        say("250 2.0.0 ok")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the server went away; a mail without its end does not count
        finally:
            writer.close()


class Run:
    """Kafka and both services, in a folder of their own."""

    def __init__(self, folder, binaries, smtp_port, signups):
        self.folder, self.binaries, self.signups, self.processes = folder, binaries, signups, {}
        self.kafka_port, self.admin, self.health = free_port(), free_port(), free_port()
        self.api = free_port()
        self.environment = os.environ | {
            "KAFKA_BROKERS": f"127.0.0.1:{self.kafka_port}",
            "CODE_SECRETS": "test:bWFpbCBzZXJ2ZXJzOiB0aGUgY29kZXMnIHNlY3JldCE=",
            "ID_SECRET": "bWFpbCBzZXJ2ZXJzOiB0aGUgaWRzJyBvd24gc2VjcmU=",
            "USER_SERVICE_ADDR": f"127.0.0.1:{self.api}",
            "USER_SERVICE_ADMIN_ADDR": f"127.0.0.1:{self.admin}",
            "NOTIFICATION_SERVICE_ADDR": f"127.0.0.1:{self.health}",
            "RATE_LIMIT": "off",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(smtp_port),
            "SMTP_CONNECTIONS": str(SESSIONS),
            "MAIL_FROM": "Signup <no-reply@example.com>",
        }

    def kafka(self, verb, *arguments):
        command = [REPOSITORY / "scripts/kafka.sh", verb, "--port", str(self.kafka_port), "--dir", self.folder / "kafka", *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def start(self):
        self.kafka("start")
        for name in ("user-service", "notification-service"):
            with open(self.folder / f"{name}.log", "w") as log:
                self.processes[name] = subprocess.Popen(
                    [self.binaries / name], env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        for port in (self.admin, self.health):
            wait_until(lambda port=port: answers(f"http://127.0.0.1:{port}/health/ready"), 60, "the services are not ready")

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        codes = {name: process.wait(timeout=60) for name, process in self.processes.items()}
        self.kafka("stop")
        return [f"{name} ended with {code}" for name, code in codes.items() if code != 0]

    async def register_all(self):
        numbers = iter(range(self.signups))
        await asyncio.gather(*(self.register(numbers) for _ in range(8)))

    async def register(self, numbers):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.api)
        for number in numbers:
            body = json.dumps({"first_name": "Ada", "last_name": "Lovelace", "email": f"person-{number}@example.org"}).encode()
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

    def log_lines(self, *words):
        lines = (self.folder / "notification-service.log").read_text().splitlines()
        return sum(all(word in line for word in words) for line in lines)


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


async def relay(server, arguments):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"mail-servers-{server.name}-"))
    folder.chmod(0o755)  # the servers' own users look into it
    sink, port = Sink(), free_port()
    await sink.start()
    run = Run(folder, arguments.binaries, port, arguments.signups)
    started = server.start(folder / "server", arguments.packages / server.name, port, sink.port)
    faults = []
    try:
        await asyncio.to_thread(wait_until, lambda: greets(port), 30, f"{server.name} does not greet; see {folder}")
        await asyncio.to_thread(run.start)
        began = time.monotonic()
        await run.register_all()
        accepted = time.monotonic() - began
        try:
            await asyncio.to_thread(
                wait_until, lambda: len(sink.mails) >= arguments.signups, PATIENCE, f"{len(sink.mails)} mails arrived")
        except SystemExit as complaint:
            faults.append(str(complaint))
        took = time.monotonic() - began
        await asyncio.sleep(2)  # for a duplicate that is still under way
        dead = run.dead_letters()
        faults += await asyncio.to_thread(run.stop)
    finally:
        for process in [*run.processes.values(), started]:
            if process.poll() is None:
                process.terminate()
        await asyncio.to_thread(started.wait, 30)
    people = {recipient for recipient, _ in sink.mails}
    twice = sum(sink.mails.values()) - len(people)
    lost = arguments.signups - len(people)
    print(f"{server.name}: {arguments.signups} signups accepted in {accepted:.1f} s, mailed after {took:.1f} s; lost {lost}, "
          f"dead letters {len(dead)}, duplicates {twice}; gate closed {run.log_lines('closed', 'gate')} times; "
          f"limits: {server.limits}", flush=True)
    if faults or lost or dead or twice:
        print(f"  {'; '.join(faults + dead[:3])}\n  logs: {folder}", flush=True)
        return False
    shutil.rmtree(folder)
    return True


def greets(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--packages", type=pathlib.Path, required=True)
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--signups", type=int, default=1000)
    parser.add_argument("servers", nargs="*", choices=[[], *servers.ALL], default=[])
    arguments = parser.parse_args()
    good = [asyncio.run(relay(servers.ALL[name], arguments)) for name in arguments.servers or servers.ALL]
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
