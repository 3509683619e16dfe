"""Each login to real mail servers: accepted, and refused in each way, with the words that the operator reads. Started by ../mail-servers.sh.

Postfix checks logins with Dovecot's SASL, Exim by itself. Each case has a notification service and a person of its own. A case
of a refusal asserts the reason in the log, that no mail has left, and that the person's mail arrives after the mending, once, without a
restart (unless a variable has to be set). Two further cases have tokens that expire while a session is open.
"""
import argparse, asyncio, pathlib, re, shutil, sys, tempfile, time

from cases import TOKEN, XOAUTH2, Case, cases, secret, token_for
from certificates import EXPIRED, Authority
from login_servers import Exim, Postfix
from surroundings import Run, Sink, wait_until

TOGETHER = 6  # cases at a time
PATIENCE = 20  # seconds: probes are five seconds apart at most
LIFE = 10  # of a token that expires in a session, in seconds
# An empty variable counts as absent; a .env above this folder has no say.
NOTHING = dict.fromkeys(("SMTP_USERNAME", "SMTP_PASSWORD_FILE", "SMTP_TOKEN_FILE", "SMTP_AUTH", "SMTP_CERTIFICATE_FILE", "SMTP_KEY_FILE"), "")


class Logins:
    def __init__(self, folder, arguments):
        self.folder, self.arguments, self.sink = folder, arguments, Sink()
        self.authority, self.clients, self.others = (Authority(folder / name) for name in ("servers", "clients", "others"))
        self.postfix, self.exim = Postfix(folder / "postfix"), Exim(folder / "exim")
        self.run = Run(folder, arguments.binaries, {
            "SMTP_HOST": "localhost", "SMTP_CONNECTIONS": "2", "SMTP_CA_FILE": str(self.authority.certificate)})

    def start(self):
        for server in (self.postfix, self.exim):
            server.folder.mkdir()
            self.authority.certify(server.folder / "server")
            shutil.copy(self.clients.certificate, server.folder / "clients.pem")
        self.authority.certify(self.postfix.folder / "expired", dates=EXPIRED)
        self.authority.certify(self.postfix.folder / "another-name", names="DNS:mail.example.com")
        self.others.certify(self.postfix.folder / "stranger")
        for server in (self.exim, self.postfix):
            server.start(self.arguments.packages, self.sink.port)
        self.run.kafka("start")
        self.run.user_service()

    def end(self):
        self.run.end()
        for process in [process for server in (self.postfix, self.exim) for process in server.processes]:
            process.terminate()
            process.wait(30)

    def certify_client(self, folder, authority=None, **how):
        (authority or self.clients).certify(folder / "client", **how)

    def certify_server(self, name):
        self.authority.certify(self.postfix.folder / name)
        self.postfix.reload()

    async def all(self, names):
        await self.sink.start()
        await asyncio.to_thread(self.start)
        turn = asyncio.Semaphore(TOGETHER)

        async def in_turn(trial, steps):
            async with turn:
                try:
                    print(f"{trial.case.name}: {await steps(trial)}", flush=True)
                    return True
                except SystemExit as complaint:
                    print(f"FAILED {trial.case.name}: {complaint}", flush=True)

        trials = [(Trial(self, case), Trial.refused if case.words else Trial.accepted) for case in cases(self)]
        trials += [(Trial(self, case), steps) for case, steps in (
            (Case("token_expires_in_session", "exim", "starttls", XOAUTH2, secret("ya29.first")), Trial.expires_in_session),
            (Case("token_expires_between_sessions", "postfix", "impatient", XOAUTH2, token_for(LIFE)), Trial.expires_between_sessions),
        )]
        trials = [(trial, steps) for trial, steps in trials if not names or trial.case.name in names]
        good = await asyncio.gather(*(in_turn(trial, steps) for trial, steps in trials))
        twice = [key for key, count in self.sink.mails.items() if count > 1]
        dead = self.run.dead_letters()
        print(f"{sum(map(bool, good))} of {len(trials)} as expected; mails that came twice: {len(twice)}; dead letters: {len(dead)}")
        return trials and all(good) and not twice and not dead


