{{/*
Seconds that a silent socket must be left alone on the way: clients and gateways ping every heartbeat, and two may be
missed before either end gives up.
*/}}
{{- define "parley.idleSeconds" -}}
{{- $heartbeat := get .Values.gateway.settings "GATEWAY_HEARTBEAT_SECONDS" | default 25 -}}
{{- add 20 (mul 4 (ceil $heartbeat | int)) -}}
{{- end -}}

{{/* What a controller must be told for that, and for answers that do not end (`/v1/events`). */}}
{{- define "parley.ingressAnnotations" -}}
{{- $idle := include "parley.idleSeconds" . -}}
{{- if eq .Values.ingress.controller "nginx" -}}
nginx.ingress.kubernetes.io/proxy-read-timeout: {{ $idle | quote }}
nginx.ingress.kubernetes.io/proxy-send-timeout: {{ $idle | quote }}
nginx.ingress.kubernetes.io/proxy-buffering: "off"
{{- else if eq .Values.ingress.controller "haproxy" -}}
haproxy.org/timeout-tunnel: {{ $idle }}s
haproxy-ingress.github.io/timeout-tunnel: {{ $idle }}s
{{- else if eq .Values.ingress.controller "alb" -}}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds={{ $idle }}
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds={{ include "parley.graceSeconds" (dict "root" . "component" "gateway") }}
alb.ingress.kubernetes.io/healthcheck-port: "8081"
alb.ingress.kubernetes.io/healthcheck-path: /readyz
{{- end -}}
{{- end -}}
