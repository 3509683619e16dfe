"""Certificate authorities that nothing else trusts, and what they certify. Made with OpenSSL's command."""
import subprocess, threading

EXPIRED, VALID = ("20200101000000Z", "20200201000000Z"), ("20200101000000Z", "20991231000000Z")
CONFIGURATION = """\
[ca]
default_ca = authority
[authority]
dir = {folder}
database = {folder}/index
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[extensions]
subjectAltName = {names}
"""


class Authority:
    """An authority in a folder of its own."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.certificate, self.lock = folder, folder / "ca.pem", threading.Lock()
        (folder / "index").touch()
        openssl("req", "-x509", *self.new_key("ca"), "-subj", f"/CN={folder.name}", "-days", "30", "-out", self.certificate)

    def certify(self, target, names="DNS:localhost", dates=VALID):
        """Writes `target`.pem and `target`.key: a certificate for these names, and its key. The last file is written last."""
        with self.lock:
            request, configuration = self.folder / "request", self.folder / "configuration"
            configuration.write_text(CONFIGURATION.format(folder=self.folder, names=names))
            openssl("req", "-new", *self.new_key("new"), "-subj", f"/CN={target.name}", "-out", request)
            openssl("ca", "-batch", "-notext", "-config", configuration, "-extensions", "extensions", "-in", request,
                    "-out", self.folder / "new.pem", "-outdir", self.folder, "-cert", self.certificate, "-keyfile", self.folder / "ca.key",
                    "-startdate", dates[0], "-enddate", dates[1])
            for end in ("key", "pem"):
                (self.folder / f"new.{end}").chmod(0o644)  # the servers read it as users of their own
                (self.folder / f"new.{end}").rename(target.with_name(f"{target.name}.{end}"))

    def new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.folder / f"{name}.key"]


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"openssl {arguments[0]}: {done.stdout}")
