"""Secrets that change while people sign up, 100 a second: nothing is lost, nothing restarts. Started by ../mail-servers.sh.

Three notification services share the mails. One logs in to Postfix with a password, one to Exim with a token, one shows Postfix a
certificate. All services log in to Kafka with a password. Each secret changes twice: first the server and the file at one moment, then the
file three seconds after the server. The Postfix restarts with each change, Exim refuses the next mail of each session, and Kafka wants new
logins every five seconds. At last the key of the codes changes. Says for how long each gate was closed. Ends with 1 if a mail is missing,
a request failed for good, a code was wrong, or a gate was closed for longer than the refusal and a probe's pause.
"""
import argparse, asyncio, base64, importlib.util, json, os, pathlib, shutil, sys, tempfile, time
import urllib.request

from certificates import Authority
from dovecot import NAME, PASSWORD
from login_servers import Exim, Postfix
from surroundings import REPOSITORY, Run, Sink, free_port, replace

LATE = 3.0  # seconds from the change at the server to that of the file
PROBE = 5.5  # the longest pause between two probes, and the time of one
SETTLED = 8.0  # seconds between two changes
KAFKA_USER, KAFKA_PASSWORDS = "signup", ["kafka-old-password", "kafka-new-password", "kafka-newest-password"]
REFUSAL_OF_KAFKA = 5.0  # seconds after which Kafka asks each connection to log in again

spec = importlib.util.spec_from_file_location("signup_load", REPOSITORY / "scripts/signup-load.py")
signup_load = importlib.util.module_from_spec(spec)
spec.loader.exec_module(signup_load)
signup_load.PATIENCE = 300  # a mail that comes late on a slow machine is not lost


class Inbox(signup_load.Inbox):
    """Fed by the sink."""

    def __init__(self):
        super().__init__(None)

    def arrived(self, recipient, content):
        self.take({"ID": None, "To": [dict(zip(("Mailbox", "Domain"), recipient.split("@")))], "Raw": {"Data": content.replace("\r\n", "\n")}})
        asyncio.ensure_future(self.tell())

    async def tell(self):
        async with self.news:
            self.news.notify_all()


class Gate:
    """When the gate of a notification service was closed, or the user service not ready."""

    def __init__(self, health):
        self.address, self.closed = f"http://127.0.0.1:{health}/health/ready", []

    def look(self):
        try:
            body = json.load(urllib.request.urlopen(self.address, timeout=5))
        except urllib.error.HTTPError as error:
            body = json.load(error)
        return body["gate"]["open"]

    async def watch(self):
        was_open = True
        while True:
            is_open = await asyncio.to_thread(self.look)
            if was_open and not is_open:
                self.closed.append([time.monotonic(), None])
            elif is_open and not was_open:
                self.closed[-1][1] = time.monotonic()
            was_open = is_open
            await asyncio.sleep(0.05)


