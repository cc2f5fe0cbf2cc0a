"""What must hold for the manifests of one release: `findings(manifests)` lists what does not.

Each policy is a generator of findings, and has at least one mutation in mutations.py that proves that it can find something.
"""

import re
import tomllib

ROLES = {"ingest", "connector", "dispatch", "admin", "screenpop", "deflection", "events"}
# Who is called from outside at all, and who dials what (docs/operations.md).
CALLED = {"ingest", "admin", "screenpop", "deflection"}
DIALS_AACC = {"connector", "admin", "deflection", "test"}
DIALS_OUT = {"connector", "dispatch", "admin", "screenpop", "events"}
NAME, INSTANCE, COMPONENT, VERSION = (
    f"app.kubernetes.io/{part}" for part in ("name", "instance", "component", "version")
)
# What the Pod Security Standard `restricted` lets pods mount, as far as the chart uses it.
RESTRICTED_VOLUMES = {"configMap", "projected", "emptyDir"}
# Seconds that a pod must have beyond what the program may take.
SPARE = 5


def title(manifest):
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def labels(manifest):
    return manifest["metadata"].get("labels", {})


def of_kind(manifests, *kinds):
    return [m for m in manifests if m["kind"] in kinds]


def pod_of(manifest):
    """The pod that a workload makes (metadata and spec), or None."""
    if manifest["kind"] == "Pod":
        return manifest
    if manifest["kind"] in {"Deployment", "StatefulSet", "Job", "DaemonSet", "ReplicaSet"}:
        return manifest["spec"]["template"]
    if manifest["kind"] == "CronJob":
        return manifest["spec"]["jobTemplate"]["spec"]["template"]
    return None


def pods(manifests):
    """(title, component, pod) of every workload."""
    for manifest in manifests:
        pod = pod_of(manifest)
        if pod:
            yield title(manifest), pod["metadata"].get("labels", {}).get(COMPONENT, ""), pod


def containers(manifests):
    for name, component, pod in pods(manifests):
        spec = pod["spec"]
        for container in spec.get("initContainers", []) + spec["containers"]:
            yield f"{name}, container {container['name']}", component, container


def selects(selector, pod_labels):
    """Whether matchLabels fit; the chart uses nothing else."""
    wanted = selector.get("matchLabels", selector)
    return all(pod_labels.get(key) == value for key, value in wanted.items())


def least_pods(deployment, manifests):
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        if scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]:
            return scaler["spec"]["minReplicas"]
    return deployment["spec"].get("replicas", 1)


def settings(manifests):
    """The program's configuration file."""
    for config in of_kind(manifests, "ConfigMap"):
        if "ccm.toml" in config["data"]:
            return tomllib.loads(config["data"]["ccm.toml"])
    return {}


# --- what a pod may do ---------------------------------------------------------------------------------------------------------


def nobody_is_root(manifests):
    for name, _, pod in pods(manifests):
        spec = pod["spec"]
        security = spec.get("securityContext", {})
        if security.get("runAsNonRoot") is not True or not security.get("runAsUser"):
            yield f"{name}: may run as root"
        if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name}: has no seccomp profile"
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if spec.get(key):
                yield f"{name}: shares its node's {key}"
        for volume in spec.get("volumes", []):
            if not set(volume) - {"name"} <= RESTRICTED_VOLUMES:
                yield f"{name}: its volume {volume['name']} is of a kind that the standard `restricted` does not allow"
    for name, _, container in containers(manifests):
        security = container.get("securityContext", {})
        if security.get("runAsUser") == 0 or security.get("runAsNonRoot") is False:
            yield f"{name}: runs as root"


def containers_are_closed(manifests):
    for name, _, container in containers(manifests):
        security = container.get("securityContext", {})
        if security.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: can write to its root file system"
        if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
            yield f"{name}: can gain privileges"
        capabilities = security.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            yield f"{name}: keeps capabilities"


def amounts_are_bounded(manifests):
    for name, _, container in containers(manifests):
        resources = container.get("resources", {})
        for kind in ("requests", "limits"):
            for what in ("cpu", "memory"):
                if not resources.get(kind, {}).get(what):
                    yield f"{name}: has no {kind} of {what}"


