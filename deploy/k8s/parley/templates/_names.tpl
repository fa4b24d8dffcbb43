{{/* Names and labels. Most take {root, component}. */}}

{{- define "parley.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "parley.fullname" -}}
{{- $name := include "parley.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "parley.of" -}}
{{- printf "%s-%s" (include "parley.fullname" .root) .component -}}
{{- end -}}

{{/* What selects the pods of a component; it can never change. */}}
{{- define "parley.selector" -}}
app.kubernetes.io/name: {{ include "parley.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "parley.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{ include "parley.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: parley
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "parley.metadata" -}}
name: {{ include "parley.of" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "parley.labels" . | nindent 2 }}
{{- end -}}

{{/* One of Parley's own images: {root, image}. */}}
{{- define "parley.image" -}}
{{- $image := .root.Values.image -}}
{{- $path := printf "%s/%s:%s" $image.repository .image ($image.tag | default .root.Chart.AppVersion) -}}
{{- if $image.registry }}{{ printf "%s/%s" $image.registry $path }}{{ else }}{{ $path }}{{ end -}}
{{- end -}}

{{/* Somebody else's image: {registry, repository, tag}. */}}
{{- define "parley.foreignImage" -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}:{{ .tag }}
{{- end -}}

{{/* A number as YAML's readers wrote it: large ones reach templates as floats. */}}
{{- define "parley.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- define "parley.natsBundled" -}}
{{- if not .Values.nats.external.servers }}true{{ end -}}
{{- end -}}

{{- define "parley.postgresqlBundled" -}}
{{- if not .Values.postgresql.external.host }}true{{ end -}}
{{- end -}}

{{/* Whether services start together with what they need, and so may be first. */}}
{{- define "parley.waits" -}}
{{- if or (include "parley.natsBundled" .) (include "parley.postgresqlBundled" .) }}true{{ end -}}
{{- end -}}

{{- define "parley.partitions" -}}
{{- get .Values.settings "PARLEY_PARTITIONS" | default 16 | int -}}
{{- end -}}
