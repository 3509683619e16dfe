#!/usr/bin/env python3
"""People who sign up at a rate, whatever the answers do: register, read the code, verify, wait for the confirmation.

After the time, or SIGINT, nobody else comes. Ends with a line for each figure, and with 1 if anything was lost, mailed
twice or answered with an error. A 503 is none if a later try of the same request succeeds, which is what the API promises.
Each try is a registration of its own; the code that is mailed is right with all of them. Needs RATE_LIMIT=off and
WRONG_CODES=off (a code counts as wrong while it is being tried), and an inbox with MailHog's API.

    signup-load.py [--rate 50] [--seconds 60] [--api http://127.0.0.1:3006] [--inbox http://127.0.0.1:8025]
"""
import argparse, asyncio, collections, json, random, re, signal, sys, time, urllib.parse

PATIENCE = 90  # seconds: for one request with its retries, for one mail
MAILS_PER_QUERY = 250


async def http(address, method, path, body=None):
    """One request on a connection of its own; its status, headers and JSON."""
    url = urllib.parse.urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    try:
        body = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nhost: {url.netloc}\r\nconnection: close\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        if "content-length" in headers:
            content = await reader.readexactly(int(headers["content-length"]))
        else:
            content = b"".join([chunk async for chunk in chunks(reader)])
        is_json = "json" in headers.get("content-type", "")
        return int(head[0].split()[1]), headers, json.loads(content) if is_json else {"detail": content[:80]}
    finally:
        writer.close()


async def chunks(reader):
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readline()


class Inbox:
    """All mails that arrived, by recipient; asked for so often that none is missed by an inbox that keeps the newest only."""

    def __init__(self, address):
        self.address, self.seen, self.news = address, set(), asyncio.Condition()
        self.codes, self.confirmed, self.sent = {}, set(), collections.Counter()

    async def follow(self):
        while True:
            try:
                await self.read()
            except (OSError, EOFError) as error:  # one refused connection; the next reading finds what this one missed
                print(f"the inbox did not answer: {error!r}", file=sys.stderr)
            await asyncio.sleep(0.2)

    async def begin(self):
        """Passes over what is there."""
        items = (await http(self.address, "GET", f"/api/v2/messages?start=0&limit={MAILS_PER_QUERY}"))[2]["items"]
        self.seen = {item["ID"] for item in items}

    async def read(self):
        # Newest first, page by page, until one that an earlier reading saw; those of this reading move to later pages.
        start, fresh, known = 0, {}, False
        while not known:
            path = f"/api/v2/messages?start={start}&limit={MAILS_PER_QUERY}"
            items = (await http(self.address, "GET", path))[2]["items"]
            known = len(items) < MAILS_PER_QUERY or any(item["ID"] in self.seen for item in items)
            fresh |= {item["ID"]: item for item in items if item["ID"] not in self.seen}
            start += len(items)
        for item in fresh.values():
            self.take(item)
        async with self.news:
            self.news.notify_all()

    def take(self, item):
        self.seen.add(item["ID"])
        recipient = "{Mailbox}@{Domain}".format(**item["To"][0])
        mail = item["Raw"]["Data"]
        self.sent[re.search(r"^message-id:\s*(\S+)", mail, re.MULTILINE | re.IGNORECASE)[1]] += 1
        # The names are ASCII, so no part is in base64; parsing MIME would take more time than the services do.
        if code := re.search(r"^(\d{6})\s*$", mail, re.MULTILINE):
            self.codes[recipient] = code[1]
        else:
            self.confirmed.add(recipient)

    async def until(self, condition):
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(condition), PATIENCE)


class Load:
    def __init__(self, api, inbox):
        self.api, self.inbox, self.run = api, inbox, f"{random.getrandbits(32):08x}"
        self.count, self.errors = collections.Counter(), collections.Counter()
        self.seconds = {"register": [], "verify": []}

    async def request(self, name, body):
        """The same request until it succeeds; None if it fails."""
        began, refused = time.monotonic(), 0
        while time.monotonic() - began < PATIENCE:
            try:
                status, headers, answer = await http(self.api, "POST", f"/api/{name}", body)
            except (OSError, EOFError, ValueError) as error:
                self.errors[f"{name}: {type(error).__name__}"] += 1
                return None
            if status in (200, 202):
                self.seconds[name].append(time.monotonic() - began)
                self.count[f"{name} answered 503 first"] += refused > 0
                return answer["data"]
            if status != 503:
                self.errors[f"{name}: {status} {answer.get('detail')}"] += 1
                return None
            refused += 1
            self.count["answers 503"] += 1
            await asyncio.sleep(min(int(headers.get("retry-after", 1)), 2) + random.random())
        self.errors[f"{name}: 503 until patience ended"] += 1

    async def sign_up(self, number):
        address = f"load-{self.run}-{number}@example.com"
        account = await self.request("register", {"first_name": "Ada", "last_name": "Lovelace", "email": address})
        if account is None:
            return
        self.count["registered"] += 1
        try:
            await self.inbox.until(lambda: address in self.inbox.codes)
            if await self.request("verify", {"id": account["id"], "code": self.inbox.codes[address]}) is None:
                return
            self.count["verified"] += 1
            await self.inbox.until(lambda: address in self.inbox.confirmed)
            self.count["confirmed"] += 1
        except TimeoutError:
            self.errors["a mail did not come"] += 1

    def report(self):
        for name, values in self.seconds.items():
            if values := sorted(values):
                at = lambda share: f"{1000 * values[int(share * (len(values) - 1))]:.0f} ms"
                print(f"{name}: p50 {at(0.5)}, p99 {at(0.99)}, longest {at(1)}, with retries")
        for name, count in sorted((self.count | self.errors).items()):
            print(f"{name}: {count}")
        duplicates = sum(self.inbox.sent.values()) - len(self.inbox.sent)
        lost = self.count["registered"] - self.count["confirmed"]
        print(f"failed requests or missing mails: {self.errors.total()}, not confirmed: {lost}, duplicates: {duplicates}")
        return not (self.errors or lost or duplicates)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50, help="signups per second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--api", default="http://127.0.0.1:3006")
    parser.add_argument("--inbox", default="http://127.0.0.1:8025")
    arguments = parser.parse_args()
    inbox = Inbox(arguments.inbox)
    load = Load(arguments.api, inbox)
    await inbox.begin()
    following = asyncio.create_task(inbox.follow())
    enough = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, enough.set)
    began, people = time.monotonic(), []
    while len(people) < arguments.rate * arguments.seconds and not enough.is_set():
        await asyncio.sleep(began + len(people) / arguments.rate - time.monotonic())
        people.append(asyncio.create_task(load.sign_up(len(people))))
    print(f"{len(people)} people came within {time.monotonic() - began:.1f} s", flush=True)
    await asyncio.wait([following, asyncio.gather(*people)], return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        following.result()
    await asyncio.sleep(5)  # for duplicates that come late
    sys.exit(0 if load.report() else 1)


if __name__ == "__main__":
    asyncio.run(main())
