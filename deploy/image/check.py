"""deploy/dev/check-image: builds the Dockerfile's last stage from the tree of a program, twice, looks it through, and starts it."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import tomllib

import oci
import started

# A debug build, stripped, is 95 MB, with its libraries 99. A release's was not measured when this was written: its limit is a guess, to be made tighter.
LIMITS = {"debug": 130e6, "release": 60e6}
# What .dockerignore lets into a build.
BUILT_FROM = ["Cargo.toml", "Cargo.lock", "LICENSE", "deploy/image/", "docs/openapi.json", "docs/link-doctor.md", "libs/", "migrations/", "services/"]


class Builder:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.storage = ("--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run"))
        self.env = {**os.environ, "STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}
        self.count = 0

    def buildah(self, *command):
        done = subprocess.run(["buildah", *self.storage, *command], env=self.env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"buildah {command[0]} failed: {done.stderr.strip()[-1500:]}")
        return done.stdout

    def tree(self, binary, *files):
        self.count += 1
        out = self.folder / f"tree{self.count}"
        subprocess.run(["deploy/image/tree", binary, out, *files], check=True)
        return out

    def image(self, tree, dockerfile="Dockerfile", *, epoch="0", compressed=False):
        """Builds `final` alone, with `tree` in the place of the stage of that name; no base image is needed then."""
        options = ("--timestamp", epoch, "--build-arg", "REVISION=check", "--target", "final", "--build-context", f"tree={tree}")
        return self.build(tree.name, *options, "-f", dockerfile, compressed=compressed)

    def build(self, name, *options, compressed=False):
        layout = self.folder / f"image-{name}"
        self.buildah("bud", "--isolation", "chroot", "--no-cache", *options, "-t", f"ccm:{name}", ".")
        self.buildah("push", "--quiet", *(() if compressed else ("--disable-compression",)), f"ccm:{name}", f"oci:{layout}:ccm")
        self.buildah("rmi", "--force", f"ccm:{name}")
        return oci.Image(layout)


    def context(self):
        """What the builder's stages see of this folder, as .dockerignore leaves it."""
        file = self.folder / "Dockerfile.context"
        file.write_text("FROM scratch\nCOPY . /\n")
        return self.build("context", "-f", str(file))


def context_faults(context):
    """The context must have all that is compiled in, and nothing that is secret or changes without need."""
    names = {entry.name.strip("/") for entry in context.entries if not entry.isdir()}
    tracked = subprocess.run(["git", "ls-files", *BUILT_FROM], capture_output=True, text=True, check=True).stdout.split()
    found = [f".dockerignore leaves out {name}" for name in sorted(set(tracked) - names)]
    for source in (name for name in tracked if name.endswith(".rs") and "/tests/" not in name):
        for other in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', pathlib.Path(source).read_text()):
            wanted = os.path.normpath(os.path.join(os.path.dirname(source), other))
            if wanted not in names:
                found.append(f".dockerignore leaves out {wanted}, which {source} has in it")
    ours = tuple(BUILT_FROM)
    return found + [f".dockerignore lets {name} in" for name in sorted(names) if not name.startswith(ours) or "/target/" in name]