def images_are_pinned(manifests):
    for name, _, container in containers(manifests):
        image = container["image"]
        # A registry's port has a slash after it.
        tag = re.search(r":([^:/@]+)(@|$)", image)
        if "@sha256:" not in image and not tag:
            yield f"{name}: {image} has neither tag nor digest"
        if tag and tag[1] == "latest":
            yield f"{name}: {image} is whatever comes"


def no_token(manifests):
    accounts = {m["metadata"]["name"]: m for m in of_kind(manifests, "ServiceAccount")}
    for account in accounts.values():
        if account.get("automountServiceAccountToken") is not False:
            yield f"{title(account)}: gives its pods a token"
    used = {}
    for name, component, pod in pods(manifests):
        spec = pod["spec"]
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name}: has a service account's token"
        account = spec.get("serviceAccountName")
        if account not in accounts:
            yield f"{name}: its service account {account} is not in the release"
        elif used.setdefault(account, component) != component:
            yield f"{name}: shares its service account with {used[account]}"
        if spec.get("enableServiceLinks") is not False:
            yield f"{name}: has every Service of the namespace in its environment"


# --- life of pods --------------------------------------------------------------------------------------------------------------


def probes_are_there(manifests):
    for workload in of_kind(manifests, "Deployment", "StatefulSet"):
        component = labels(workload).get(COMPONENT)
        for container in workload["spec"]["template"]["spec"]["containers"]:
            for kind in ("startup", "liveness", "readiness"):
                probe = container.get(f"{kind}Probe")
                if not probe:
                    yield f"{title(workload)}: has no {kind} probe"
                elif component in ROLES:
                    path = "/readyz" if kind == "readiness" else "/healthz"
                    if probe.get("httpGet") != {"path": path, "port": "ops"}:
                        yield f"{title(workload)}: its {kind} probe does not ask {path} of the port ops"


def drains_are_waited_for(manifests):
    grace = settings(manifests).get("shutdown", {}).get("grace_ms")
    for deployment in of_kind(manifests, "Deployment"):
        spec = deployment["spec"]["template"]["spec"]
        wait = 0
        for container in spec["containers"]:
            hook = container.get("lifecycle", {}).get("preStop", {})
            if hook and "sleep" not in hook:
                yield f"{title(deployment)}: its preStop needs a shell, and the image has none"
            wait = max(wait, hook.get("sleep", {}).get("seconds", 0))
        if grace is None or spec.get("terminationGracePeriodSeconds", 30) < wait + grace / 1000 + SPARE:
            yield f"{title(deployment)}: is killed before its drain is over"
        if labels(deployment).get(COMPONENT) in CALLED and not wait:
            yield f"{title(deployment)}: stops accepting before load balancers have looked away"


def roll_outs_lose_none(manifests):
    lease = settings(manifests).get("connector", {}).get("lease_ms", 5000)
    for deployment in of_kind(manifests, "Deployment"):
        spec = deployment["spec"]
        rolling = spec.get("strategy", {}).get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0 or not rolling.get("maxSurge"):
            yield f"{title(deployment)}: a roll-out takes pods away before others are ready"
        if labels(deployment).get(COMPONENT) == "connector" and spec.get("minReadySeconds", 0) * 1000 <= lease:
            yield f"{title(deployment)}: the next pod goes before a new one has its share of the chats"
        if "checksum/config" not in spec["template"]["metadata"].get("annotations", {}):
            yield f"{title(deployment)}: does not notice another configuration"


def budgets_fit(manifests):
    budgets = of_kind(manifests, "PodDisruptionBudget")
    for deployment in of_kind(manifests, "Deployment"):
        pod_labels = deployment["spec"]["template"]["metadata"]["labels"]
        mine = [b for b in budgets if selects(b["spec"]["selector"], pod_labels)]
        if least_pods(deployment, manifests) > 1 and len(mine) != 1:
            yield f"{title(deployment)}: has {len(mine)} PodDisruptionBudgets"
        if least_pods(deployment, manifests) == 1 and mine:
            yield f"{title(deployment)}: its budget keeps its node from being drained"


