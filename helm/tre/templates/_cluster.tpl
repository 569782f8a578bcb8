{{/* The file that every process reads (docs/kubernetes.md). Nothing secret is in it. */}}

{{- define "tre.cluster" -}}
{{- $space := .Release.Namespace -}}
{{- $labels := "\"app.kubernetes.io/name\" = \"tre\", \"app.kubernetes.io/instance\" = \"%s\", \"app.kubernetes.io/component\" = \"%s\"" -}}
[state]
{{ include "tre.server" (dict "root" . "name" "state") }}

[data]
{{ include "tre.server" (dict "root" . "name" "data") }}

[openbao]
url = {{ .Values.small.enabled | ternary "https://tre-openbao:8200" .Values.openbao.url | quote }}
{{- if or .Values.small.enabled .Values.openbao.ca }}
ca = "/etc/tre/ca/openbao/ca.pem"
{{- end }}
mount = {{ .Values.openbao.mount | quote }}
role = {{ .Values.openbao.role | quote }}
{{- with .Values.openbao.databaseCa }}
database_ca = {{ . | quote }}
{{- end }}

[hosts]
api = "tre-api"
hub = "tre-hub"
guard = "tre-guard"
intake = {{ include "tre.intakeName" . | quote }}
checker = "tre-checker"
{{- with .Values.oidc }}
{{- if .issuer }}

[identity_provider]
issuer = {{ .issuer | quote }}
client_id = {{ .clientId | quote }}
url = {{ $.Values.url | quote }}
name = {{ .name | quote }}
scopes = {{ .scopes | toJson }}
prompt = {{ .prompt | quote }}
algorithms = {{ .algorithms | toJson }}
amr = {{ .amr | toJson }}
acr = {{ .acr | toJson }}
refresh_seconds = {{ .refreshSeconds | int64 }}
grace_seconds = {{ .graceSeconds | int64 }}
local_accounts = {{ .localAccounts }}
{{- if .ca }}
ca = "/etc/tre/ca/oidc/ca.pem"
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.content.bucket }}
{{- if .name }}

[bucket]
endpoint = {{ .endpoint | quote }}
name = {{ .name | quote }}
region = {{ .region | quote }}
prefix = {{ .prefix | quote }}
path_style = {{ .pathStyle }}
{{- if .ca }}
ca = "/etc/tre/ca/bucket/ca.pem"
{{- end }}
{{- end }}
{{- end }}

[projects]
control_namespace = {{ $space | quote }}
hub_account = "tre-hub"
image = {{ include "tre.workspaceImage" . | quote }}
pull_policy = {{ .Values.images.pullPolicy | quote }}
pod_security_version = {{ .Values.projects.podSecurityVersion | quote }}
dns_address = {{ .Values.dns.clusterIP | quote }}
{{- range $part, $port := dict "guard" 8002 "intake" 8007 "dns" 53 }}
{{ $part }} = { namespace = {{ $space | quote }}, labels = { {{ printf $labels $.Release.Name $part }} }, port = {{ $port }} }
{{- end }}
{{- if .Values.small.enabled }}
database = { namespace = {{ $space | quote }}, labels = { {{ printf $labels .Release.Name "postgres-data" }} }, port = 5432 }
{{- else }}
database = { cidr = {{ .Values.postgresql.data.cidr | quote }}, port = {{ .Values.postgresql.data.port }} }
{{- end }}
{{- with .Values.projects.mirror }}
{{- $named := list }}
{{- range $name, $value := .labels }}
{{- $named = append $named (printf "%q = %q" $name $value) }}
{{- end }}
mirror = { namespace = {{ .namespace | quote }}, labels = { {{ join ", " $named }} }, port = {{ .port }}, url = {{ .url | quote }}, projects = [{{ range .projects }}{{ . | quote }}, {{ end }}] }
{{- end }}
{{- with .Values.projects.images }}
{{- $named := list }}
{{- range $project, $image := . }}
{{- $named = append $named (printf "%q = %q" $project $image) }}
{{- end }}
images = { {{ join ", " $named }} }
{{- end }}
{{- with .Values.projects.priorityClass }}
priority_class = {{ . | quote }}
{{- end }}
user_namespaces = {{ .Values.projects.userNamespaces }}
among_workspaces = {{ .Values.projects.amongWorkspaces }}
retention_days = {{ .Values.projects.retentionDays }}

[projects.storage]
home_class = {{ .Values.projects.storage.homeClass | quote }}
home_access = {{ .Values.projects.storage.homeAccess | quote }}
data_class = {{ .Values.projects.storage.dataClass | quote }}
data_access = {{ .Values.projects.storage.dataAccess | quote }}
data_bytes = {{ .Values.projects.storage.dataBytes | int64 }}
ephemeral_bytes = {{ .Values.projects.storage.ephemeralBytes | int64 }}
{{- with .Values.projects.gpu }}
{{- $labels := list }}
{{- range $name, $value := .nodeLabels }}
{{- $labels = append $labels (printf "%q = %q" $name $value) }}
{{- end }}

[projects.gpu]
resource = {{ .resource | quote }}
count = {{ .count }}
node_labels = { {{ join ", " $labels }} }
taint = {{ .taint | default "" | quote }}
projects = {{ .projects | toJson }}
{{- end }}
{{- end }}

{{/* What a workspace asks for: the whole name, which the projects' DNS answers, and nothing below it. */}}
{{- define "tre.intakeName" -}}
tre-intake.{{ .Release.Namespace }}.svc.cluster.local
{{- end }}
