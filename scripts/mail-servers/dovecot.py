"""Dovecot's part that checks logins, for Postfix: passwords from a file, tokens as JWT."""
import servers
import tokens
from surroundings import replace, wait_until

NAME, PASSWORD = "mailer", "correct-horse-battery-staple"


class Dovecot:
    configuration = """\
base_dir = {folder}/run
state_dir = {folder}/state
libexec_dir = {package}/usr/lib/dovecot
import_environment = LD_LIBRARY_PATH={libraries}
log_path = {folder}/dovecot.log
protocols =
ssl = no
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
auth_mechanisms = plain login xoauth2 oauthbearer
auth_failure_delay = 0
auth_verbose = yes
disable_plaintext_auth = no
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = passwd-file
  mechanisms = plain login
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  user = root
  unix_listener smtp {{
    mode = 0666
  }}
}}
# All clients have one address: no penalty for its refused logins.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
    oauth2 = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = sub
issuers = {issuer}
"""

    def __init__(self, folder):
        self.folder = folder

    def start(self, package):
        folder, libraries = self.folder, f"{package}/usr/lib/dovecot:{package}/usr/lib/dovecot/modules/old-stats"
        keys = folder / "keys/default/HS256"
        keys.mkdir(parents=True)
        (keys / "default").write_text(tokens.text(tokens.KEY))
        self.set_password(PASSWORD)
        (folder / "oauth2.conf").write_text(self.oauth2.format(folder=folder, issuer=tokens.ISSUER))
        file = folder / "dovecot.conf"
        file.write_text(self.configuration.format(folder=folder, package=package, libraries=libraries))
        # As `dovecot` does it, which looks for doveconf where the package would have been installed.
        command = [package / "usr/bin/doveconf", "-f", "service=master", "-c", file, "-m", "master", "-x",
                   "-e", package / "usr/sbin/dovecot", "-F", "-c", file]
        process = servers.start(command, folder, package, {"LD_LIBRARY_PATH": libraries})
        wait_until((folder / "run/smtp").exists, 30, f"Dovecot does not start; see {folder}")
        return process

    def set_password(self, password):
        replace(self.folder / "users", f"{NAME}:{{PLAIN}}{password}\n")
