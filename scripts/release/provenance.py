"""provenance.py - how the files of a release were made: an in-toto statement (v1) with SLSA's provenance (v1) as its predicate.

    provenance.py VERSION COMMIT RUST_VERSION STARTED FOLDER ARCH=PACKAGES... <"NAME DIGEST" of each image

Subjects are all files of FOLDER and the images. STARTED is a time in RFC 3339. PACKAGES is a folder with packages.tsv (name, version,
architecture, SHA-256 of Debian's packages) and `compiler` (the version of the C compiler).
"""

import datetime
import hashlib
import json
import pathlib
import sys
from urllib.parse import quote


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def debian(packages):
    """The packages that were linked, or put into an image."""
    for line in pathlib.Path(packages, "packages.tsv").read_text(encoding="utf-8").splitlines():
        name, version, arch, digest = line.split("\t")
        yield {"uri": f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={arch}&distro=debian-12", "digest": {"sha256": digest}}


def main(version, commit, rust, started, folder, *packages):
    subjects = [{"name": path.name, "digest": {"sha256": sha256(path)}} for path in sorted(pathlib.Path(folder).iterdir())]
    for line in sys.stdin:
        name, digest = line.split()
        subjects.append({"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}})
    # Without an address: the commit names the source wherever it is kept.
    materials = [
        {"name": "source", "digest": {"gitCommit": commit}},
        {"name": "Cargo.lock", "digest": {"sha256": sha256("Cargo.lock")}},
        {"uri": f"pkg:generic/rust@{rust}"},
    ]
    folders = dict(pair.split("=", 1) for pair in packages)
    # A package of all architectures is in several lists.
    materials += {package["uri"]: package for packages in folders.values() for package in debian(packages)}.values()
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:two-step-signup:release-script:v1",
                "externalParameters": {"version": version, "architectures": list(folders)},
                "internalParameters": {
                    "compilers": {arch: pathlib.Path(folder, "compiler").read_text(encoding="utf-8").strip() for arch, folder in folders.items()},
                },
                "resolvedDependencies": materials,
            },
            "runDetails": {
                # The machine of a person who releases, not a hosted build platform: level 1.
                "builder": {"id": "urn:two-step-signup:builder:own-machine"},
                "metadata": {
                    "startedOn": started,
                    "finishedOn": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            },
        },
    }
    json.dump(statement, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
