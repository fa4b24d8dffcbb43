{{/* What all pods have in common. */}}

{{/* Annotations and labels of a component's pods, besides those that the chart needs: {root, component, values}. */}}
{{- define "parley.podMetadata" -}}
{{- $own := .values.pod | default dict -}}
{{- $labels := merge (dict) ($own.labels | default dict) .root.Values.pods.labels -}}
{{- $annotations := merge (dict) (.annotations | default dict) ($own.annotations | default dict) .root.Values.pods.annotations -}}
labels:
  {{- include "parley.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: parley
  {{- with merge $labels .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
Identity and place of a component's pods: {root, component, values, user}.

A Service called `gateway` would put GATEWAY_PORT=tcp://... among our settings: hence enableServiceLinks.
*/}}
{{- define "parley.podSpec" -}}
{{- $own := .values.pod | default dict -}}
{{- $all := .root.Values.pods -}}
{{- $user := .user | default 10001 -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $own.priorityClassName | default $all.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $own.nodeSelector | default $all.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations | default $all.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.affinity | default $all.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .spread }}
topologySpreadConstraints:
  {{- with $own.topologySpreadConstraints | default $all.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "parley.selector" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "parley.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
The three probes of a process of ours. Liveness asks the process itself whether its loop turns, and nothing behind it:
to restart it would not bring a lost NATS or PostgreSQL back, only break every socket. {root, port}
*/}}
{{- define "parley.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: {{ .port }}}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: {{ div (add (int .root.Values.startupSeconds) 1) 2 }}
livenessProbe:
  httpGet: {path: /livez, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ .port }}}
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/*
Seconds, all from two values. A pod that is to go waits for `settle` (endpoints everywhere must have heard of it), then
drains; the rest is for its goodbyes. A rollout has failed when no pod got ready within the time that one old pod may
take to go and one new pod to come, and once more as much as the start for pulling images.
*/}}
{{- define "parley.settleSeconds" -}}5{{- end -}}

{{- define "parley.graceSeconds" -}}
{{- if eq .component "gateway" -}}
{{- add (int .root.Values.drainSeconds) 15 -}}
{{- else -}}
30
{{- end -}}
{{- end -}}

{{- define "parley.progressSeconds" -}}
{{- add (mul 2 (int .root.Values.startupSeconds)) (int (include "parley.graceSeconds" .)) (int (.minReadySeconds | default 0)) -}}
{{- end -}}

{{- define "parley.settle" -}}
preStop:
  exec:
    command: [sleep, {{ include "parley.settleSeconds" . | quote }}]
{{- end -}}
