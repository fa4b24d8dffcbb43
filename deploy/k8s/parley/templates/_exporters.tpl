{{/*
What tells metrics of a server installed here, in the server's own pod: {root, server, port}. Whoever uses it adds the
command. Its readiness is the pod's, so it asks for nothing but that somebody listens.
*/}}
{{- define "parley.exporter" -}}
- name: exporter
  image: {{ include "parley.foreignImage" (get .root.Values.metrics.exporters .server).image }}
  imagePullPolicy: IfNotPresent
  ports:
    - {name: metrics, containerPort: {{ .port }}}
  startupProbe:
    tcpSocket: {port: metrics}
    periodSeconds: 2
    failureThreshold: 30
  livenessProbe:
    tcpSocket: {port: metrics}
    periodSeconds: 15
    timeoutSeconds: 5
    failureThreshold: 4
  readinessProbe:
    tcpSocket: {port: metrics}
    periodSeconds: 10
    timeoutSeconds: 5
  resources:
    {{- toYaml .root.Values.metrics.exporters.resources | nindent 4 }}
  securityContext:
    {{- include "parley.containerSecurity" .root | nindent 4 }}
{{- end -}}
