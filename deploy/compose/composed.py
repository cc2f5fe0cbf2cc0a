"""compose.yaml as docker compose reads it, and everything in it that is not as it should be."""

import importlib.util
import ipaddress
import json
import pathlib
import re

import jsonschema
import yaml

# Of check-jsonschema only this file is wanted, not what it needs to be run.
SCHEMA = pathlib.Path(importlib.util.find_spec("check_jsonschema").origin).parent / "builtin_schemas/vendor/compose-spec.json"
# What only these may have: root's right to low ports.
ADDED_RIGHTS = {"caddy": ["NET_BIND_SERVICE"]}
# With the port of each role's /readyz and /metrics.
ROLES = {"ingest": 9081, "admin": 9082, "dispatch": 9083, "connector": 9084, "screenpop": 9085, "deflection": 9086, "events": 9087}


def variables(text):
    """An .env file as docker compose reads it."""
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, value = line.split("=", 1)
            found[name] = value[1:-1] if value[:1] == '"' == value[-1:] else value
    return found


class Unset(Exception):
    """A variable without a value."""


def filled_in(value, env, used):
    """`${NAME}`, `${NAME:-default}` and `${NAME:?message}`, in every text of a tree."""
    if isinstance(value, dict):
        return {key: filled_in(inner, env, used) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled_in(inner, env, used) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(match):
        name, kind, rest = match["name"], match["kind"], match["rest"]
        used.add(name)
        if name in env and (env[name] or not kind):
            return env[name]
        if kind == ":-":
            return rest
        raise Unset(f"{name} has no value: deploy/compose/init does not write it, and there is no default")

    return re.sub(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<rest>[^}]*))?\}", fill, value)


def read(text, env):
    used = set()
    return filled_in(yaml.safe_load(text), env, used), used


def service_faults(name, service, project, versions):
    def expect(holds, fault):
        if not holds:
            yield f"{name}: {fault}"

    image = service.get("image", "")
    yield from expect(re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)?$", image), f"{image} is no exact version")
    yield from expect(service.get("read_only") is True, "its root can be written")
    yield from expect(service.get("cap_drop") == ["ALL"], "it keeps rights of root's")
    yield from expect(service.get("cap_add", []) == ADDED_RIGHTS.get(name, []), f"it gets the rights {service.get('cap_add')}")
    yield from expect("no-new-privileges:true" in service.get("security_opt", []), "it may gain rights")
    yield from expect(not service.get("privileged") and service.get("user") not in ("0", "root"), "it is root")
    yield from expect(service.get("mem_limit") and service.get("pids_limit"), "it has no limits")
    yield from expect(service.get("logging", {}).get("options", {}).get("max-size"), "its log grows without end")
    yield from expect(service.get("restart") == ("no" if name == "migrate" else "unless-stopped"), f"its restart policy is {service.get('restart')}")
    for port in service.get("ports", []):
        outside = name == "caddy" and port in ("80:80", "443:443", "443:443/udp")
        yield from expect(outside or port.startswith("127.0.0.1:"), f"it publishes {port} to everybody")
    for kind in ("networks", "secrets"):
        for used in service.get(kind, []):
            yield from expect(used in project[kind], f"{kind} has no {used}")
    for volume in service.get("volumes", []):
        source, _, options = volume.partition(":")
        if source.startswith("."):
            yield from expect(pathlib.Path(source).exists(), f"{source} is not there")
            yield from expect(options.endswith(":ro"), f"it can write to {source}")
        else:
            yield from expect(source in project["volumes"], f"volumes has no {source}")
    for other, needs in service_needs(service).items():
        known = project["services"].get(other, {})
        yield from expect(known, f"it waits for {other}, which is no service")
        if needs == "service_healthy":
            yield from expect("healthcheck" in known, f"it waits for the health of {other}, which has no check")
    if name in ("postgres", "redis"):
        wanted = f"docker.io/library/{name}:{versions[name]}"
        yield from expect(image == wanted, f"the chart has {wanted}")
    if name in ROLES or name == "migrate":
        yield from expect(image == f"ccm:{versions['ccm']}", f"its image is {image}, the program {versions['ccm']}")


def service_needs(service):
    needs = service.get("depends_on", {})
    return {name: needs[name]["condition"] if isinstance(needs, dict) else "" for name in needs}


def role_faults(project):
    services = project["services"]
    for role in ROLES:
        service = services.get(role)
        if not service:
            yield f"there is no service {role}"
            continue
        if service["command"] != [role]:
            yield f"{role} runs {service['command']}"
        if service_needs(service).get("migrate") != "service_completed_successfully":
            yield f"{role} does not wait for the migration"
        if "migrate.toml" in service["secrets"] or "owner_password" in service["secrets"]:
            yield f"{role} knows the owner of the tables"
        if ("jwt.key" in service["secrets"]) != (role == "admin"):
            yield f"{role}: the key of the API's tokens is the admin's alone"
        if service.get("stop_grace_period") != "35s":
            yield f"{role} is killed while it hands over"
    ready = pathlib.Path("deploy/compose/ready").read_text()
    scraped = yaml.safe_load(pathlib.Path("deploy/compose/prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    for role, port in ROLES.items():
        if f"{role}:{port}" not in ready:
            yield f"the proxy's health check leaves {role} out"
        if f"{role}:{port}" not in scraped["static_configs"][0]["targets"]:
            yield f"Prometheus leaves {role} out"
    # Roles and what they need meet only in networks that are there for it.
    for name in ("postgres", "redis"):
        if services[name]["networks"] != ["data"]:
            yield f"{name} is in {services[name]['networks']}"
    for name in ("inside", "data"):
        if not (project["networks"][name] or {}).get("internal"):
            yield f"the network {name} has a way out"
    inside = ipaddress.ip_network(project["networks"]["inside"]["ipam"]["config"][0]["subnet"])
    for network in services["caddy"]["environment"]["CCM_CONSOLE_NETWORKS"].split():
        if ipaddress.ip_network(network).version == inside.version and ipaddress.ip_network(network).overlaps(inside):
            yield f"CCM_CONSOLE_NETWORKS has the proxy's own network in it: {network}"


def faults_of(text, env, program_settings, versions):
    """Sentences, one a fault."""
    try:
        project, used = read(text, env)
    except (Unset, yaml.YAMLError) as error:
        return [str(error)]
    found = [f"{name} of .env is used nowhere" for name in sorted(set(env) - used - {"COMPOSE_PROFILES"})]
    checker = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    for error in checker.iter_errors(project):
        found.append(f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}")
    if found:
        return found
    for name, service in project["services"].items():
        found += service_faults(name, service, project, versions)
        for key in service.get("environment", {}):
            setting = key.removeprefix("CCM__").lower().replace("__", ".")
            if key.startswith("CCM__") and setting not in program_settings:
                found.append(f"{name}: the program has no setting {setting}")
    for secret in project["secrets"].values():
        if not pathlib.Path(secret["file"]).is_file():
            found.append(f"{secret['file']} is not there: deploy/compose/init does not make it")
    return found + list(role_faults(project))
