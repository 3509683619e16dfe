"""Signups through real mail servers: each relays to a sink, which counts. Started by ../mail-servers.sh.

The user service accepts SIGNUPS registrations as fast as it answers. The notification service mails them with more sessions
than the server allows, so that the server's limits are met all the time. Ends with 1 if a mail is missing, came twice, or became a dead letter.
"""
import argparse, asyncio, pathlib, shutil, sys, tempfile, time

import servers
from surroundings import Run, Sink, free_port, greets, wait_until

SESSIONS = 16  # SMTP_CONNECTIONS; each server allows three
PATIENCE = 120  # seconds, for all mails of one server


async def relay(server, arguments):
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"mail-servers-{server.name}-"))
    folder.chmod(0o755)  # the servers' own users look into it
    sink, port = Sink(), free_port()
    await sink.start()
    run = Run(folder, arguments.binaries, {
        "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_CONNECTIONS": str(SESSIONS)})
    started = server.start(folder / "server", arguments.packages / server.name, port, sink.port)
    faults = []
    try:
        await asyncio.to_thread(wait_until, lambda: greets(port), 30, f"{server.name} does not greet; see {folder}")
        await asyncio.to_thread(run.kafka, "start")
        await asyncio.to_thread(run.user_service)
        await asyncio.to_thread(run.notification_service, "notification-service", {})
        began = time.monotonic()
        people = (f"person-{number}" for number in range(arguments.signups))
        await asyncio.gather(*(run.register(people) for _ in range(8)))
        accepted = time.monotonic() - began
        try:
            await asyncio.to_thread(
                wait_until, lambda: len(sink.mails) >= arguments.signups, PATIENCE, f"{len(sink.mails)} mails arrived")
        except SystemExit as complaint:
            faults.append(str(complaint))
        took = time.monotonic() - began
        await asyncio.sleep(2)  # for a duplicate that is still under way
        dead = run.dead_letters()
        log = run.log("notification-service").splitlines()
        faults += await asyncio.to_thread(run.stop)
    except BaseException:
        run.end()
        raise
    finally:
        started.terminate()
        await asyncio.to_thread(started.wait, 30)
    people = {recipient for _, recipient, _ in sink.mails}
    twice = sum(sink.mails.values()) - len(people)
    lost = arguments.signups - len(people)
    closed = sum("gate closed" in line for line in log)
    print(f"{server.name}: {arguments.signups} signups accepted in {accepted:.1f} s, mailed after {took:.1f} s; lost {lost}, "
          f"dead letters {len(dead)}, duplicates {twice}; gate closed {closed} times; limits: {server.limits}", flush=True)
    if faults or lost or dead or twice:
        print(f"  {'; '.join(faults + dead[:3])}\n  logs: {folder}", flush=True)
        return False
    shutil.rmtree(folder)
    return True


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