def scalers_fit(manifests):
    deployments = {m["metadata"]["name"]: m for m in of_kind(manifests, "Deployment")}
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = deployments.get(scaler["spec"]["scaleTargetRef"]["name"])
        if not target:
            yield f"{title(scaler)}: scales nothing"
        elif "replicas" in target["spec"]:
            yield f"{title(target)}: each upgrade undoes its autoscaler's work"
        if not scaler["spec"].get("metrics"):
            yield f"{title(scaler)}: has nothing to go by"
        if "scaleDown" not in scaler["spec"].get("behavior", {}):
            yield f"{title(scaler)}: scales down at once"


# --- who talks to whom ---------------------------------------------------------------------------------------------------------


def pods_are_closed(manifests):
    policies = of_kind(manifests, "NetworkPolicy")
    for name, _, pod in pods(manifests):
        mine = [p["spec"] for p in policies if selects(p["spec"]["podSelector"], pod["metadata"]["labels"])]
        for way in ("Ingress", "Egress"):
            if not any(way in spec.get("policyTypes", []) for spec in mine):
                yield f"{name}: no NetworkPolicy closes its {way.lower()}"
    for policy in policies:
        for rule in policy["spec"].get("ingress", []):
            if not rule.get("from") or not rule.get("ports"):
                yield f"{title(policy)}: lets everybody in, or to every port"
        for rule in policy["spec"].get("egress", []):
            if not rule.get("ports"):
                yield f"{title(policy)}: lets out to every port"


def ports_of(rule):
    return {port["port"] for port in rule.get("ports", [])}


def few_are_reached(manifests):
    """From outside the called roles alone, and AACCs and the internet by those alone that need them."""
    for policy in of_kind(manifests, "NetworkPolicy"):
        component = policy["spec"]["podSelector"]["matchLabels"].get(COMPONENT)
        for rule in policy["spec"].get("ingress", []):
            if "http" in ports_of(rule) and component not in CALLED:
                yield f"{title(policy)}: lets the entry call {component}"
        for rule in policy["spec"].get("egress", []):
            ports = ports_of(rule)
            if ports & {8445, 8081} and component not in DIALS_AACC:
                yield f"{title(policy)}: lets {component} reach AACCs"
            if 443 in ports and component not in DIALS_AACC | DIALS_OUT:
                yield f"{title(policy)}: lets {component} reach the internet"


def entries_are_let_in(manifests):
    """What an Ingress or HTTPRoute names is there, has a certificate and may be called."""
    services = {m["metadata"]["name"]: m for m in of_kind(manifests, "Service")}
    hosts = []
    for entry in of_kind(manifests, "Ingress", "HTTPRoute"):
        spec = entry["spec"]
        if entry["kind"] == "Ingress":
            names = [rule["host"] for rule in spec["rules"]]
            backends = [path["backend"]["service"]["name"] for rule in spec["rules"] for path in rule["http"]["paths"]]
            if set(names) - {host for tls in spec.get("tls", []) for host in tls["hosts"]}:
                yield f"{title(entry)}: has a host without a certificate"
        else:
            names = spec["hostnames"]
            backends = [backend["name"] for rule in spec["rules"] for backend in rule["backendRefs"]]
            if not spec["parentRefs"]:
                yield f"{title(entry)}: belongs to no Gateway"
        hosts += names
        for backend in backends:
            service = services.get(backend)
            if not service:
                yield f"{title(entry)}: leads to {backend}, which is not there"
                continue
            called = [
                p
                for p in of_kind(manifests, "NetworkPolicy")
                if selects(p["spec"]["podSelector"], service["spec"]["selector"])
                and any("http" in ports_of(rule) for rule in p["spec"].get("ingress", []))
            ]
            if not called:
                yield f"{title(entry)}: the NetworkPolicies do not let it in"
    if len(hosts) != len(set(hosts)):
        yield "two roles share a host"


# --- secrets -------------------------------------------------------------------------------------------------------------------

SECRET_SETTINGS = {
    ("database", "app_url"),
    ("database", "system_url"),
    ("database", "owner_url"),
    ("redis", "url"),
    ("keys", "master_key"),
}
CREDENTIALS = re.compile(r"\w+://[^/\s:@]*:(?!\$\()[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----")


