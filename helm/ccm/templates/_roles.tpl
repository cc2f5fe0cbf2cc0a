{{/* What the program's roles are: ports, and whom they talk to. As docs/operations.md has it. */}}

{{/* By role: `http` is called by others, `ops` has /healthz, /readyz and /metrics; the ports are those of `ccm config`. `to` is what the
     role dials, found in services/server/src/roles.rs; each word is a rule in networkpolicies.yaml. */}}
{{- define "ccm.roles" -}}
ingest:     { http: 8081, ops: 9081, to: [] }
connector:  { ops: 9084, to: [aacc, https] }
dispatch:   { ops: 9083, to: [https] }
admin:      { http: 8082, ops: 9082, to: [aacc, https] }
screenpop:  { http: 8085, ops: 9085, to: [https] }
deflection: { http: 8086, ops: 9086, to: [aacc] }
events:     { ops: 9087, to: [https] }
{{- end }}

{{/* The role's pods at the least, as far as this release says. */}}
{{- define "ccm.leastPods" -}}
{{- if .autoscaling.enabled }}{{ .autoscaling.minReplicas }}{{ else }}{{ .replicas }}{{ end }}
{{- end }}

{{/* Milliseconds of config.shutdown.grace_ms; the default is the program's, and is written down in the configuration, too. */}}
{{- define "ccm.graceMs" -}}
{{- $shutdown := .Values.config.shutdown | default dict -}}
{{- if hasKey $shutdown "grace_ms" }}{{ int64 $shutdown.grace_ms }}{{ else }}25000{{ end }}
{{- end }}

{{/* Seconds that the program has from preStop's begin to its own end. */}}
{{- define "ccm.drainSeconds" -}}
{{- $ := first . }}{{ $role := last . -}}
{{ add (int64 $role.preStopSeconds) (div (add (int64 (include "ccm.graceMs" $)) 999) 1000) }}
{{- end }}

{{/* (list $ "name" role): the pod's time to end. Longer than the program's, else the kubelet kills it in the middle of a hand-over. */}}
{{- define "ccm.terminationGrace" -}}
{{- $ := index . 0 }}{{ $name := index . 1 }}{{ $role := index . 2 -}}
{{- $drain := int64 (include "ccm.drainSeconds" (list $ $role)) -}}
{{- if kindIs "invalid" $role.terminationGracePeriodSeconds -}}
{{ add $drain 10 }}
{{- else -}}
{{- $given := int64 $role.terminationGracePeriodSeconds -}}
{{- if lt $given (add $drain 5) -}}
{{- fail (printf "roles.%s.terminationGracePeriodSeconds is %d, but preStopSeconds and config.shutdown.grace_ms together take %d s: the pod would be killed while it hands over. Give %d or more, or null" $name $given $drain (add $drain 5)) -}}
{{- end -}}
{{ $given }}
{{- end }}
{{- end }}

{{- define "ccm.serviceAccount" -}}
{{ include "ccm.fullname" (first .) }}-{{ last . }}
{{- end }}
