{{/* Rules that several policies use, each a list item. */}}

{{- define "ccm.ports" -}}
{{- range . }}
- { port: {{ . }}, protocol: TCP }
{{- end }}
{{- end }}

{{- define "ccm.toDns" -}}
- to: {{- toYaml .Values.networkPolicy.dnsTo | nindent 4 }}
  ports:
    - { port: 53, protocol: UDP }
    - { port: 53, protocol: TCP }
{{- end }}

{{/* (list $ (dict "ports" … "to" …) "component"): a server that all roles use; in this release's pods of that component, or where the values say. */}}
{{- define "ccm.toServer" -}}
{{- $ := index . 0 }}{{ $place := index . 1 }}{{ $component := index . 2 -}}
{{- if $component -}}
- to:
    - podSelector:
        matchLabels: {{- include "ccm.selector" (list $ $component) | nindent 10 }}
  ports: {{- include "ccm.ports" (ternary (list 5432) (list 6379) (eq $component "postgres")) | nindent 4 }}
{{- else -}}
- ports: {{- include "ccm.ports" $place.ports | nindent 4 }}
  {{- with $place.to }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "ccm.toPostgres" -}}
{{ include "ccm.toServer" (list . .Values.networkPolicy.postgres (ternary "postgres" "" .Values.database.inCluster.enabled)) }}
{{- end }}

{{- define "ccm.toRedis" -}}
{{ include "ccm.toServer" (list . .Values.networkPolicy.redis (ternary "redis" "" .Values.redis.inCluster.enabled)) }}
{{- end }}

{{/* (list $ (dict "ports" … "networks" …)): those networks, or the internet; and the private networks that the operator allows to tenants. */}}
{{- define "ccm.toOutside" -}}
{{- $ := first . }}{{ $place := last . -}}
- ports: {{- include "ccm.ports" $place.ports | nindent 4 }}
  to:
    {{- range $place.networks }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- else }}
    {{- range $.Values.networkPolicy.internet }}
    - ipBlock: {{- toYaml . | nindent 8 }}
    {{- end }}
    {{- end }}
    {{- $egress := $.Values.config.egress | default dict }}
    {{- range splitList "," ($egress.private_networks | default "") }}
    {{- with trim . }}
    - ipBlock: { cidr: {{ . | quote }} }
    {{- end }}
    {{- end }}
{{- end }}
