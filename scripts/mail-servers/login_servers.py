"""Postfix with Dovecot's SASL, and Exim with authenticators of its own: how they are made to want logins and certificates.

Both have many listeners, each with its own demands. `server.pem` is the certificate of most.
"""
import re, signal, subprocess, threading

import servers
from dovecot import PASSWORD, Dovecot
from surroundings import free_port, greets, replace, wait_until


class Postfix(servers.Postfix):
    """With a listener for each demand, which `ports` has by its name."""

    demands = """\
smtpd_sasl_type = dovecot
smtpd_sasl_path = {folder}/dovecot/run/smtp
smtpd_tls_auth_only = yes
smtpd_tls_loglevel = 1
smtpd_tls_cert_file = {folder}/server.pem
smtpd_tls_key_file = {folder}/server.key
smtpd_tls_CAfile = {folder}/clients.pem
smtpd_peername_lookup = no
# Nobody may relay without a login or a certificate.
mynetworks = 192.0.2.1/32
smtpd_relay_restrictions = permit_sasl_authenticated, permit_tls_all_clientcerts, reject_unauth_destination
# The sink takes each mail while its sender waits: nothing is queued.
smtpd_proxy_filter = 127.0.0.1:{sink}
smtpd_proxy_timeout = 30s
later_login = no
later_mechanisms = !plain, !login, static:all
"""
    listeners = {
        "submission": "smtpd_tls_security_level=encrypt smtpd_sasl_auth_enable=yes",
        "smtps": "smtpd_tls_wrappermode=yes smtpd_sasl_auth_enable=yes",
        # Ends a session that is idle for two seconds.
        "impatient": "smtpd_tls_security_level=encrypt smtpd_sasl_auth_enable=yes smtpd_timeout=2s",
        "no_login": "smtpd_tls_security_level=encrypt smtpd_sasl_auth_enable=$later_login",
        "tokens_only": "smtpd_tls_security_level=encrypt smtpd_sasl_auth_enable=yes smtpd_sasl_mechanism_filter=$later_mechanisms",
        "certificate": "smtpd_tls_security_level=encrypt smtpd_tls_req_ccert=yes",
        "certificate_to_relay": "smtpd_tls_wrappermode=yes smtpd_tls_ask_ccert=yes",
    } | {
        name: f"smtpd_tls_security_level=encrypt smtpd_sasl_auth_enable=yes "
              f"smtpd_tls_cert_file=$config_directory/{name}.pem smtpd_tls_key_file=$config_directory/{name}.key"
        for name in ("expired", "another-name", "stranger")}

    def __init__(self, folder):
        self.folder, self.processes, self.ports = folder, [], {name: free_port() for name in self.listeners}
        self.dovecot = Dovecot(folder / "dovecot")
        lines = (f"127.0.0.1:{self.ports[name]} inet n - n - - smtpd " + " ".join(f"-o {option}" for option in options.split(" "))
                 for name, options in self.listeners.items())
        self.master = "\n".join(lines) + "\n"

    def start(self, packages, sink):
        """With Dovecot. The folder has the certificates."""
        self.package = packages / "postfix"
        self.processes = [self.dovecot.start(packages / "dovecot"), super().start(self.folder, self.package, 0, sink)]
        self.greets()

    def greets(self):
        for name, port in self.ports.items():
            if "wrappermode" not in self.listeners[name]:
                wait_until(lambda port=port: greets(port), 30, f"Postfix does not greet; see {self.folder}")

    def restart(self):
        """Ends all sessions, and reads settings and certificates anew."""
        self.processes[1].terminate()
        self.processes[1].wait(30)
        self.processes[1] = self.launch(self.folder, self.package)
        self.greets()

    def set(self, name, value):
        """Changes one of its settings."""
        file = self.folder / "main.cf"
        replace(file, re.sub(f"^{name} = .*", f"{name} = {value}", file.read_text(), flags=re.MULTILINE))
        self.reload()

    def reload(self):
        """Lets it read settings and certificates anew. Sessions go on."""
        self.processes[1].send_signal(signal.SIGHUP)


class Exim:
    """Its authenticators know the password in `password`, and the tokens in `tokens`. A session ends with its token."""

    configuration = """\
exim_user = Debian-exim
exim_group = Debian-exim
exim_path = {package}/usr/sbin/exim4
keep_environment =
primary_hostname = relay.example.net
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
daemon_smtp_ports = {starttls} : {tls} : {certificate}
tls_on_connect_ports = {tls}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {folder}/server.pem
tls_privatekey = {folder}/server.key
tls_verify_certificates = {folder}/clients.pem
tls_verify_hosts = ${{if eq{{$received_port}}{{{certificate}}}{{*}}}}
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}}}
host_lookup =
rfc1413_hosts =
smtp_accept_max = 0
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
begin acl
mail:
  deny condition = ${{if match{{$authenticated_id}}{{^token:}}}}
       !condition = ${{lookup{{${{sg{{$authenticated_id}}{{^token:}}{{}}}}}}lsearch{{{folder}/tokens}}{{yes}}{{no}}}}
       message = 535 5.7.8 The token of this session has expired
  accept
rcpt:
  warn control = cutthrough_delivery
  accept authenticated = *
  accept verify = certificate
  deny message = 5.7.1 Relay access denied
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{mailer}}}}{{eq{{$auth3}}{{${{readfile{{{folder}/password}}{{}}}}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = ${{if and{{{{eq{{$auth1}}{{mailer}}}}{{eq{{$auth2}}{{${{readfile{{{folder}/password}}{{}}}}}}}}}}}}
  server_set_id = $auth1
xoauth2:
  driver = plaintext
  public_name = XOAUTH2
  server_prompts = :
  server_condition = ${{lookup{{${{sg{{$auth1}}{{^user=mailer\\x01auth=Bearer (.*)\\x01\\x01\\$}}{{\\$1}}}}}}lsearch{{{folder}/tokens}}{{yes}}{{no}}}}
  server_set_id = token:${{sg{{$auth1}}{{^.*Bearer (.*)\\x01\\x01\\$}}{{\\$1}}}}
"""

    def __init__(self, folder):
        self.folder, self.processes, self.ports = folder, [], {name: free_port() for name in ("starttls", "tls", "certificate")}
        self.tokens, self.lock = set(), threading.Lock()

    def start(self, packages, sink):
        folder, package = self.folder, packages / "exim"
        self.set_password(PASSWORD)
        (folder / "tokens").touch()
        subprocess.run(["install", "-d", "-o", "Debian-exim", folder, folder / "spool"], check=True)
        (folder / "exim.conf").write_text((self.configuration + servers.Exim.relay).format(folder=folder, package=package, sink=sink, **self.ports))
        self.processes = [servers.start([package / "usr/sbin/exim4", "-C", folder / "exim.conf", "-bdf", "-q10s"], folder, package, {})]
        wait_until(lambda: greets(self.ports["starttls"]), 30, f"Exim does not greet; see {folder}")

    def set_password(self, password):
        replace(self.folder / "password", password)

    def accept(self, token, instead_of=None):
        """Accepts this token from now on, and the other one no longer, not even in an open session."""
        with self.lock:
            self.tokens = self.tokens - {instead_of} | {token}
            replace(self.folder / "tokens", "".join(f"{token}: yes\n" for token in self.tokens))