class Trial:
    """A case, its notification service and its people."""

    def __init__(self, logins, case):
        self.case, self.run, self.sink, self.server = case, logins.run, logins.sink, getattr(logins, case.server)
        self.folder = logins.folder / "cases" / case.name
        self.environment = NOTHING | self.in_folder(case.environment) | {
            "SMTP_PORT": str(self.server.ports[case.listener]),
            "SMTP_ENCRYPTION": "tls" if case.listener in ("smtps", "tls", "certificate_to_relay") else "starttls",
            # So each service mails to all people of this run, and the sink knows whose mail it is.
            "KAFKA_GROUP": case.name, "MAIL_HEADERS": f"X-Case: {case.name}"}

    def in_folder(self, variables):
        return {name: str(self.folder / value) if name.endswith("_FILE") else value for name, value in variables.items()}

    async def accepted(self):
        await self.begins()
        took = await self.mailed("first")
        if self.reasons():
            raise SystemExit(f"the gate was closed: {self.reasons()}")
        await self.ends()
        return f"accepted, mailed after {took:.1f} s"

    async def refused(self):
        await self.begins()
        words = await self.closes(self.case.words, "first")
        changes = await asyncio.to_thread(self.case.mend, self.folder)
        if changes:
            self.run.stop([self.case.name])
            await asyncio.to_thread(self.run.notification_service, self.case.name, self.environment | self.in_folder(changes))
        took = await self.mailed("first")
        await self.ends()
        return f"{words} -- mailed {took:.1f} s after the mending{' and a restart' if changes else ''}"

    async def expires_in_session(self):
        """Exim refuses the next mail of a session whose token has expired."""
        self.server.accept("ya29.first")
        await self.begins()
        await self.mailed("first")
        secret("ya29.second")(self.folder)
        self.server.accept("ya29.second", instead_of="ya29.first")
        await self.comes("second")
        await self.mailed("second")
        if self.reasons():
            raise SystemExit(f"the gate was closed though the file has a good token: {self.reasons()}")
        self.server.accept("ya29.third", instead_of="ya29.second")
        await self.comes("third")
        words = await self.closes("login: reply 535 " + TOKEN.format(""), "third")
        secret("ya29.third")(self.folder)
        took = await self.mailed("third")
        await self.ends()
        return f"no gate closed with a good token in the file; without: {words} -- mailed {took:.1f} s after its renewal"

    async def expires_between_sessions(self):
        """Dovecot looks at the token in the login alone, and Postfix ends idle sessions."""
        await self.begins()
        expiry = time.monotonic() + LIFE
        await self.mailed("first")
        token_for(3600)(self.folder)
        await self.until(lambda: time.monotonic() > expiry, "the clock stands still")
        await self.until(self.ended_sessions, "Postfix does not end the idle session")
        await self.comes("second")
        await self.mailed("second")
        if self.reasons():
            raise SystemExit(f"the gate was closed though the file has a good token: {self.reasons()}")
        before = self.ended_sessions()
        token_for(-1)(self.folder)
        # People of other cases may have needed the next session already.
        await self.until(lambda: self.ended_sessions() > before or self.reasons(), "Postfix does not end the idle session")
        await self.comes("third")
        words = await self.closes("login: reply 535 5.7.8 " + TOKEN.format(" (401)"), "third")
        token_for(3600)(self.folder)
        took = await self.mailed("third")
        await self.ends()
        return f"no gate closed with a good token in the file; without: {words} -- mailed {took:.1f} s after its renewal"

    async def begins(self):
        self.folder.mkdir(parents=True)
        self.case.files(self.folder)
        await self.comes("first")
        await asyncio.to_thread(self.run.notification_service, self.case.name, self.environment)

    async def comes(self, person):
        await self.run.register([f"{self.case.name}-{person}"])

    async def mailed(self, person):
        began = time.monotonic()
        await self.until(lambda: self.has_mailed(person), f"no mail for the {person} person")
        return time.monotonic() - began

    async def closes(self, words, person):
        await self.until(self.reasons, "the gate stays open")
        if not self.reasons()[0].startswith(words):
            raise SystemExit(f"the log says {self.reasons()[0]!r}, expected {words!r}")
        if self.has_mailed(person):
            raise SystemExit("a mail has left")
        return self.reasons()[0]

    def ended_sessions(self):
        return (self.server.folder / "postfix.log").read_text().count("timeout after ")

    async def ends(self):
        faults = await asyncio.to_thread(self.run.stop, [self.case.name])
        if faults:
            raise SystemExit("; ".join(faults))

    def reasons(self):
        return re.findall(r'gate closed, probing.* reason="((?:[^"\\]|\\.)*)"', self.run.log(self.case.name))

    def has_mailed(self, person):
        recipient = f"{self.case.name}-{person}@example.org"
        return any(key[:2] == (self.case.name, recipient) for key in list(self.sink.mails))

    async def until(self, condition, complaint):
        await asyncio.to_thread(wait_until, condition, PATIENCE, complaint)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--packages", type=pathlib.Path, required=True)
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mail-servers-logins-"))
    folder.chmod(0o755)  # the servers' own users look into it
    logins = Logins(folder, arguments)
    try:
        good = asyncio.run(logins.all(arguments.cases))
    finally:
        logins.end()
    if good:
        shutil.rmtree(folder)
    else:
        print(f"logs: {folder}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
