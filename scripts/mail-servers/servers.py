"""How each mail server is configured and started: relays everything to the sink, with its own limits set low."""
import os, shutil, subprocess


class Postfix:
    name = "postfix"
    limits = "3 connections, 200 mails in 5 s (421, 450 4.7.1)"
    main = """\
compatibility_level = 3.6
command_directory = {package}/usr/sbin
daemon_directory = {package}/usr/lib/postfix/sbin
shlib_directory = {package}/usr/lib/postfix
meta_directory = {package}/etc/postfix
data_directory = {folder}/data
queue_directory = {folder}/queue
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.net
mydestination =
alias_maps =
alias_database =
relayhost = [127.0.0.1]:{sink}
smtp_tls_security_level = none
disable_dns_lookups = yes
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
"""
    demands = """\
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_client_event_limit_exceptions =
smtpd_client_connection_count_limit = 3
smtpd_client_message_rate_limit = 200
anvil_rate_time_unit = 5s
"""
    master = """\
127.0.0.1:{port} inet n - n - - smtpd
"""
    programs = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
showq unix n - n - - showq
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

    def start(self, folder, package, port, sink):
        (folder / "queue").mkdir(parents=True)
        subprocess.run(["install", "-d", "-o", "postfix", folder / "data"], check=True)
        # The package's lists of files name the places where it would have been installed; without them nothing is checked against them.
        values = {"folder": folder, "package": package, "port": port, "sink": sink}
        (folder / "main.cf").write_text((self.main + self.demands).format(**values))
        (folder / "master.cf").write_text(self.master.format(**values) + self.programs)
        (folder / "dynamicmaps.cf").touch()
        for queue in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"):
            subprocess.run(["install", "-d", "-m", "700", "-o", "postfix", folder / "queue" / queue], check=True)
        subprocess.run(["install", "-d", "-m", "730", "-o", "postfix", "-g", "postdrop", folder / "queue/maildrop"], check=True)
        subprocess.run(["install", "-d", "-m", "710", "-o", "postfix", "-g", "postdrop", folder / "queue/public"], check=True)
        subprocess.run(["install", "-d", folder / "queue/pid"], check=True)
        return self.launch(folder, package)

    def launch(self, folder, package):
        return start([package / "usr/lib/postfix/sbin/master", "-c", folder, "-d"], folder, package,
                     {"MAIL_CONFIG": str(folder), "LD_LIBRARY_PATH": str(package / "usr/lib/postfix")})


class Exim:
    name = "exim"
    limits = "3 connections, 20 mails each (421)"
    configuration = """\
exim_user = Debian-exim
exim_group = Debian-exim
exim_path = {package}/usr/sbin/exim4
keep_environment =
primary_hostname = relay.example.net
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
smtp_accept_max_per_host = 3
smtp_accept_max_per_connection = 20
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = accept
"""
    relay = """\
begin routers
sink:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = sink
begin transports
sink:
  driver = smtp
  port = {sink}
  hosts_try_prdr =
begin retry
* * F,1h,1s
"""

    def start(self, folder, package, port, sink):
        subprocess.run(["install", "-d", "-o", "Debian-exim", folder, folder / "spool"], check=True)
        (folder / "exim.conf").write_text((self.configuration + self.relay).format(folder=folder, package=package, port=port, sink=sink))
        return start([package / "usr/sbin/exim4", "-C", folder / "exim.conf", "-bdf", "-q10s"], folder, package, {})


class OpenSmtpd:
    name = "opensmtpd"
    limits = "10 mails a session (421 or 452)"
    configuration = """\
smtp limit max-mails 10
listen on 127.0.0.1 port {port} hostname relay.example.net
action "sink" relay host smtp://127.0.0.1:{sink}
match from any for any action "sink"
"""

    def start(self, folder, package, port, sink):
        folder.mkdir()
        (folder / "smtpd.conf").write_text(self.configuration.format(port=port, sink=sink))
        for queue, mode, owner in (("", "711", "root"), ("corrupt", "700", "opensmtpq"), ("incoming", "700", "opensmtpq"),
                                   ("purge", "700", "opensmtpq"), ("queue", "700", "opensmtpq"), ("temporary", "700", "opensmtpq"),
                                   ("offline", "770", "root")):
            subprocess.run(["install", "-d", "-m", mode, "-o", owner, "-g", "opensmtpq" if queue == "offline" else "root",
                            f"/var/spool/smtpd/{queue}"], check=True)
        subprocess.run(["install", "-d", "-m", "711", "/var/lib/opensmtpd", "/var/lib/opensmtpd/empty", "/run"], check=True)
        return start([package / "usr/sbin/smtpd", "-d", "-f", folder / "smtpd.conf"], folder, package, {})


class Haraka:
    name = "haraka"
    limits = "3 connections, 10 mails each (DENYSOFTDISCONNECT)"
    plugin = """\
'use strict'
let open = 0
exports.hook_connect = (next, connection) => {
  connection.notes.counted = true
  open += 1
  open > 3 ? next(DENYSOFTDISCONNECT, 'too many connections from your host') : next()
}
exports.hook_disconnect = (next, connection) => {
  if (connection.notes.counted) open -= 1
  next()
}
exports.hook_mail = (next, connection) => {
  connection.notes.mails = (connection.notes.mails ?? 0) + 1
  connection.notes.mails > 10 ? next(DENYSOFTDISCONNECT, 'too many messages in this session') : next()
}
exports.hook_rcpt = (next) => next(OK)
"""

    def start(self, folder, package, port, sink):
        shutil.copytree(package / "node_modules/Haraka/config", folder / "config")
        for name, content in (
            ("config/smtp.ini", f"listen=127.0.0.1:{port}\nnodes=0\n"),
            ("config/plugins", "limits\nqueue/smtp_forward\n"),
            ("config/smtp_forward.ini", f"host=127.0.0.1\nport={sink}\n"),
            ("config/me", "relay.example.net\n"),
            ("config/loglevel", "WARN\n"),
            ("plugins/limits.js", self.plugin),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        return start(["node", package / "node_modules/Haraka/bin/haraka", "-c", folder], folder, package, {})


def start(command, folder, package, environment):
    with open(folder / "server.log", "w") as log:
        return subprocess.Popen(command, env=os.environ | environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                start_new_session=True)


ALL = {server.name: server for server in (Postfix(), Exim(), OpenSmtpd(), Haraka())}