def secrets_are_elsewhere(manifests):
    for secret in of_kind(manifests, "Secret"):
        yield f"{title(secret)}: secrets are named, not made"
    for config in of_kind(manifests, "ConfigMap"):
        for key, text in config["data"].items():
            if CREDENTIALS.search(text):
                yield f"{title(config)}: {key} holds credentials"
    for section, keys in settings(manifests).items():
        for key in keys:
            if (section, key) in SECRET_SETTINGS:
                yield f"the configuration holds {section}.{key}"
    for name, _, container in containers(manifests):
        for variable in container.get("env", []):
            if CREDENTIALS.search(variable.get("value", "")):
                yield f"{name}: {variable['name']} holds credentials"


def secrets_of(pod):
    spec = pod["spec"]
    for volume in spec.get("volumes", []):
        sources = volume.get("projected", {}).get("sources", []) + [volume]
        for source in sources:
            secret = source.get("secret")
            if secret:
                for item in secret.get("items", [{"path": ""}]):
                    yield item["path"]
    for container in spec["containers"]:
        for variable in container.get("env", []):
            if variable.get("valueFrom", {}).get("secretKeyRef"):
                yield variable["name"]


def secrets_are_few(manifests):
    """The owner's address is the migration's, keys of tokens are the admin role's."""
    for name, component, pod in pods(manifests):
        has = set(secrets_of(pod))
        if "CCM__DATABASE__OWNER_URL" in has and component != "migrate":
            yield f"{name}: knows the owner of the tables"
        if component == "migrate" and has & {"master.key", "CCM__DATABASE__APP_URL"}:
            yield f"{name}: knows more than it needs"
        if has & {"jwt.key", "client.secret"} and component != "admin":
            yield f"{name}: knows the admin role's keys"
        if component in ROLES and "master.key" not in has:
            yield f"{name}: has no master key"


# --- that all fits together ----------------------------------------------------------------------------------------------------


def labels_agree(manifests):
    instances = set()
    for manifest in manifests:
        found = labels(manifest)
        for label in (NAME, INSTANCE, COMPONENT, VERSION, "app.kubernetes.io/managed-by", "helm.sh/chart"):
            if label not in found:
                yield f"{title(manifest)}: has no label {label}"
        instances.add((found.get(NAME), found.get(INSTANCE)))
        pod = pod_of(manifest)
        if pod and pod is not manifest:
            of_pod = pod["metadata"].get("labels", {})
            for label in (NAME, INSTANCE, COMPONENT, VERSION):
                if of_pod.get(label) != found.get(label):
                    yield f"{title(manifest)}: its pods have another {label}"
    if len(instances) > 1:
        yield f"objects of one release carry different names: {sorted(map(str, instances))}"


