{{/* The program's configuration: TOML, environment, files. */}}

{{/* What the chart sets itself, or must not see, with what to do instead. */}}
{{- define "ccm.notInConfig" -}}
database.app_url: "put it into the Secret that database.secret names"
database.system_url: "put it into the Secret that database.secret names"
database.owner_url: "put it into the Secret that database.ownerSecret names"
redis.url: "put it into the Secret that redis.secret names"
keys.master_key: "put it into the Secret that masterKey.secret names"
keys.master_key_file: "name a Secret in masterKey; the chart mounts it"
jwt.hs256_secret_file: "name a Secret in jwt; the chart mounts it"
jwt.ed25519_public_key_file: "name a Secret in jwt, with kind ed25519; the chart mounts it"
jwt.ed25519_private_key_file: "leave it out of the cluster, and make tokens where it is"
oidc.ca_file: "name a ConfigMap or Secret in oidc.ca; the chart mounts it"
console.client_secret_file: "name a Secret in oidc.clientSecret; the chart mounts it"
connector.pod_name: "leave it out: it is the pod's name"
{{- range $role, $is := include "ccm.roles" . | fromYaml }}
{{ $role }}.{{ if $is.http }}ops_listen{{ else }}listen{{ end }}: "leave it out: probes and policies know the program's own ports"
{{- if $is.http }}
{{ $role }}.listen: "leave it out: Services and policies know the program's own ports"
{{- end }}
{{- end }}
{{- end }}

{{/* The file. YAML's numbers are floats by now, and all of the program's are whole. */}}
{{- define "ccm.toml" -}}
{{- $config := dict -}}
{{- range $section, $settings := .Values.config -}}
  {{- $written := dict -}}
  {{- range $key, $value := $settings -}}
    {{- if kindIs "float64" $value }}{{ $_ := set $written $key (int64 $value) }}{{ else }}{{ $_ := set $written $key $value }}{{ end -}}
  {{- end -}}
  {{- $_ := set $config $section $written -}}
{{- end -}}
{{- range $section := list "keys" "jwt" "oidc" "console" "shutdown" -}}
  {{- if not (hasKey $config $section) }}{{ $_ := set $config $section dict }}{{ end -}}
{{- end -}}
{{- $_ := set $config.shutdown "grace_ms" (int64 (include "ccm.graceMs" .)) -}}
{{- $_ := set $config.keys "master_key_file" "/etc/ccm/files/master.key" -}}
{{- if eq .Values.jwt.kind "hs256" -}}
  {{- $_ := set $config.jwt "hs256_secret_file" "/etc/ccm/files/jwt.key" -}}
{{- else -}}
  {{- $_ := set $config.jwt "ed25519_public_key_file" "/etc/ccm/files/jwt.key" -}}
{{- end -}}
{{- if .Values.oidc.ca.name }}{{ $_ := set $config.oidc "ca_file" "/etc/ccm/files/oidc-ca.crt" }}{{ end -}}
{{- if .Values.oidc.clientSecret }}{{ $_ := set $config.console "client_secret_file" "/etc/ccm/files/client.secret" }}{{ end -}}
{{- range $section := keys $config -}}
  {{- if not (get $config $section) }}{{ $_ := unset $config $section }}{{ end -}}
{{- end -}}
{{ toToml $config }}
{{- end }}

