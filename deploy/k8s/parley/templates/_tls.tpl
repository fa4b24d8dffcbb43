{{/* TLS to NATS and PostgreSQL. Most take {root, server}, where the server is `nats` or `postgresql`. */}}

{{/* The secret with certificate, key and authority of a server installed here; empty if it speaks no TLS. */}}
{{- define "parley.certificateOf" -}}
{{- $values := get .root.Values .server -}}
{{- $bundled := ternary (include "parley.natsBundled" .root) (include "parley.postgresqlBundled" .root) (eq .server "nats") -}}
{{- if and $bundled $values.tls.enabled -}}
{{- $values.tls.existingSecret | default (printf "%s-%s-tls" (include "parley.fullname" .root) .server) -}}
{{- end -}}
{{- end -}}

{{/* The secret whose `ca.crt` clients of a server look at its certificate with; empty if there is none to look at. */}}
{{- define "parley.authorityOf" -}}
{{- include "parley.certificateOf" . | default (get .root.Values .server).external.caSecret -}}
{{- end -}}

{{/* Where a client of servers finds their authorities, and from where: {root, servers}. */}}
{{- define "parley.authorityMounts" -}}
{{- $root := .root -}}
{{- range .servers }}
{{- if include "parley.authorityOf" (dict "root" $root "server" .) }}
- {name: {{ . }}-authority, mountPath: /etc/parley-tls/{{ . }}, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "parley.authorityVolumes" -}}
{{- $root := .root -}}
{{- range $server := .servers }}
{{- with include "parley.authorityOf" (dict "root" $root "server" $server) }}
- name: {{ $server }}-authority
  secret:
    secretName: {{ . }}
    items:
      - {key: ca.crt, path: ca.crt}
{{- end }}
{{- end }}
{{- end -}}

{{/* A server's own certificate, as a volume `certificate`. PostgreSQL refuses a key that others may read. */}}
{{- define "parley.certificateVolume" -}}
- name: certificate
  secret:
    secretName: {{ include "parley.certificateOf" . }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
      - {key: ca.crt, path: ca.crt}
{{- end -}}
