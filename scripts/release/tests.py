"""tests.py - what release.sh's programs write, against the formats' rules. Run from the repository's root: python3 scripts/release/tests.py"""

import gzip
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import unittest

# No __pycache__ among the sources.
sys.dont_write_bytecode = True
HERE = pathlib.Path("scripts/release")
EPOCH = "1700000000"
PACKAGES = "libc6\t2.36-9+deb12u14\tamd64\t" + 64 * "a" + "\n"


def run(program, *arguments, text=""):
    done = subprocess.run([sys.executable, str(HERE / program), *map(str, arguments)], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Release(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def image(self, name, archs=("amd64", "arm64"), service="user-service"):
        """The archive's members by name, and the printed digest."""
        for arch in archs:
            files = self.folder / name / arch
            (files / "base/etc").mkdir(parents=True)
            (files / "base/etc/passwd").write_text("root")
            (files / "base/etc/link").symlink_to("passwd")
            (files / service / "bin").mkdir(parents=True)
            binary = files / service / "bin" / service
            binary.write_text(arch)
            binary.chmod(0o700)
            (files / f"{service}.cdx.json").write_text("{}")
            os.utime(binary, (1, 1 + len(name)))
        out = self.folder / f"{name}.tar"
        digest = run("image.py", service, "1.2.3", "c0ffee", "2023-11-14T22:13:20Z", EPOCH, out, *(f"{arch}={self.folder / name / arch}" for arch in archs))
        with tarfile.open(out) as archive:
            members = {member.name: archive.extractfile(member).read() for member in archive}
        return members, digest.strip(), out.read_bytes()

    def test_the_same_files_make_the_same_image(self):
        self.assertEqual(self.image("one")[2], self.image("another")[2])

    def test_every_descriptor_leads_to_a_blob_of_its_size_and_digest(self):
        members, digest, _ = self.image("one")
        seen = set()

        def follow(node):
            if isinstance(node, list):
                for child in node:
                    follow(child)
            elif isinstance(node, dict):
                for child in node.values():
                    follow(child)
                if "digest" in node and "size" in node:
                    data = members["blobs/sha256/" + node["digest"].removeprefix("sha256:")]
                    self.assertEqual((len(data), f"sha256:{hashlib.sha256(data).hexdigest()}"), (node["size"], node["digest"]))
                    seen.add(node["digest"].removeprefix("sha256:"))
                    if node["mediaType"].endswith("+json") and "cyclonedx" not in node["mediaType"]:
                        follow(json.loads(data))

        follow(json.loads(members["index.json"]))
        self.assertIn(digest.removeprefix("sha256:"), seen)
        self.assertEqual(seen, {name.rpartition("/")[2] for name in members if name.startswith("blobs/")})

    def test_an_image_has_its_architecture_its_layers_and_its_list(self):
        members, digest, _ = self.image("one")

        def blob(descriptor):
            return members["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]

        index, *lists = json.loads(members["index.json"])["manifests"]
        self.assertEqual((index["digest"], index["annotations"]["org.opencontainers.image.ref.name"]), (digest, "1.2.3"))
        images = json.loads(blob(index))["manifests"]
        self.assertEqual([image["platform"] for image in images], [{"architecture": arch, "os": "linux"} for arch in ("amd64", "arm64")])
        self.assertEqual([json.loads(blob(item))["subject"]["digest"] for item in lists], [image["digest"] for image in images])
        for image in images:
            manifest = json.loads(blob(image))
            config = json.loads(blob(manifest["config"]))
            self.assertEqual(config["architecture"], image["platform"]["architecture"])
            layers = [gzip.decompress(blob(layer)) for layer in manifest["layers"]]
            self.assertEqual([f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers], config["rootfs"]["diff_ids"])
            with tarfile.open(fileobj=io.BytesIO(layers[0])) as base, tarfile.open(fileobj=io.BytesIO(layers[1])) as service:
                self.assertEqual(base.getmember("etc/link").linkname, "passwd")
                binary = service.getmember("bin/user-service")
                self.assertEqual((binary.mode, binary.uid, binary.mtime), (0o755, 0, int(EPOCH)))
                self.assertEqual(service.extractfile(binary).read().decode(), config["architecture"])

    def test_an_image_runs_as_its_dockerfile_says(self):
        for service, ports in (("user-service", {"3006/tcp", "3008/tcp"}), ("notification-service", {"3007/tcp"})):
            members, _, _ = self.image(service, ("amd64",), service)
            configs = [json.loads(data) for data in members.values() if b'"diff_ids"' in data]
            config = configs[0]["config"]
            self.assertEqual((config["User"], config["Entrypoint"], set(config["ExposedPorts"])), ("65532:65532", [service], ports))
            self.assertEqual(config["Healthcheck"]["Test"], ["CMD", service, "health", "live"])
            self.assertEqual(config["Healthcheck"]["StartPeriod"], 60_000_000_000)
            variable = service.upper().replace("-", "_") + "_ADDR=0.0.0.0:"
            self.assertTrue(any(item.startswith(variable) for item in config["Env"]), config["Env"])

    def test_a_dockerfile_that_is_not_understood_makes_no_image(self):
        sys.path.insert(0, str(HERE))
        import image

        for line in ("VOLUME /data", "HEALTHCHECK --interval=1m CMD [\"x\"]"):
            with self.assertRaises((SystemExit, ValueError)):
                image.runs(f"FROM a\nVOLUME /of-another-stage\nFROM b\n{line}\n")

    def test_provenance_names_files_images_and_packages_with_their_digests(self):
        (self.folder / "files").mkdir()
        (self.folder / "files/a").write_text("content")
        (self.folder / "packages.tsv").write_text(PACKAGES)
        (self.folder / "compiler").write_text("gcc 12.2.0\n")
        written = run("provenance.py", "1.2.3", "c0ffee", "1.95.0", "2023-11-14T22:13:20Z", self.folder / "files",
                      f"amd64={self.folder}", f"arm64={self.folder}", text=f"user-service sha256:{64 * 'b'}\n")
        statement = json.loads(written)
        self.assertEqual((statement["_type"], statement["predicateType"]), ("https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"))
        self.assertEqual(statement["subject"], [
            {"name": "a", "digest": {"sha256": hashlib.sha256(b"content").hexdigest()}},
            {"name": "user-service", "digest": {"sha256": 64 * "b"}},
        ])
        definition = statement["predicate"]["buildDefinition"]
        self.assertEqual(definition["internalParameters"], {"compilers": {"amd64": "gcc 12.2.0", "arm64": "gcc 12.2.0"}})
        materials = definition["resolvedDependencies"]
        self.assertEqual(len(materials), len({json.dumps(material) for material in materials}))
        self.assertIn({"uri": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12", "digest": {"sha256": 64 * "a"}}, materials)
        self.assertIn({"name": "source", "digest": {"gitCommit": "c0ffee"}}, materials)

    def test_the_compose_file_of_a_release_needs_no_folder_beside_it(self):
        text = pathlib.Path("docker-compose.yml").read_text()
        made = run("compose.py", text=text)
        changed = [line for line in made.splitlines() if line not in text.splitlines()]
        self.assertEqual(changed[1:], ["  bind: {create_host_path: true}"])
        self.assertNotIn("create_host_path: false", made)
        self.assertEqual(len(made.splitlines()), len(text.splitlines()))
        # All that is mounted from the host.
        self.assertEqual(made.count("type: bind"), 1)

    def test_a_compose_file_that_has_changed_is_not_released_unseen(self):
        done = subprocess.run([sys.executable, str(HERE / "compose.py")], input="services: {}", capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("CHANGES", done.stderr)

    def test_a_list_has_what_is_no_crate(self):
        (self.folder / "packages.tsv").write_text(PACKAGES)
        crate = {"type": "library", "name": "serde"}
        found = json.loads(run("components.py", "1.95.0", self.folder / "packages.tsv", text=json.dumps({"components": [crate]})))["components"]
        self.assertEqual([item["name"] for item in found], ["serde", "rust-std", "libc6"])
        self.assertEqual(found[2]["hashes"], [{"alg": "SHA-256", "content": 64 * "a"}])


if __name__ == "__main__":
    unittest.main()