class Rotation:
    def __init__(self, folder, arguments):
        self.folder, self.arguments, self.sink, self.inbox = folder, arguments, Sink(), Inbox()
        self.sink.arrived = self.inbox.arrived
        self.authority = Authority(folder / "servers")
        self.clients = [Authority(folder / f"clients-{number}") for number in range(3)]
        # One for each: a restart ends all sessions.
        self.servers = self.by_password, self.by_certificate, self.by_token = (
            Postfix(folder / "by-password"), Postfix(folder / "by-certificate"), Exim(folder / "by-token"))
        self.sasl = free_port()
        self.run = Run(folder, arguments.binaries, {
            "KAFKA_BROKERS": f"127.0.0.1:{self.sasl}", "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext",
            "KAFKA_SASL_USERNAME": KAFKA_USER, "KAFKA_SASL_PASSWORD_FILE": str(folder / "kafka-password"),
            "CODE_SECRETS": "", "CODE_SECRETS_FILE": str(folder / "keys"), "WRONG_CODES": "off", "MAX_CONNECTIONS_PER_ADDRESS": "4096",
            "SMTP_HOST": "localhost", "SMTP_CONNECTIONS": "4", "SMTP_CA_FILE": str(self.authority.certificate), "SMTP_ENCRYPTION": "starttls"})
        self.gates, self.key = {}, [new_key("k1")]

    def start(self):
        for server in self.servers:
            server.folder.mkdir()
            self.authority.certify(server.folder / "server")
            shutil.copy(self.clients[0].certificate, server.folder / "clients.pem")
        self.certificate(0, server=False, file=True)
        self.kafka_password(0, server=False, file=True)
        self.keys()
        replace(self.folder / "password", PASSWORD)
        for server in self.servers:
            server.start(self.arguments.packages, self.sink.port)
        self.token(0, server=True, file=True)
        self.run.kafka("start", "--add-scram", f"SCRAM-SHA-512=[name={KAFKA_USER},password={KAFKA_PASSWORDS[0]}]", *(
            word for setting in (
                f"listeners=PLAINTEXT://127.0.0.1:{self.run.kafka_port},SASL_PLAINTEXT://127.0.0.1:{self.sasl},"
                f"CONTROLLER://127.0.0.1:{self.run.kafka_port + 10000}",
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.run.kafka_port},SASL_PLAINTEXT://127.0.0.1:{self.sasl}",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
                "sasl.enabled.mechanisms=SCRAM-SHA-512",
                "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config="
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                f"connections.max.reauth.ms={int(1000 * REFUSAL_OF_KAFKA)}",
            ) for word in ("--set", setting)))
        self.run.user_service()
        files = {name: str(self.folder / name) for name in ("password", "token", "client.pem", "client.key")}
        for name, port, login in (
            ("password", self.by_password.ports["submission"], {"SMTP_USERNAME": NAME, "SMTP_PASSWORD_FILE": files["password"]}),
            ("token", self.by_token.ports["starttls"], {"SMTP_USERNAME": NAME, "SMTP_TOKEN_FILE": files["token"]}),
            ("certificate", self.by_certificate.ports["certificate"], {"SMTP_CERTIFICATE_FILE": files["client.pem"], "SMTP_KEY_FILE": files["client.key"]}),
        ):
            self.gates[name] = Gate(self.run.notification_service(name, login | {"SMTP_PORT": str(port)}))

    def end(self):
        self.run.end()
        for process in [process for server in self.servers for process in server.processes]:
            process.terminate()
            process.wait(30)

    # Each changes the secret at the server, in the file, or both.

    def password(self, number, server, file):
        secret = f"{PASSWORD}-{number}"
        if server:
            self.by_password.dovecot.set_password(secret)
        if file:
            replace(self.folder / "password", secret)
        if server:
            self.by_password.restart()

    def token(self, number, server, file):
        text = f"ya29.token-{number}"
        if file:
            replace(self.folder / "token", text)
        if server:
            self.by_token.accept(text, instead_of=f"ya29.token-{number - 1}")

    def certificate(self, number, server, file):
        if file:
            self.clients[number].certify(self.folder / "client")
        if server:
            shutil.copy(self.clients[number].certificate, self.by_certificate.folder / "clients.pem")
            self.by_certificate.restart()

    def kafka_password(self, number, server, file):
        if server:
            self.run.kafka("configs", "--alter", "--entity-type", "users", "--entity-name", KAFKA_USER,
                           "--add-config", f"SCRAM-SHA-512=[password={KAFKA_PASSWORDS[number]}]")
        if file:
            replace(self.folder / "kafka-password", KAFKA_PASSWORDS[number])

    def keys(self):
        replace(self.folder / "keys", ",".join(self.key))

    async def rotate_keys(self):
        """As docs/operations.md says: first known everywhere, then used, then the only one."""
        fresh = new_key("k2")
        for keys in ([self.key[0], fresh], [fresh, self.key[0]]):
            self.key = keys
            self.keys()
            verified = self.load.count["verified"]
            await asyncio.sleep(SETTLED)
            metrics = (await asyncio.to_thread(urllib.request.urlopen, f"http://127.0.0.1:{self.run.admin}/metrics")).read().decode()
            place = keys.index(fresh) + 1
            if f'user_service_code_key_place{{key="k2"}} {place}' not in metrics:
                self.faults.append(f"the new key is not at place {place}")
            print(f"keys of codes, the new one at place {place}: {self.load.count['verified'] - verified} verified", flush=True)

    async def change(self, name, how):
        figures = []
        for number, late in ((1, 0.0), (2, LATE)):
            before = {gate: len(self.gates[gate].closed) for gate in self.gates}
            requests = self.load.count["answers 503"]
            await asyncio.to_thread(how, number, server=True, file=late == 0.0)
            if late:
                await asyncio.sleep(late)
                await asyncio.to_thread(how, number, server=False, file=True)
            changed = time.monotonic()
            await asyncio.sleep(SETTLED)
            for gate, closed in before.items():
                for began, ended in self.gates[gate].closed[closed:]:
                    figures.append((name, gate, late, began, ended, changed))
                    longest = late + PROBE
                    if ended is None or ended - began > longest or gate != name:
                        self.faults.append(f"{name}: the gate of {gate} was closed for {ended and ended - began} s")
            closed = [f"{ended - began:.1f} s" for _, _, at, began, ended, _ in figures if at == late and ended]
            print(f"{name}, file {'at once' if not late else f'{late:.0f} s late'}: gate closed {', '.join(closed) or 'never'}; "
                  f"answers 503: {self.load.count['answers 503'] - requests}", flush=True)

    async def all(self):
        self.faults = []
        await self.sink.start()
        await asyncio.to_thread(self.start)
        self.load = signup_load.Load(f"http://127.0.0.1:{self.run.api}", self.inbox)
        watches = [asyncio.create_task(gate.watch()) for gate in self.gates.values()]
        people, enough = [], asyncio.Event()

        async def come():
            began = time.monotonic()
            while not enough.is_set():
                await asyncio.sleep(max(0, began + len(people) / self.arguments.rate - time.monotonic()))
                people.append(asyncio.create_task(self.load.sign_up(len(people))))

        coming = asyncio.create_task(come())
        await asyncio.sleep(SETTLED)
        for name in ("password", "token", "certificate", "kafka_password"):
            await self.change(name, getattr(self, name))
        await self.rotate_keys()
        enough.set()
        await coming
        await asyncio.gather(*people)
        await asyncio.sleep(3)  # for duplicates that come late
        for watch in watches:
            watch.cancel()
        print(f"{len(people)} people")
        self.load.report()
        bound = 2 * 2 * 4  # a session that a restart ends may leave one mail's fate unknown: restarts of two servers, four sessions
        duplicates = sum(self.inbox.sent.values()) - len(self.inbox.sent)
        restarts = [name for name, process in self.run.processes.items() if process.poll() is not None]
        dead = self.run.dead_letters()
        lost = len(people) - self.load.count["confirmed"]
        print(f"ended processes: {restarts}; dead letters: {len(dead)}; faults: {self.faults}")
        return not (self.faults or self.load.errors or lost or restarts or dead or duplicates > bound)


def new_key(name):
    return f"{name}:{base64.b64encode(os.urandom(32)).decode()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--packages", type=pathlib.Path, required=True)
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("--rate", type=float, default=100, help="sign-ups a second")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mail-servers-rotation-"))
    folder.chmod(0o755)  # the servers' own users look into it
    rotation = Rotation(folder, arguments)
    try:
        good = asyncio.run(rotation.all())
    finally:
        rotation.end()
    if good:
        shutil.rmtree(folder)
    else:
        print(f"FAILED; logs: {folder}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
