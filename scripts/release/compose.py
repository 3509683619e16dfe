"""compose.py - the Compose file of a release, which stands alone.

    compose.py <docker-compose.yml >RELEASE/docker-compose.yml

In the repository the folder texts/ is there from the beginning, so Compose refuses a missing one: the path would be a mistake. Beside a
release's file no folder is there, and Docker makes it.
"""

import sys

CHANGES = [
    (
        "# Words and brand (docs/texts.md). The folder is there from the beginning, and empty but for a README.\n",
        "# Words and brand (docs/texts.md). Docker makes the folder if it is missing; it belongs to root then.\n",
    ),
    ("  bind: {create_host_path: false}\n", "  bind: {create_host_path: true}\n"),
]


def released(text):
    for before, after in CHANGES:
        if text.count(before) != 1:
            raise SystemExit(f"compose.py: expected this line once in docker-compose.yml; bring CHANGES up to date: {before}")
        text = text.replace(before, after)
    return text


if __name__ == "__main__":
    sys.stdout.write(released(sys.stdin.read()))