def selectors_match(manifests):
    made = list(pods(manifests))
    for workload in of_kind(manifests, "Deployment", "StatefulSet"):
        selector, template = workload["spec"]["selector"], workload["spec"]["template"]
        if not selects(selector, template["metadata"]["labels"]):
            yield f"{title(workload)}: does not select its own pods"
        others = [n for n, _, p in made if selects(selector, p["metadata"]["labels"]) and n != title(workload)]
        if others:
            yield f"{title(workload)}: also selects pods of {', '.join(others)}"
        for spread in template["spec"].get("topologySpreadConstraints", []):
            if not selects(spread["labelSelector"], template["metadata"]["labels"]):
                yield f"{title(workload)}: spreads pods of others"
    for service in of_kind(manifests, "Service"):
        behind = [p for _, _, p in made if selects(service["spec"]["selector"], p["metadata"]["labels"])]
        if len(behind) != 1:
            yield f"{title(service)}: has {len(behind)} workloads behind it"
            continue
        names = {port.get("name") for c in behind[0]["spec"]["containers"] for port in c.get("ports", [])}
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in names:
                yield f"{title(service)}: leads to a port {port['targetPort']} that is not there"
    for other in of_kind(manifests, "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        selector = other["spec"].get("selector") or other["spec"]["podSelector"]
        if labels(other).get(COMPONENT) == "test":  # its pods exist when tests run
            continue
        if not any(selects(selector, p["metadata"]["labels"]) for _, _, p in made):
            yield f"{title(other)}: selects no pod"


def references_exist(manifests):
    configs = {m["metadata"]["name"] for m in of_kind(manifests, "ConfigMap")}
    own = next((m["metadata"]["name"] for m in of_kind(manifests, "ConfigMap") if "ccm.toml" in m["data"]), "")
    seen = set()
    for manifest in manifests:
        if title(manifest) in seen:
            yield f"{title(manifest)}: is there twice"
        seen.add(title(manifest))
    for name, component, pod in pods(manifests):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        for container in pod["spec"]["containers"]:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes and component != "postgres":
                    yield f"{name}: mounts {mount['name']}, which is no volume"
        mounted = [v["configMap"]["name"] for v in volumes.values() if "configMap" in v]
        for config in mounted:
            if config not in configs:
                yield f"{name}: mounts the ConfigMap {config}, which is not there"
        if component in ROLES and own not in mounted:
            yield f"{name}: has no configuration"


def hooks_find_what_they_need(manifests):
    """A hook runs before the rest is there: what it uses must be a hook too, and earlier."""

    def hook(manifest):
        notes = manifest["metadata"].get("annotations", {})
        return notes.get("helm.sh/hook", ""), int(notes.get("helm.sh/hook-weight", "0"))

    accounts = {m["metadata"]["name"]: m for m in of_kind(manifests, "ServiceAccount")}
    for job in of_kind(manifests, "Job"):
        when, weight = hook(job)
        if not when:
            continue
        spec = job["spec"]["template"]["spec"]
        account = accounts.get(spec["serviceAccountName"])
        if not account or hook(account)[0] != when or hook(account)[1] >= weight:
            yield f"{title(job)}: its service account is not there when it runs"
        for volume in spec.get("volumes", []):
            if "configMap" in volume:
                yield f"{title(job)}: the ConfigMap {volume['configMap']['name']} is not there, or old, when it runs"
        if not job["spec"].get("activeDeadlineSeconds"):
            yield f"{title(job)}: may hang for ever"


NAME_PATTERN = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
# Longer where nothing makes a host name or a label of it.
LONG_NAME_PATTERN = re.compile(r"[a-z]([-a-z0-9]{0,251}[a-z0-9])?")
LABEL_PATTERN = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def amount(text):
    match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text))
    return float(match[1]) * UNITS[match[2]]


def the_cluster_would_take_it(manifests):
    """What the API server checks beyond its schemas."""
    for manifest in manifests:
        pattern = LONG_NAME_PATTERN if manifest["kind"] == "ConfigMap" else NAME_PATTERN
        if not pattern.fullmatch(manifest["metadata"]["name"]):
            yield f"{title(manifest)}: is no name"
        for place in (manifest, pod_of(manifest) or {"metadata": {}}):
            for label, value in place["metadata"].get("labels", {}).items():
                if not LABEL_PATTERN.fullmatch(str(value)):
                    yield f"{title(manifest)}: the label {label} cannot be {value!r}"
    for name, _, container in containers(manifests):
        variables = [variable["name"] for variable in container.get("env", [])]
        for index, variable in enumerate(container.get("env", [])):
            if variables.count(variable["name"]) > 1:
                yield f"{name}: has {variable['name']} twice"
            for used in re.findall(r"\$\(([A-Za-z_0-9]+)\)", variable.get("value", "")):
                if used not in variables[:index]:
                    yield f"{name}: {variable['name']} is made of {used}, which is not before it"
        resources = container.get("resources", {})
        for what, limit in resources.get("limits", {}).items():
            if amount(resources.get("requests", {}).get(what, 0)) > amount(limit):
                yield f"{name}: requests more {what} than its limit"
        for port in container.get("ports", []):
            if len(port["name"]) > 15:
                yield f"{name}: {port['name']} is too long for a port's name"


POLICIES = [
    nobody_is_root,
    containers_are_closed,
    amounts_are_bounded,
    images_are_pinned,
    no_token,
    probes_are_there,
    drains_are_waited_for,
    roll_outs_lose_none,
    budgets_fit,
    scalers_fit,
    pods_are_closed,
    few_are_reached,
    entries_are_let_in,
    secrets_are_elsewhere,
    secrets_are_few,
    labels_agree,
    selectors_match,
    references_exist,
    hooks_find_what_they_need,
    the_cluster_would_take_it,
]


def findings(manifests):
    return [(policy.__name__, found) for policy in POLICIES for found in policy(manifests)]
