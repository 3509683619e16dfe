"""image.py - one service's image as an archive with an OCI layout, for one or more architectures. Needs no container engine.

    image.py SERVICE VERSION COMMIT CREATED EPOCH OUT ARCH=FOLDER...

FOLDER has `base` and `SERVICE`, the files of the two layers, and `SERVICE.cdx.json`, which is attached to the image of its architecture. The
service's Dockerfile says how the image runs. The same files make the same bytes: names are sorted, times are EPOCH (CREATED in RFC 3339), owners are root.
Prints the digest. Format: OCI image specification 1.1, "Image Layout" and "Image Manifest".
"""

import gzip
import hashlib
import io
import json
import pathlib
import re
import shlex
import stat
import sys
import tarfile

OCI = "application/vnd.oci.image"
SECONDS = 1_000_000_000


class Layout:
    """Blobs by digest."""

    def __init__(self):
        self.blobs = {}

    def add(self, media_type, data, **fields):
        """A descriptor of the data, which is kept."""
        if not isinstance(data, bytes):
            data = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data), **fields}

    def write(self, out, index, epoch):
        files = {f"blobs/sha256/{digest}": data for digest, data in self.blobs.items()}
        files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        files["index.json"] = json.dumps(index, sort_keys=True).encode()
        with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as archive:
            for name, data in sorted(files.items()):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime, entry.mode = len(data), epoch, 0o644
                archive.addfile(entry, io.BytesIO(data))


def layer(folder, epoch):
    """An uncompressed layer with the files of a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            entry = archive.gettarinfo(path, str(path.relative_to(folder)))
            executable = path.is_dir() or path.lstat().st_mode & stat.S_IXUSR
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime, entry.mode = epoch, 0o777 if path.is_symlink() else 0o755 if executable else 0o644
            with open(path, "rb") if entry.isreg() else io.BytesIO() as content:
                archive.addfile(entry, content if entry.isreg() else None)
    return buffer.getvalue()


def runs(dockerfile):
    """The configuration that the last stage of a Dockerfile gives its image. An instruction that is not understood is an error."""
    stage = re.split(r"^FROM .*$", dockerfile.replace("\\\n", " "), flags=re.MULTILINE)[-1]
    config = {"Env": ["PATH=/usr/local/bin"]}
    for line in stage.splitlines():
        name, _, value = line.partition(" ")
        if name == "ENV":
            config["Env"] += shlex.split(value)
        elif name == "EXPOSE":
            config["ExposedPorts"] = {f"{port}/tcp": {} for port in value.split()}
        elif name == "USER":
            config["User"] = value
        elif name == "ENTRYPOINT":
            config["Entrypoint"] = json.loads(value)
        elif name == "HEALTHCHECK":
            # Docker's, which the OCI specification does not have and lets pass.
            options, command = value.split(" CMD ")
            times = {key: int(time.removesuffix("s")) * SECONDS for key, time in re.findall(r"--([a-z-]+)=(\S+)", options)}
            config["Healthcheck"] = {"Test": ["CMD", *json.loads(command)]}
            config["Healthcheck"] |= {"".join(word.title() for word in key.split("-")): time for key, time in times.items()}
        elif line and name not in ("COPY", "#"):
            sys.exit(f"image.py: the Dockerfile has `{line}`, expected one of ENV, EXPOSE, USER, ENTRYPOINT, HEALTHCHECK, COPY")
    return config


def image(layout, service, arch, folder, config, created, annotations, epoch):
    """The descriptor of one architecture's image, and that of its list of components."""
    layers, diffs = [], []
    for name in ("base", service):
        data = layer(folder / name, epoch)
        diffs.append(f"sha256:{hashlib.sha256(data).hexdigest()}")
        layers.append(layout.add(f"{OCI}.layer.v1.tar+gzip", gzip.compress(data, mtime=0)))
    history = [{"created": created, "created_by": f"release.sh: {name}"} for name in ("base", service)]
    config = {
        "architecture": arch, "os": "linux", "created": created, "config": config | {"Labels": annotations},
        "rootfs": {"type": "layers", "diff_ids": diffs}, "history": history,
    }
    manifest = {
        "schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": layout.add(f"{OCI}.config.v1+json", config),
        "layers": layers, "annotations": annotations,
    }
    runnable = layout.add(f"{OCI}.manifest.v1+json", manifest)
    components = "application/vnd.cyclonedx+json"
    attached = {
        "schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "artifactType": components,
        "config": layout.add("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [layout.add(components, (folder / f"{service}.cdx.json").read_bytes())],
        "subject": runnable, "annotations": {"org.opencontainers.image.created": created},
    }
    return (
        runnable | {"platform": {"architecture": arch, "os": "linux"}},
        layout.add(f"{OCI}.manifest.v1+json", attached, artifactType=components),
    )


def main(service, version, commit, created, epoch, out, *folders):
    layout, images, lists = Layout(), [], []
    config = runs(pathlib.Path(service, "Dockerfile").read_text(encoding="utf-8"))
    annotations = {
        f"org.opencontainers.image.{key}": value
        for key, value in {"title": service, "version": version, "revision": commit, "created": created, "licenses": "MIT OR Apache-2.0"}.items()
    }
    for arch, folder in (pair.split("=", 1) for pair in folders):
        runnable, attached = image(layout, service, arch, pathlib.Path(folder), config, created, annotations, int(epoch))
        images.append(runnable)
        lists.append(attached)
    index = layout.add(
        f"{OCI}.index.v1+json",
        {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": images, "annotations": annotations},
        annotations={"org.opencontainers.image.ref.name": version},
    )
    layout.write(out, {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": [index, *lists]}, int(epoch))
    print(index["digest"])


if __name__ == "__main__":
    main(*sys.argv[1:])
