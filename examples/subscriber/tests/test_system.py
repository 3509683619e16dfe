"""The subscriber and the contract against real Kafka and both services.

Every test has a group of its own, and so begins at the first verified account of all tests before it.
"""

import json
import signal
import unittest
import uuid
from collections import Counter

from tests.contract import Contract
from tests.world import TRACE_ID, World, wait_for
from welcome.subscriber import COMMIT_RECORDS

VERIFIED = "user_account_verified"


class Subscribing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(lambda: cls.world.close(cls.passed))
        cls.passed = True
        cls.world.verify_many("first", 40)

    def setUp(self):
        self.world.welcomes.mails.clear()

    def tearDown(self):
        for process in self.started:
            process.kill_if_running()
        self.world.welcomes.come_back()
        outcome = self._outcome.result
        type(self).passed &= not (outcome.failures or outcome.errors)

    def run(self, result=None):
        self.started = []
        return super().run(result)

    def start(self, group: str, retry_seconds: int = 1):
        process = self.world.subscriber(group, retry_seconds)
        self.started.append(process)
        return process

    def wait_for_welcomes(self, addresses, deadline=30):
        wait_for("everybody is welcomed", lambda: set(addresses) <= set(self.world.welcomes.recipients()), deadline)

    def assert_welcomed_once(self, addresses):
        # Accounts that were forgotten in an earlier test are left out: until the topic is compacted, they are there to be read.
        times = Counter(self.world.welcomes.recipients())
        self.assertEqual({address: times[address] for address in addresses if times[address] != 1}, {})

    def dead_letters(self, group: str, of_poison: bool = False) -> list[tuple[str, bytes]]:
        """Reasons and values. The poison of one test is read by the groups of all that come after it."""
        records = [record for record in self.world.records(f"{group}_dead_letter") if (record.key() == b"poison") == of_poison]
        return [(dict(record.headers())["dead_letter_reason"].decode(), record.value()) for record in records]

    def test_who_begins_late_gets_every_verified_user_from_the_first_on(self):
        self.start("late")
        self.wait_for_welcomes(self.world.verified)
        self.world.verify("while-it-runs@example.com")
        self.wait_for_welcomes(self.world.verified)
        self.assert_welcomed_once(self.world.verified)

    def test_a_kill_loses_nobody_and_repeats_at_most_what_was_not_committed(self):
        self.world.verify_many("killed", 120)
        self.world.welcomes.pause = 0.01
        self.addCleanup(setattr, self.world.welcomes, "pause", 0.0)
        killed = self.start("killed")
        wait_for("it is in the middle", lambda: len(self.world.welcomes.mails) > COMMIT_RECORDS + 20)
        killed.end(signal.SIGKILL)
        self.assertLess(len(self.world.welcomes.mails), len(self.world.verified), "killed midway, not at the end")
        self.start("killed")
        self.wait_for_welcomes(self.world.verified)
        recipients = self.world.welcomes.recipients()
        duplicates = len(recipients) - len(set(recipients))
        self.assertLessEqual(duplicates, COMMIT_RECORDS + 1)
        ids = {to: {mail["Message-ID"] for mail in self.world.welcomes.to(to)} for to in self.world.verified}
        self.assertTrue(all(len(of_one) == 1 for of_one in ids.values()), "a copy has the same Message-ID")

    def test_an_orderly_stop_repeats_nothing(self):
        self.world.welcomes.pause = 0.01
        self.addCleanup(setattr, self.world.welcomes, "pause", 0.0)
        first = self.start("stopped")
        wait_for("it has begun", lambda: len(self.world.welcomes.mails) > 5)
        self.assertEqual(first.end(signal.SIGTERM), 0)
        self.assertLess(len(self.world.welcomes.mails), len(self.world.verified), "stopped midway, not at the end")
        self.start("stopped")
        self.wait_for_welcomes(self.world.verified)
        self.assert_welcomed_once(self.world.verified)

    def test_a_poison_event_becomes_a_dead_letter_and_holds_up_nobody(self):
        poison = {
            b"\xff\x00 not JSON": "undecodable",
            b"[" * 100_000: "undecodable",
            b'{"version": 2}': "undecodable",
            b'{"version": 1, "who": "ada"}': "unknown_version",
            b'{"version": 3, "who": "a stranger"}': "unknown_version",
        }
        start = self.start("poisoned")
        self.wait_for_welcomes(self.world.verified)
        for partition in range(6):
            for value in poison:
                self.world.produce(VERIFIED, value, key=b"poison", partition=partition, headers={"ce_type": VERIFIED})
            for headers in ({"ce_type": "account_renamed"}, {"ce_type": "user_account_created"}, {}):
                self.world.produce(VERIFIED, b"{", key=b"poison", partition=partition, headers=headers)
        after = self.world.verify_many("after-the-poison", 12)
        self.wait_for_welcomes(after)
        self.assert_welcomed_once(self.world.verified)
        letters = self.dead_letters("poisoned", of_poison=True)
        self.assertEqual(len(letters), 6 * len(poison), "and other types, and none, were passed over")
        self.assertEqual({value: reason for reason, value in letters}, poison)
        self.assertEqual(start.end(), 0)

    def test_a_mail_server_that_is_away_delays_and_loses_nobody(self):
        self.world.welcomes.go_away()
        process = self.start("mail-away")
        wait_for("it has tried", lambda: process.logged("waiting: ") >= 3)
        self.world.verify("meanwhile@example.com")
        self.world.welcomes.come_back()
        self.wait_for_welcomes(self.world.verified)
        self.assert_welcomed_once(self.world.verified)
        self.assertEqual(self.dead_letters("mail-away"), [])

    def test_what_is_held_is_taken_over_by_another_process(self):
        self.world.welcomes.go_away()
        first = self.start("shared")
        wait_for("it has tried", lambda: first.logged("waiting: ") >= 2)
        second = self.start("shared")
        self.assertEqual(first.end(), 0)
        wait_for("the second has tried, too", lambda: second.logged("waiting: ") >= 1)
        self.world.welcomes.come_back()
        self.wait_for_welcomes(self.world.verified)
        self.assert_welcomed_once(self.world.verified)

    def test_a_refused_recipient_is_tried_again_or_given_up_and_holds_up_nobody(self):
        self.world.welcomes.script("later@example.com", "450 later", "450 later")
        self.world.welcomes.script("stubborn@example.com", *["450 later"] * 5)
        self.world.welcomes.script("never@example.com", "550 never")
        self.start("refused")
        for name in ("later", "stubborn", "never"):
            self.world.verify(f"{name}@example.com")
        given_up = {self.world.verified.pop(f"{name}@example.com") for name in ("stubborn", "never")}
        self.wait_for_welcomes(self.world.verified)
        self.assert_welcomed_once(self.world.verified)
        letters = wait_for("both are dead letters", lambda: len(found := self.dead_letters("refused")) == 2 and found)
        self.assertEqual({json.loads(value)["id"] for _, value in letters}, given_up)
        self.assertEqual({reason for reason, _ in letters}, {"recipient_refused"})
        for account_id in given_up:
            self.world.command("user-service", "forget", account_id)

    def test_the_records_of_one_account_lead_to_one_welcome(self):
        self.start("twice")
        self.world.verify("twice@example.com")
        [record] = [r for r in self.world.records(VERIFIED) if r.key() == self.world.verified["twice@example.com"].encode()]
        further = json.loads(record.value())  # two of its registrations were proved at the same moment
        further |= {"event_id": str(uuid.uuid4()), "registration": str(uuid.uuid4()), "first_name": "Augusta"}
        for value in (record.value(), json.dumps(further).encode()):
            self.world.produce(VERIFIED, value, key=record.key(), headers=record.headers())
        self.world.verify_many("after-the-copy", 12)
        self.wait_for_welcomes(self.world.verified)
        self.assert_welcomed_once(self.world.verified)

    def test_the_retry_of_a_forgotten_account_is_not_mailed(self):
        address = "forgotten@example.com"
        self.world.welcomes.script(address, "450 later")
        process = self.start("forgotten", retry_seconds=10)  # much longer than it takes to forget the account
        account_id = self.world.verify(address)
        wait_for("it waits for its retry", lambda: process.logged("retry_attempt") >= 1)
        self.world.command("user-service", "forget", account_id)
        del self.world.verified[address]
        wait_for("its retry is passed over", lambda: process.logged(f"passed over account {account_id}") == 1)
        self.wait_for_welcomes(self.world.verified)
        self.assertEqual(self.world.welcomes.to(address), [])

    def test_who_was_forgotten_and_comes_back_is_welcomed_again(self):
        address = "back@example.com"
        process = self.start("back")
        account_id = self.world.verify(address)
        self.wait_for_welcomes([address])
        self.world.command("user-service", "forget", account_id)
        wait_for("it is forgotten", lambda: process.logged(f"forgot account {account_id}") == 1)
        self.world.verify(address)
        del self.world.verified[address]  # verified twice, so the tests after this one find it welcomed twice
        wait_for("it is welcomed again", lambda: len(self.world.welcomes.to(address)) == 2)

    def test_everything_the_services_write_is_as_the_schemas_say(self):
        world, contract = self.world, Contract()
        exists = world.verify("exists@example.com")
        world.wait_for_the_next_window()
        world.register("exists@example.com")  # the first mail of that window: the notice
        repeated = world.register("repeated@example.com")
        world.register("repeated@example.com")
        wait_for("the cool-down is over", lambda: world.post("resend", {"id": repeated})[0] == 202)
        world.mails.script("mail-later@example.com", "450 later")
        world.verify("mail-later@example.com")
        world.mails.script("mail-never@example.com", "550 5.1.1 never")
        world.register("mail-never@example.com")
        wait_for("a dead letter", lambda: "recipient_refused" in world.command("notification-service", "dead-letters", "list"))
        world.command("notification-service", "dead-letters", "discard", "--reason", "recipient_refused")
        world.command("user-service", "forget", exists)
        del world.verified["exists@example.com"]
        for topic in contract.topics():
            for record in world.records(topic):
                if record.key() != b"poison":
                    contract.hold(topic, record)
        self.assertEqual({mail["X-Trace-Id"] for mail in world.mails.to("exists@example.com")}, {TRACE_ID})
        of_what_is_too_large = {"dead_letter_value_octets", "dead_letter_value_sha256"}  # no service writes such a record
        self.assertEqual(contract.never_seen(), of_what_is_too_large, "all else was written at least once")
