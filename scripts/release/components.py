"""components.py - adds to a service's CycloneDX list what is in its image or linked into its binary and is no crate.

    components.py RUST_VERSION PACKAGES.tsv <crates.cdx.json >SERVICE.cdx.json

PACKAGES.tsv has name, version, architecture and SHA-256 of Debian's packages. Their package URLs are those that scanners look up.
"""

import json
import sys
from urllib.parse import quote


def debian(line):
    name, version, arch, digest = line.rstrip("\n").split("\t")
    url = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={arch}&distro=debian-12"
    return {
        "type": "library", "bom-ref": url, "name": name, "version": version, "purl": url,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def main(rust, packages):
    document = json.load(sys.stdin)
    url = f"pkg:generic/rust-std@{rust}"
    document["components"].append({"type": "library", "bom-ref": url, "name": "rust-std", "version": rust, "purl": url})
    with open(packages, encoding="utf-8") as lines:
        document["components"] += [debian(line) for line in lines]
    json.dump(document, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
