{{/* Names, labels and images. */}}

{{- define "ccm.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "ccm.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "ccm.name" .) .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "ccm.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What all of the release's pods have, and nothing else has: the policies select by it. */}}
{{- define "ccm.releaseSelector" -}}
app.kubernetes.io/name: {{ include "ccm.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* (list $ "component"): what selects the pods of one part. Never changes, since a Deployment's selector cannot. */}}
{{- define "ccm.selector" -}}
{{ include "ccm.releaseSelector" (first .) }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* (list $ "component"): the labels of pods. The chart's version is not among them: pods would be replaced for a change of the chart alone. */}}
{{- define "ccm.podLabels" -}}
{{ include "ccm.selector" . }}
app.kubernetes.io/version: {{ (first .).Values.image.tag | default (first .).Chart.AppVersion | trunc 63 | quote }}
{{- end }}

{{/* (list $ "component"): the labels of objects. */}}
{{- define "ccm.labels" -}}
{{- $ := first . -}}
{{ include "ccm.podLabels" . }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
app.kubernetes.io/part-of: ccm
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{/* (dict "image" … "tag" …): the digest decides where there is one; the tag stays, for people. */}}
{{- define "ccm.imageOf" -}}
{{ .image.repository }}:{{ .image.tag | default .tag }}{{ with .image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "ccm.image" -}}
{{ include "ccm.imageOf" (dict "image" .Values.image "tag" .Chart.AppVersion) }}
{{- end }}

{{- define "ccm.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of every container: it can write nowhere, become nobody else and has no right of the kernel's. */}}
{{- define "ccm.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* A user's id. The group may read mounted secrets. */}}
{{- define "ccm.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end }}