{{/* A variable out of a Secret: (dict "name" … "secret" … "key" …). */}}
{{- define "ccm.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: { name: {{ .secret }}, key: {{ .key }} }
{{- end }}

{{/* How Postgres' certificate is checked; what the address says itself comes first. */}}
{{- define "ccm.postgresTls" -}}
- name: PGSSLMODE
  value: {{ ternary "disable" .Values.database.sslMode .Values.database.inCluster.enabled }}
{{- if and .Values.database.ca.name (not .Values.database.inCluster.enabled) }}
- name: PGSSLROOTCERT
  value: /etc/ccm/files/postgres-ca.crt
{{- end }}
{{- end }}

{{/* (list $ "NAME" "user" "password's key"): an address within the cluster; the kubelet puts the password in. */}}
{{- define "ccm.inClusterUrl" -}}
{{- $ := index . 0 -}}
{{ include "ccm.fromSecret" (dict "name" (printf "POSTGRES_%s" (upper (index . 3))) "secret" $.Values.database.inCluster.secret "key" (index . 3)) }}
- name: {{ index . 1 }}
  value: postgres://{{ index . 2 }}:$(POSTGRES_{{ upper (index . 3) }})@{{ include "ccm.fullname" $ }}-postgres:5432/ccm
{{- end }}

{{/* The environment of roles and of the link doctor. */}}
{{- define "ccm.env" -}}
- name: CCM_CONFIG
  value: /etc/ccm/config/ccm.toml
{{ if .Values.database.inCluster.enabled -}}
{{ include "ccm.inClusterUrl" (list . "CCM__DATABASE__APP_URL" "ccm_app_login" "app_password") }}
{{ include "ccm.inClusterUrl" (list . "CCM__DATABASE__SYSTEM_URL" "ccm_system_login" "system_password") }}
{{ else -}}
{{ include "ccm.fromSecret" (dict "name" "CCM__DATABASE__APP_URL" "secret" .Values.database.secret "key" .Values.database.appKey) }}
{{ include "ccm.fromSecret" (dict "name" "CCM__DATABASE__SYSTEM_URL" "secret" .Values.database.secret "key" .Values.database.systemKey) }}
{{ end -}}
{{ include "ccm.postgresTls" . }}
{{ if .Values.redis.inCluster.enabled -}}
{{ include "ccm.fromSecret" (dict "name" "REDIS_PASSWORD" "secret" .Values.redis.inCluster.secret "key" "redis_password") }}
- name: CCM__REDIS__URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "ccm.fullname" . }}-redis:6379
{{- else -}}
{{ include "ccm.fromSecret" (dict "name" "CCM__REDIS__URL" "secret" .Values.redis.secret "key" .Values.redis.key) }}
{{- end }}
{{- if .Values.redis.ca.name }}
# The public authorities, and those of Redis.
- name: SSL_CERT_FILE
  value: {{ .Values.image.caBundle }}
- name: SSL_CERT_DIR
  value: /etc/ccm/files/trusted
{{- end }}
{{- end }}

{{/* A projected source: (dict "kind" … "name" … "key" … "path" …). */}}
{{- define "ccm.source" -}}
- {{ ternary "configMap" "secret" (eq .kind "ConfigMap") }}:
    name: {{ .name }}
    items: [{ key: {{ .key }}, path: {{ .path }} }]
{{- end }}

{{/* (list $ "role"): keys and authorities as files, only those that the role reads. */}}
{{- define "ccm.volumes" -}}
{{- $ := first . -}}
- name: config
  configMap:
    name: {{ include "ccm.fullname" $ }}
- name: files
  projected:
    defaultMode: 0440
    sources:
      {{- include "ccm.source" (dict "kind" "Secret" "name" $.Values.masterKey.secret "key" $.Values.masterKey.key "path" "master.key") | nindent 6 }}
      {{- if and $.Values.database.ca.name (not $.Values.database.inCluster.enabled) }}
      {{- include "ccm.source" (merge (dict "path" "postgres-ca.crt") $.Values.database.ca) | nindent 6 }}
      {{- end }}
      {{- if $.Values.redis.ca.name }}
      {{- include "ccm.source" (merge (dict "path" "trusted/redis-ca.crt") $.Values.redis.ca) | nindent 6 }}
      {{- end }}
      {{- if eq (last .) "admin" }}
      {{- include "ccm.source" (dict "kind" "Secret" "name" $.Values.jwt.secret "key" $.Values.jwt.key "path" "jwt.key") | nindent 6 }}
      {{- if $.Values.oidc.ca.name }}
      {{- include "ccm.source" (merge (dict "path" "oidc-ca.crt") $.Values.oidc.ca) | nindent 6 }}
      {{- end }}
      {{- if $.Values.oidc.clientSecret }}
      {{- include "ccm.source" (dict "kind" "Secret" "name" $.Values.oidc.clientSecret "key" $.Values.oidc.clientSecretKey "path" "client.secret") | nindent 6 }}
      {{- end }}
      {{- end }}
{{- end }}

{{- define "ccm.mounts" -}}
- { name: config, mountPath: /etc/ccm/config, readOnly: true }
- { name: files, mountPath: /etc/ccm/files, readOnly: true }
{{- end }}
