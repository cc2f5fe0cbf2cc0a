"""What is in an image: read from the OCI layout that buildah pushes to a folder, and everything that is not as docs/one-machine.md and the chart
promise."""

import json
import pathlib
import stat
import subprocess
import tarfile

# The whole image, but for what stands below /usr/share/ccm.
FILES = {
    "etc/group",
    "etc/nsswitch.conf",
    "etc/passwd",
    "etc/ssl/certs/ca-certificates.crt",
    "usr/local/bin/ccm",
    "usr/share/ccm/LICENSE",
}
TOLD = {"usr/share/ccm/sbom.cdx.json", "usr/share/ccm/third-party-licences.txt"}
LABELS = ("title", "description", "vendor", "licenses", "source", "documentation", "version", "revision")


class Image:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        manifest = self.blob(json.loads((self.folder / "index.json").read_text())["manifests"][0]["digest"])
        self.layers = [layer["digest"] for layer in manifest["layers"]]
        self.compressed = sum(layer["size"] for layer in manifest["layers"])
        self.settings = self.blob(manifest["config"]["digest"])
        self.config = self.settings["config"]
        self.entries = [entry for digest in self.layers for entry in self.tar(digest).getmembers()]

    def path(self, digest):
        return self.folder / "blobs" / digest.replace(":", "/")

    def blob(self, digest):
        return json.loads(self.path(digest).read_text())

    def tar(self, digest):
        return tarfile.open(self.path(digest))

    @property
    def size(self):
        return sum(entry.size for entry in self.entries)

    def unpack(self, where):
        for digest in self.layers:
            subprocess.run(["tar", "-xpf", self.path(digest), "-C", where, "--same-owner"], check=True)


def is_library(name):
    return name.startswith(("lib/", "lib64/")) and ".so" in name.rsplit("/", 1)[-1]


def faults_of(image, *, version, limit, linked, complete, epoch=0):
    """Sentences, one a fault. `linked`: the program has libraries beside it, as a debug build does. `complete`: SBOM and licences are there."""
    config, found = image.config, []

    def expect(holds, fault):
        if not holds:
            found.append(fault)

    expect(config.get("User") == "65532:65532", f"it starts as {config.get('User') or 'root'}, not as 65532:65532")
    expect(config.get("Entrypoint") == ["/usr/local/bin/ccm"], f"its entry point is {config.get('Entrypoint')}")
    expect(not config.get("Cmd"), f"it has a command of its own: {config.get('Cmd')}")
    expect(config.get("Env") == ["PATH=/usr/local/bin"], f"its environment is {config.get('Env')}")
    for part in ("Healthcheck", "ExposedPorts", "Volumes"):
        expect(not config.get(part), f"it has {part}")
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in (config.get("Labels") or {}).items()}
    for label in LABELS:
        expect(labels.get(label), f"it has no label {label}")
    expect(labels.get("version") == version, f"its label says version {labels.get('version')}, Cargo.toml {version}")
    expect(len(image.layers) == 1, f"it has {len(image.layers)} layers")
    expect(image.size <= limit, f"it has {image.size / 1e6:.1f} MB, more than {limit / 1e6:.0f}")

    seen = set()
    for entry in image.entries:
        name = entry.name.strip("/")
        if entry.isdir():
            expect(not entry.mode & 0o022, f"/{name} can be written by others")
        else:
            seen.add(name)
            known = name in FILES or name in TOLD or (linked and is_library(name))
            expect(known, f"/{name} has no business in it")
            expect(entry.isfile(), f"/{name} is no plain file")
            expect(not entry.mode & 0o222, f"/{name} can be written")
            runs = name == "usr/local/bin/ccm" or is_library(name)
            expect(runs or not entry.mode & 0o111, f"/{name} can be run")
        expect(not entry.mode & (stat.S_ISUID | stat.S_ISGID), f"/{name} is setuid or setgid")
        expect((entry.uid, entry.gid) == (0, 0), f"/{name} belongs to {entry.uid}:{entry.gid}")
        expect(not any("xattr" in key for key in entry.pax_headers), f"/{name} has extended attributes, maybe capabilities")
        # The folder that all of it is in gets its time from the builder.
        expect(entry.isdir() or int(entry.mtime) == epoch, f"/{name} has a time of its own: two builds differ")
    for name in sorted((FILES | TOLD if complete else FILES) - seen):
        found.append(f"/{name} is missing")
    return found
