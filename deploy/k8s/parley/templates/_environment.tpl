{{/* What a service reads from its environment. */}}

{{/* A password or another secret as a variable: {env, secret, key}. */}}
{{- define "parley.secretVariable" -}}
- name: {{ .env }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}

{{- define "parley.authSecret" -}}
{{- .Values.auth.existingSecret | default (printf "%s-auth" (include "parley.fullname" .)) -}}
{{- end -}}

{{- define "parley.turnSecret" -}}
{{- .Values.turn.existingSecret | default (printf "%s-turn" (include "parley.fullname" .)) -}}
{{- end -}}

{{- define "parley.natsSecret" -}}
{{- .Values.nats.existingSecret | default (printf "%s-nats" (include "parley.fullname" .)) -}}
{{- end -}}

{{- define "parley.appsSecret" -}}
{{- .Values.appsExistingSecret | default (printf "%s-apps" (include "parley.fullname" .)) -}}
{{- end -}}

{{/* The secret and the key of a role's password: {root, role}; `superuser` is one, too. */}}
{{- define "parley.postgresqlSecret" -}}
{{- $role := ternary .root.Values.postgresql.superuser (get .root.Values.postgresql.roles .role) (eq .role "superuser") -}}
{{- $own := printf "%s-postgresql" (include "parley.fullname" .root) -}}
secret: {{ $role.existingSecret | default $own }}
key: {{ ternary .role ($role.key | default "password") (empty $role.existingSecret) }}
{{- end -}}

{{/* host:port of each server of NATS, as a list in YAML. */}}
{{- define "parley.natsServers" -}}
{{- if include "parley.natsBundled" . -}}
{{- $name := printf "%s-nats" (include "parley.fullname" .) -}}
{{- range until (int .Values.nats.replicas) }}
- {{ ternary "tls" "nats" $.Values.nats.tls.enabled }}://{{ $name }}-{{ . }}.{{ $name }}:4222
{{- end }}
{{- else }}
{{- toYaml .Values.nats.external.servers }}
{{- end }}
{{- end -}}

{{- define "parley.natsAuth" -}}
{{- if or (include "parley.natsBundled" .) .Values.nats.external.auth }}true{{ end -}}
{{- end -}}

{{/* NATS_URL as a user: {root, user}. The password is put in by Kubernetes, from NATS_PASSWORD. */}}
{{- define "parley.natsUrl" -}}
{{- $urls := list -}}
{{- $auth := include "parley.natsAuth" .root -}}
{{- $user := .user -}}
{{- range include "parley.natsServers" .root | fromYamlArray -}}
{{- if $auth -}}
{{- $urls = append $urls (. | replace "://" (printf "://%s:$(NATS_PASSWORD)@" $user)) -}}
{{- else -}}
{{- $urls = append $urls . -}}
{{- end -}}
{{- end -}}
{{- join "," $urls -}}
{{- end -}}

{{- define "parley.postgresqlHost" -}}
{{- .Values.postgresql.external.host | default (printf "%s-postgresql" (include "parley.fullname" .)) -}}
{{- end -}}

{{- define "parley.postgresqlPort" -}}
{{- if include "parley.postgresqlBundled" . }}5432{{ else }}{{ int .Values.postgresql.external.port }}{{ end -}}
{{- end -}}

{{/* DATABASE_URL as a role, and the password it is made with: {root, role}. */}}
{{- define "parley.databaseVariables" -}}
{{- $values := .root.Values.postgresql -}}
{{- $secret := include "parley.postgresqlSecret" . | fromYaml -}}
{{- $sslmode := $values.external.sslmode -}}
{{- if include "parley.postgresqlBundled" .root -}}
{{- $sslmode = ternary "verify-full" "disable" $values.tls.enabled -}}
{{- end -}}
{{- if include "parley.authorityOf" (dict "root" .root "server" "postgresql") -}}
{{- $sslmode = printf "%s&sslrootcert=/etc/parley-tls/postgresql/ca.crt" $sslmode -}}
{{- else if eq $sslmode "verify-full" -}}
{{- $sslmode = "verify-full&sslrootcert=system" -}}
{{- end -}}
{{ include "parley.secretVariable" (merge (dict "env" "DATABASE_PASSWORD") $secret) }}
- name: DATABASE_URL
  value: "postgresql://{{ (get $values.roles .role).user }}:$(DATABASE_PASSWORD)@{{ include "parley.postgresqlHost" .root }}:{{ include "parley.postgresqlPort" .root }}/{{ $values.database }}?sslmode={{ $sslmode }}"
{{- end -}}

