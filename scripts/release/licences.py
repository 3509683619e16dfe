"""licences.py - the licence texts of the crates that are in a service's binary. Permissive licences require them with it.

    licences.py SERVICE TARGET >THIRD-PARTY.txt

A crate brings its own files, also those of C code in it. A text that several crates share stands there once.
"""

import json
import pathlib
import re
import subprocess
import sys

TEXT = re.compile(r"(licen[cs]e|copying|notice|unlicense|copyright)s?([._-].*)?", re.IGNORECASE)
CODE = {".rs", ".py", ".c", ".h", ".json", ".toml", ".yml", ".yaml", ".sh"}


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments, "--locked"], check=True, capture_output=True, text=True).stdout


def linked(service, target):
    """(name, version) of the crates whose code is in the binary: not those that only run while it is built."""
    tree = cargo("tree", "-p", service, "-e", "normal,no-proc-macro", "--features", f"{service}/kafka-tls,{service}/otel", "--target", target, "--prefix", "none", "-f", "{p}")
    return {(line.split()[0], line.split()[1].removeprefix("v")) for line in tree.splitlines() if line}


def texts(folder):
    """The licence files of a package, those of libraries in it included."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and TEXT.fullmatch(file.name) and file.suffix.lower() not in CODE and "tests" not in file.relative_to(folder).parts:
            yield file.relative_to(folder), file.read_text(encoding="utf-8", errors="replace").strip()


def main(service, target):
    names, shared, crates = linked(service, target), {}, []
    for package in json.loads(cargo("metadata", "--format-version", "1", "--filter-platform", target))["packages"]:
        if package["source"] and (package["name"], package["version"]) in names:
            crates.append(package)
    for package in sorted(crates, key=lambda crate: (crate["name"], crate["version"])):
        name, found = f"{package['name']} {package['version']} ({package['license']})", 0
        for file, text in texts(pathlib.Path(package["manifest_path"]).parent):
            shared.setdefault(text, []).append(f"{name}: {file}")
            found += 1
        if not found:
            text = f"The package has no licence file. Authors: {', '.join(package['authors']) or 'not named'}."
            shared.setdefault(text, []).append(name)
    print(
        f"The binary of {service} contains Rust's standard library (MIT OR Apache-2.0) and OpenSSL (Apache-2.0): LICENSE-MIT and LICENSE-APACHE\n"
        f"have these texts. It contains code of {len(crates)} crates. Their licences, and those of the libraries in them:"
    )
    for text, users in shared.items():
        print("", "=" * 100, *users, "-" * 100, text, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
