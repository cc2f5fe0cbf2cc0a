"""Faults that the policies must find: each breaks one thing in a sound release.

(policy, what it must say, how to break it). The release is ci/everything.yaml.
"""

from policy import COMPONENT, INSTANCE, labels, of_kind, pod_of


def first(manifests, kind, component):
    return next(m for m in of_kind(manifests, kind) if labels(m).get(COMPONENT) == component)


def spec(manifests, component="ingest", kind="Deployment"):
    return pod_of(first(manifests, kind, component))["spec"]


def container(manifests, component="ingest", kind="Deployment"):
    return spec(manifests, component, kind)["containers"][0]


def config(manifests):
    return first(manifests, "ConfigMap", "config")["data"]


def drop(manifests, kind, component):
    manifests.remove(first(manifests, kind, component))


def rule(manifests, component, way, ports):
    """One more rule of a component's NetworkPolicy."""
    policy = first(manifests, "NetworkPolicy", component)["spec"]
    policy.setdefault(way, []).append({"from": [{}], "to": [], "ports": [{"port": port} for port in ports]})


def put(place, key, value):
    place[key] = value


MUTATIONS = [
    ("nobody_is_root", "may run as root", lambda m: spec(m)["securityContext"].pop("runAsNonRoot")),
    ("nobody_is_root", "may run as root", lambda m: put(spec(m, "migrate", "Job")["securityContext"], "runAsUser", 0)),
    ("nobody_is_root", "seccomp", lambda m: spec(m, "test", "Pod")["securityContext"].pop("seccompProfile")),
    ("nobody_is_root", "hostNetwork", lambda m: put(spec(m, "connector"), "hostNetwork", True)),
    ("nobody_is_root", "does not allow", lambda m: spec(m)["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
    ("nobody_is_root", "runs as root", lambda m: put(container(m)["securityContext"], "runAsUser", 0)),
    ("containers_are_closed", "root file system", lambda m: container(m)["securityContext"].pop("readOnlyRootFilesystem")),
    ("containers_are_closed", "gain privileges", lambda m: put(container(m)["securityContext"], "privileged", True)),
    ("containers_are_closed", "gain privileges", lambda m: container(m)["securityContext"].pop("allowPrivilegeEscalation")),
    ("containers_are_closed", "capabilities", lambda m: put(container(m)["securityContext"]["capabilities"], "add", ["NET_RAW"])),
    ("containers_are_closed", "capabilities", lambda m: container(m, "migrate", "Job")["securityContext"].pop("capabilities")),
    ("amounts_are_bounded", "limits of memory", lambda m: container(m)["resources"]["limits"].pop("memory")),
    ("amounts_are_bounded", "requests of cpu", lambda m: container(m, "migrate", "Job").pop("resources")),
    ("images_are_pinned", "whatever comes", lambda m: put(container(m), "image", "registry.example.com:5000/ccm:latest")),
    ("images_are_pinned", "neither tag", lambda m: put(container(m), "image", "registry.example.com:5000/ccm")),
    ("no_token", "account's token", lambda m: spec(m).pop("automountServiceAccountToken")),
    ("no_token", "gives its pods", lambda m: put(first(m, "ServiceAccount", "ingest"), "automountServiceAccountToken", True)),
    ("no_token", "not in the release", lambda m: drop(m, "ServiceAccount", "connector")),
    ("no_token", "shares its service account", lambda m: put(spec(m), "serviceAccountName", "ccm-messaging-admin")),
    ("no_token", "every Service", lambda m: spec(m).pop("enableServiceLinks")),
    ("probes_are_there", "no startup probe", lambda m: container(m).pop("startupProbe")),
    ("probes_are_there", "readiness probe does not ask", lambda m: put(container(m)["readinessProbe"]["httpGet"], "path", "/healthz")),
    ("probes_are_there", "liveness probe does not ask", lambda m: put(container(m)["livenessProbe"]["httpGet"], "path", "/readyz")),
    ("drains_are_waited_for", "killed before", lambda m: put(spec(m, "connector"), "terminationGracePeriodSeconds", 40)),
    ("drains_are_waited_for", "killed before", lambda m: put(config(m), "ccm.toml", "[shutdown]\ngrace_ms = 90000")),
    ("drains_are_waited_for", "load balancers", lambda m: container(m, "screenpop").pop("lifecycle")),
    ("drains_are_waited_for", "needs a shell", lambda m: put(container(m)["lifecycle"], "preStop", {"exec": {"command": ["sleep", "5"]}})),
    ("roll_outs_lose_none", "takes pods away", lambda m: put(first(m, "Deployment", "ingest")["spec"]["strategy"]["rollingUpdate"], "maxUnavailable", 1)),
    ("roll_outs_lose_none", "share of the chats", lambda m: put(first(m, "Deployment", "connector")["spec"], "minReadySeconds", 6)),
    ("roll_outs_lose_none", "another configuration", lambda m: pod_of(first(m, "Deployment", "events"))["metadata"].pop("annotations")),
    ("budgets_fit", "has 0 PodDisruptionBudgets", lambda m: drop(m, "PodDisruptionBudget", "dispatch")),
    ("budgets_fit", "from being drained", lambda m: put(first(m, "HorizontalPodAutoscaler", "ingest")["spec"], "minReplicas", 1)),
    ("scalers_fit", "undoes", lambda m: put(first(m, "Deployment", "ingest")["spec"], "replicas", 3)),
    ("scalers_fit", "scales nothing", lambda m: put(first(m, "HorizontalPodAutoscaler", "ingest")["spec"]["scaleTargetRef"], "name", "x")),
    ("scalers_fit", "nothing to go by", lambda m: put(first(m, "HorizontalPodAutoscaler", "ingest")["spec"], "metrics", [])),
    ("scalers_fit", "scales down at once", lambda m: first(m, "HorizontalPodAutoscaler", "connector")["spec"].pop("behavior")),
    ("pods_are_closed", "no NetworkPolicy closes its egress", lambda m: [p["spec"].pop("policyTypes") for p in of_kind(m, "NetworkPolicy")]),
    ("pods_are_closed", "lets everybody in", lambda m: first(m, "NetworkPolicy", "admin")["spec"]["ingress"].append({"ports": [{"port": "http"}]})),
    ("pods_are_closed", "out to every port", lambda m: rule(m, "ingest", "egress", [])),
    ("few_are_reached", "call dispatch", lambda m: rule(m, "dispatch", "ingress", ["http"])),
    ("few_are_reached", "ingest reach AACCs", lambda m: rule(m, "ingest", "egress", [8445])),
    ("few_are_reached", "ingest reach the internet", lambda m: rule(m, "ingest", "egress", [443])),
    ("few_are_reached", "migrate reach the internet", lambda m: rule(m, "migrate", "egress", [443])),
    ("entries_are_let_in", "without a certificate", lambda m: first(m, "Ingress", "ingest")["spec"].pop("tls")),
    ("entries_are_let_in", "is not there", lambda m: drop(m, "Service", "admin")),
    ("entries_are_let_in", "do not let it in", lambda m: first(m, "NetworkPolicy", "admin")["spec"].pop("ingress")),
    ("entries_are_let_in", "share a host", lambda m: put(first(m, "Ingress", "admin")["spec"]["rules"][0], "host", "sms.example.com")),
    ("secrets_are_elsewhere", "not made", lambda m: m.append({**first(m, "Service", "admin"), "kind": "Secret"})),
    ("secrets_are_elsewhere", "holds redis.url", lambda m: put(config(m), "ccm.toml", config(m)["ccm.toml"] + '\n[redis]\nurl = "redis://h"')),
    ("secrets_are_elsewhere", "ccm.toml holds credentials", lambda m: put(config(m), "ccm.toml", config(m)["ccm.toml"] + '\n# postgres://me:secret@host/x')),
    ("secrets_are_elsewhere", "X holds credentials", lambda m: container(m)["env"].append({"name": "X", "value": "redis://:secret@host"})),
    ("secrets_are_few", "owner of the tables", lambda m: container(m)["env"].append({"name": "CCM__DATABASE__OWNER_URL", "valueFrom": {"secretKeyRef": {"name": "x"}}})),
    ("secrets_are_few", "admin role's keys", lambda m: put(spec(m), "volumes", spec(m, "admin")["volumes"])),
    ("secrets_are_few", "no master key", lambda m: put(spec(m), "volumes", [])),
    ("secrets_are_few", "more than it needs", lambda m: put(spec(m, "migrate", "Job"), "volumes", spec(m)["volumes"])),
    ("labels_agree", "has no label", lambda m: labels(first(m, "Service", "ingest")).pop("helm.sh/chart")),
    ("labels_agree", "pods have another", lambda m: put(pod_of(first(m, "Deployment", "ingest"))["metadata"]["labels"], COMPONENT, "admin")),
    ("labels_agree", "different names", lambda m: put(labels(first(m, "Service", "ingest")), INSTANCE, "other")),
    ("selectors_match", "its own pods", lambda m: put(first(m, "Deployment", "ingest")["spec"]["selector"]["matchLabels"], COMPONENT, "admin")),
    ("selectors_match", "also selects", lambda m: first(m, "Deployment", "ingest")["spec"]["selector"]["matchLabels"].pop(COMPONENT)),
    ("selectors_match", "spreads pods of others", lambda m: put(spec(m)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"], COMPONENT, "x")),
    ("selectors_match", "workloads behind it", lambda m: put(first(m, "Service", "ingest")["spec"]["selector"], COMPONENT, "x")),
    ("selectors_match", "port web that is not there", lambda m: put(first(m, "Service", "ingest")["spec"]["ports"][0], "targetPort", "web")),
    ("selectors_match", "selects no pod", lambda m: put(first(m, "PodDisruptionBudget", "ingest")["spec"]["selector"]["matchLabels"], COMPONENT, "x")),
    ("references_exist", "is there twice", lambda m: m.append(first(m, "Service", "admin"))),
    ("references_exist", "is no volume", lambda m: put(container(m)["volumeMounts"][0], "name", "x")),
    ("references_exist", "is not there", lambda m: put(spec(m)["volumes"][0]["configMap"], "name", "x")),
    ("references_exist", "has no configuration", lambda m: spec(m)["volumes"].pop(0)),
    ("hooks_find_what_they_need", "service account is not there", lambda m: first(m, "ServiceAccount", "migrate")["metadata"].pop("annotations")),
    ("hooks_find_what_they_need", "or old", lambda m: put(spec(m, "migrate", "Job"), "volumes", spec(m)["volumes"])),
    ("hooks_find_what_they_need", "for ever", lambda m: first(m, "Job", "migrate")["spec"].pop("activeDeadlineSeconds")),
    ("the_cluster_would_take_it", "is no name", lambda m: put(first(m, "Service", "ingest")["metadata"], "name", "x" * 64)),
    ("the_cluster_would_take_it", "cannot be", lambda m: put(labels(first(m, "Service", "ingest")), "team", "a b")),
    ("the_cluster_would_take_it", "has X twice", lambda m: put(container(m), "env", [{"name": "X", "value": ""}] * 2)),
    ("the_cluster_would_take_it", "not before it", lambda m: container(m)["env"].append({"name": "X", "value": "$(PASSWORD)"})),
    ("the_cluster_would_take_it", "than its limit", lambda m: put(container(m)["resources"]["requests"], "memory", "1Gi")),
    ("the_cluster_would_take_it", "too long", lambda m: put(container(m)["ports"][0], "name", "x" * 16)),
]
