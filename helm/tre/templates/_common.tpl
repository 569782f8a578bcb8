{{/* Names, labels, images: said once. */}}

{{- define "tre.labels" -}}
app.kubernetes.io/name: tre
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "tre.selector" -}}
app.kubernetes.io/name: tre
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "tre.image" -}}
{{ .root.Values.images.registry }}/tre-{{ .image }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "tre.workspaceImage" -}}
{{ .Values.projects.image | default (include "tre.image" (dict "root" . "image" "workspace")) }}
{{- end }}

{{- define "tre.doorSecret" -}}
{{ .Values.doorSecrets | default "tre-door" }}
{{- end }}

{{- define "tre.logins" -}}
{{ .Values.postgresql.logins | default "tre-logins" }}
{{- end }}

{{- define "tre.claim" -}}
{{ .Values.content.claim | default "tre-content" }}
{{- end }}

{{/* How a part of ours finds a server: what the values name, or what `small` makes. */}}
{{- define "tre.server" -}}
{{- $given := index .root.Values.postgresql .name -}}
{{- if .root.Values.small.enabled -}}
host = "tre-postgres-{{ .name }}"
port = 5432
sslmode = "disable"
{{- else -}}
host = {{ $given.host | quote }}
port = {{ $given.port }}
sslmode = {{ $given.sslmode | quote }}
{{- if .root.Values.postgresql.ca }}
sslrootcert = "/etc/tre/ca/postgresql/ca.pem"
{{- else if hasPrefix "verify" $given.sslmode }}
sslrootcert = "/etc/ssl/certs/ca-certificates.crt"
{{- end }}
{{- end }}
{{- end }}

{{/* The Pod Security level `restricted`, said by every pod itself. */}}
{{- define "tre.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user | default 10001 }}
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "tre.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end }}

{{- define "tre.scheduling" -}}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClass }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "tre.selector" . | nindent 8 }}
{{- end }}

{{/* A part of ours as a peer of a NetworkPolicy. */}}
{{- define "tre.peer" -}}
podSelector:
  matchLabels: {{- include "tre.selector" . | nindent 4 }}
{{- end }}
