-- The role of each service, owner of its schema and of nothing else. Run at every migration, so a password that was
-- changed in its Secret is changed here.
\set ON_ERROR_STOP on
set client_min_messages = warning;
revoke all on database {{ .Values.postgresql.database }} from public;
revoke create on schema public from public;
{{- range $service, $role := .Values.postgresql.roles }}

\getenv password {{ upper $service }}_PASSWORD
select not exists (select from pg_roles where rolname = '{{ $role.user }}') as missing \gset
\if :missing
create role {{ $role.user }};
\endif
alter role {{ $role.user }} login password :'password';
grant connect on database {{ $.Values.postgresql.database }} to {{ $role.user }};
create schema if not exists {{ $service }} authorization {{ $role.user }};
{{- end }}
{{- if .Values.metrics.exporters.enabled }}

-- It reads how the server is, and none of what is in it. Without a password it comes in by the socket alone.
select not exists (select from pg_roles where rolname = 'metrics') as missing \gset
\if :missing
create role metrics login;
\endif
grant pg_monitor to metrics;
grant connect on database {{ .Values.postgresql.database }} to metrics;
{{- end }}
