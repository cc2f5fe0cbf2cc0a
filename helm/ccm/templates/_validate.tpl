{{/* What a schema cannot say: values that do not fit each other. Each failure says what to do. */}}
{{- define "ccm.validate" -}}
{{- $values := .Values -}}
{{- if not .Values.image.repository -}}
  {{- fail "image.repository is empty: name where the image is, such as registry.example.com/ccm" -}}
{{- end -}}

{{- $forbidden := include "ccm.notInConfig" . | fromYaml -}}
{{- range $section, $settings := .Values.config -}}
  {{- range $key, $_ := $settings -}}
    {{- with index $forbidden (printf "%s.%s" $section $key) -}}
      {{- fail (printf "config.%s.%s does not belong here, since config becomes a ConfigMap that many may read: %s" $section $key .) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- $roles := include "ccm.roles" . | fromYaml -}}
{{- $enabled := list -}}
{{- range $name, $_ := $roles -}}
  {{- $role := index $values.roles $name -}}
  {{- if $role.enabled }}{{ $enabled = append $enabled $name }}{{ end -}}
  {{- $scaling := $role.autoscaling -}}
  {{- if and $scaling.enabled (lt (int $scaling.maxReplicas) (int $scaling.minReplicas)) -}}
    {{- fail (printf "roles.%s.autoscaling.maxReplicas is less than minReplicas" $name) -}}
  {{- end -}}
  {{- if and $scaling.enabled (not (or $scaling.cpuPercent $scaling.chatsPerPod $scaling.queueSeconds)) -}}
    {{- fail (printf "roles.%s.autoscaling has nothing to go by: give cpuPercent or another figure" $name) -}}
  {{- end -}}
  {{- range $role.env -}}
    {{- $key := .name | trimPrefix "CCM__" | replace "__" "." | lower -}}
    {{- if hasPrefix "CCM__" .name -}}
      {{- with index $forbidden $key -}}
        {{- fail (printf "roles.%s.env sets %s: %s" $name $key .) -}}
      {{- end -}}
      {{- if hasPrefix "shutdown." $key -}}
        {{- fail (printf "roles.%s.env sets %s: set config.shutdown instead, by which the chart reckons how long pods may take to end" $name $key) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if not $enabled }}{{ fail "no role is enabled" }}{{ end -}}

{{- $ingest := .Values.config.ingest | default dict -}}
{{- if and (or (has "ingest" $enabled) (has "admin" $enabled)) (not $ingest.public_base_url) -}}
  {{- fail "config.ingest.public_base_url is empty: ingest and admin need the address that providers call, such as https://sms.example.com" -}}
{{- end -}}

{{- $connector := .Values.config.connector | default dict -}}
{{- $lease := int64 ($connector.lease_ms | default 5000) -}}
{{- if and .Values.roles.connector.enabled (le (mul 1000 (int64 .Values.roles.connector.minReadySeconds)) $lease) -}}
  {{- fail (printf "roles.connector.minReadySeconds must be more than config.connector.lease_ms (%d ms): a new pod gets its share of the chats only then, and the next old one should not go before" $lease) -}}
{{- end -}}

{{- $telemetry := .Values.config.telemetry | default dict -}}
{{- if and $telemetry.otlp_endpoint .Values.networkPolicy.enabled -}}
  {{- $collector := urlParse $telemetry.otlp_endpoint -}}
  {{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $collector.host) | default (ternary "443" "80" (eq $collector.scheme "https")) -}}
  {{- $open := list -}}
  {{- range .Values.networkPolicy.otlp.ports }}{{ $open = append $open (toString .) }}{{ end -}}
  {{- if not (has $port $open) -}}
    {{- fail (printf "config.telemetry.otlp_endpoint is %s, but networkPolicy.otlp.ports does not open %s" $telemetry.otlp_endpoint $port) -}}
  {{- end -}}
{{- end -}}

{{- include "ccm.validateExpose" (list . $enabled) -}}
{{- end }}

{{- define "ccm.validateExpose" -}}
{{- $ := first . }}{{ $enabled := last . -}}
{{- $expose := $.Values.expose -}}
{{- $seen := dict -}}
{{- range $role, $host := $expose.hosts -}}
  {{- if $host -}}
    {{- if eq $expose.kind "none" -}}
      {{- fail (printf "expose.hosts.%s is set and expose.kind is none: give ingress or gateway, or remove the host" $role) -}}
    {{- end -}}
    {{- if not (has $role $enabled) }}{{ fail (printf "expose.hosts.%s is set, but the role is not enabled" $role) }}{{ end -}}
    {{- if hasKey $seen $host -}}
      {{- fail (printf "expose.hosts.%s and expose.hosts.%s are both %s: each needs a host of its own, so that their pages share no cookies" (get $seen $host) $role $host) -}}
    {{- end -}}
    {{- $_ := set $seen $host $role -}}
    {{- if and $.Values.networkPolicy.enabled (not (has $role $.Values.networkPolicy.entryRoles)) -}}
      {{- fail (printf "expose.hosts.%s is set, but networkPolicy.entryRoles does not let the entry call %s: add it there, if it is meant to be reached from outside" $role $role) -}}
    {{- end -}}
    {{- $setting := ternary "console.url" (printf "%s.public_base_url" $role) (eq $role "admin") -}}
    {{- $section := index $.Values.config (first (splitList "." $setting)) | default dict -}}
    {{- with index $section (last (splitList "." $setting)) -}}
      {{- $public := urlParse . -}}
      {{- if ne (first (splitList ":" $public.host)) $host -}}
        {{- fail (printf "expose.hosts.%s is %s, but config.%s says %s: what the outside calls must be what the program says" $role $host $setting .) -}}
      {{- end -}}
    {{- end -}}
    {{- if and (eq $expose.kind "ingress") (not (index $expose.ingress.tlsSecrets $role)) -}}
      {{- fail (printf "expose.ingress.tlsSecrets.%s is empty: name the Secret with the certificate of %s" $role $host) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and (ne $expose.kind "none") (not $seen) -}}
  {{- fail (printf "expose.kind is %s and no role has a host in expose.hosts" $expose.kind) -}}
{{- end -}}
{{- if and (eq $expose.kind "gateway") (not $expose.gateway.parentRefs) -}}
  {{- fail "expose.gateway.parentRefs is empty: name the Gateway that carries the routes" -}}
{{- end -}}
{{- end }}