def mutations(builder, version):
    """Breaks a small image in each way that is looked for; what is not found."""
    small = "/bin/true"
    text = pathlib.Path("Dockerfile").read_text()

    def plant(change, dockerfile=text, epoch="0"):
        tree = builder.tree(small)
        subprocess.run(["chmod", "-R", "u+w", tree], check=True)
        change(tree)
        file = builder.folder / f"Dockerfile{builder.count}"
        file.write_text(dockerfile)
        image = builder.image(tree, str(file), epoch=epoch)
        return oci.faults_of(image, version=version, limit=LIMITS["debug"], linked=True, complete=False)

    def chmod_back(tree):
        subprocess.run(["find", tree, "-type", "f", "-exec", "chmod", "a-w", "{}", "+"], check=True)

    def shell(tree):
        subprocess.run(["install", "-D", "-m", "0755", "/bin/sh", tree / "bin/sh"], check=True)

    def setuid(tree):
        chmod_back(tree)
        (tree / "usr/local/bin/ccm").chmod(0o4555)

    def capability(tree):
        chmod_back(tree)
        subprocess.run(["setcap", "cap_net_bind_service=ep", tree / "usr/local/bin/ccm"], check=True)

    def no_authorities(tree):
        chmod_back(tree)
        (tree / "etc/ssl/certs/ca-certificates.crt").unlink()

    def secret(tree):
        chmod_back(tree)
        (tree / "etc/ccm.toml").write_text("")

    cases = {
        "nothing": (None, chmod_back, text),
        "a shell": ("/bin/sh has no business in it", shell, text),
        "a setuid program": ("is setuid", setuid, text),
        "a file that is not ours": ("/etc/ccm.toml has no business", secret, text),
        "no authorities": ("ca-certificates.crt is missing", no_authorities, text),
        "files that can be written": ("can be written", lambda tree: None, text),
        "root": ("starts as root", chmod_back, text.replace("USER 65532:65532\n", "")),
        "another entry point": ("entry point", chmod_back, text.replace('ENTRYPOINT ["/usr/local/bin/ccm"]', 'ENTRYPOINT ["/ccm"]')),
        "no label": ("no label", chmod_back, text.replace("org.opencontainers.image.licenses", "other.licenses")),
    }
    if subprocess.run(["which", "setcap"], capture_output=True).returncode == 0:
        cases["a capability"] = ("maybe capabilities", capability, text)
    missed = []
    for name, (wanted, change, dockerfile) in cases.items():
        found = plant(change, dockerfile)
        if wanted is None:
            if found:
                missed.append(f"nothing was broken, and it was found that {'; '.join(found)}")
        elif not any(wanted in fault for fault in found):
            missed.append(f"{name} was planted and not found; found: {found}")
    found = plant(chmod_back, epoch="1")
    if not any("two builds differ" in fault for fault in found):
        missed.append(f"another time was planted and not found; found: {found}")
    return missed, len(cases) + 1


def main(kind, binary, *files):
    version = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
    defaults = [f"[{section}]" for section in tomllib.loads(pathlib.Path("libs/runtime/src/config/default.toml").read_text())]
    started.network()
    with tempfile.TemporaryDirectory(prefix="ccm-image-") as folder:
        builder = Builder(folder)
        began = time.monotonic()
        stripped = builder.folder / "ccm"
        subprocess.run(["strip", "-o", stripped, binary], check=True)
        linked = kind == "debug"
        trees = builder.tree(stripped, *files), builder.tree(stripped, *files)
        image, again = builder.image(trees[0], compressed=True), builder.image(trees[1])
        faults = oci.faults_of(image, version=version, limit=LIMITS[kind], linked=linked, complete=any("sbom" in file for file in files))
        # The settings have the layer's digest, before it is compressed, among them.
        layer, layer_again = (which.settings["rootfs"]["diff_ids"] for which in (image, again))
        if layer != layer_again:
            faults.append(f"two builds have different layers: {layer} and {layer_again}")
        elif image.settings != again.settings:
            faults.append("two builds have different settings")
        program = next(entry.size for entry in image.entries if entry.name.endswith("bin/ccm"))
        print(f"the image of the {kind} build: {image.size / 1e6:.1f} MB, {image.compressed / 1e6:.1f} MB compressed, of which ccm {program / 1e6:.1f} MB;")
        print(f"  limit {LIMITS[kind] / 1e6:.0f} MB; built twice: {layer[0][:19]}… both times ({time.monotonic() - began:.0f} s)")
        faults += context_faults(builder.context())
        missed, count = mutations(builder, version)
        faults += missed
        print(f"  {count - len(missed)} of {count} ways to break it are told apart ({time.monotonic() - began:.0f} s)")
        if not faults:
            try:
                print(f"  started read-only, as 65532, without rights: {started.try_out(image, folder + '/started', version, defaults)}")
            except started.Wrong as wrong:
                faults.append(str(wrong))
        for fault in faults:
            print(f"  wrong: {fault}")
        # Mounts go with this mount namespace; the folder must be free of them to be removed.
        subprocess.run(["umount", "--recursive", f"{folder}/started/root"], stderr=subprocess.DEVNULL)
        return 1 if faults else 0


def unpack_context(out):
    """The Dockerfile's context, for --long: what is not in it is missed by the compiler."""
    with tempfile.TemporaryDirectory(prefix="ccm-image-") as folder:
        Builder(folder).context().unpack(out)


if __name__ == "__main__":
    sys.exit(unpack_context(sys.argv[2]) if sys.argv[1] == "context" else main(*sys.argv[1:]))