{{- define "parley.streamReplicas" -}}
{{- if .Values.nats.streamReplicas -}}
{{- int .Values.nats.streamReplicas -}}
{{- else -}}
{{- ternary (min 3 (int .Values.nats.replicas)) 3 (eq (include "parley.natsBundled" .) "true") -}}
{{- end -}}
{{- end -}}

{{/* How a service reaches NATS, and PostgreSQL if it has a role there: {root, component}. */}}
{{- define "parley.serverVariables" -}}
{{- if include "parley.natsAuth" .root -}}
{{ include "parley.secretVariable" (dict "env" "NATS_PASSWORD" "secret" (include "parley.natsSecret" .root) "key" .component) }}
{{ end -}}
- name: NATS_URL
  value: {{ include "parley.natsUrl" (dict "root" .root "user" .component) | quote }}
{{- if include "parley.authorityOf" (dict "root" .root "server" "nats") }}
- name: NATS_CA_FILE
  value: /etc/parley-tls/nats/ca.crt
{{- end }}
{{- if hasKey .root.Values.postgresql.roles .component }}
{{ include "parley.databaseVariables" (dict "root" .root "role" .component) }}
{{- end }}
{{- end -}}

{{/* The whole environment of a service: {root, component, values}. */}}
{{- define "parley.environment" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $prefix := upper .component -}}
- name: {{ $prefix }}_HOST
  value: {{ $values.listen | quote }}
- name: {{ $prefix }}_HTTP_PORT
  value: "8081"
{{- if eq .component "gateway" }}
- name: GATEWAY_PORT
  value: "8080"
- name: GATEWAY_DRAIN_SECONDS
  value: {{ include "parley.text" $values.drainSeconds | quote }}
- name: GATEWAY_TRUSTED_PROXIES
  value: {{ join "," $values.trustedProxies | quote }}
{{ include "parley.secretVariable" (dict "env" "GATEWAY_RESUME_SECRET" "secret" (include "parley.authSecret" $root) "key" "resume-secret") }}
{{- end }}
{{ include "parley.serverVariables" . }}
- name: PARLEY_MODE
  value: production
{{- if $values.auth.tokenSecret.enabled }}
{{ include "parley.secretVariable" (dict "env" "PARLEY_TOKEN_SECRET" "secret" (include "parley.authSecret" $root) "key" "token-secret") }}
{{- end }}
{{- with $values.auth.jwks }}
- name: PARLEY_JWKS
  value: {{ . | quote }}
{{- end }}
- name: PARLEY_STREAM_REPLICAS
  value: {{ include "parley.streamReplicas" $root | quote }}
{{- if include "parley.hasApps" $root }}
- name: PARLEY_APPS
  value: /etc/parley/parley.yaml
{{- end }}
{{- if eq .component "rooms" }}
{{ include "parley.turnVariables" $root }}
{{- end }}
{{- if $values.telemetry.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $values.telemetry.otlpEndpoint | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $values.telemetry.sampleRatio | quote }}
{{- end }}
{{- range $name, $value := merge (dict) .values.settings $values.settings }}
- name: {{ $name }}
  value: {{ include "parley.text" $value | quote }}
{{- end }}
{{- with .values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "parley.hasApps" -}}
{{- if or .Values.apps .Values.appsExistingSecret }}true{{ end -}}
{{- end -}}

{{/* STUN and TURN servers that clients are told of, those of the coturn beside us among them. */}}
{{- define "parley.turnVariables" -}}
{{- $stun := .Values.turn.stunUrls -}}
{{- $turn := .Values.turn.turnUrls -}}
{{- if .Values.coturn.enabled -}}
{{- $host := .Values.coturn.externalAddress -}}
{{- $stun = append $stun (printf "stun:%s:3478" $host) -}}
{{- $turn = list (printf "turn:%s:3478?transport=udp" $host) (printf "turn:%s:3478?transport=tcp" $host) -}}
{{- end -}}
{{- with $stun -}}
- name: STUN_URLS
  value: {{ join "," . | quote }}
{{- end }}
{{- with $turn }}
- name: TURN_URLS
  value: {{ join "," . | quote }}
- name: TURN_TTL
  value: {{ include "parley.text" $.Values.turn.ttl | quote }}
{{ include "parley.secretVariable" (dict "env" "TURN_SECRET" "secret" (include "parley.turnSecret" $) "key" "turn-secret") }}
{{- end }}
{{- end -}}
