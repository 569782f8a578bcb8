{{/* A pod of one part: {root, part, row, process}. Nothing of it may be written but memory, and what the row names. */}}

{{- define "tre.pod" -}}
{{- $values := .root.Values -}}
{{- $row := .row -}}
{{- $bucket := and $row.bucket $values.content.bucket.name -}}
{{- /* Where bytes lie until they are whole: on the node's disk, where they do not go into a folder of the volume. */ -}}
{{- $arriving := or $row.arriving $bucket -}}
serviceAccountName: tre-{{ .part }}
automountServiceAccountToken: {{ $row.apiServer | default false }}
enableServiceLinks: false
securityContext: {{- include "tre.podSecurity" . | nindent 2 }}
{{ include "tre.scheduling" . }}
{{- if or $row.content $arriving }}
initContainers:
  # A volume's own root is the kubelet's; ours is a folder in it, and what is shown in our folder needs that first.
  - name: folders
    image: {{ include "tre.image" (dict "root" .root "image" $row.image) }}
    imagePullPolicy: {{ $values.images.pullPolicy }}
    command: [mkdir, -p, -m, "0700", {{ range $row.content }}/volume/{{ . }}, {{ end }}{{ if $arriving }}/arriving/arriving, {{ end }}/var/lib/tre/state]
    resources:
      requests: {cpu: 10m, memory: 16Mi}
      limits: {cpu: 100m, memory: 32Mi}
    securityContext: {{- include "tre.containerSecurity" . | nindent 6 }}
    volumeMounts:
      {{- if $row.content }}
      - {name: content, mountPath: /volume}
      {{- end }}
      {{- if $arriving }}
      - {name: arriving, mountPath: /arriving}
      {{- end }}
      - {name: state, mountPath: /var/lib/tre}
{{- end }}
containers:
  - name: {{ .part }}
    image: {{ include "tre.image" (dict "root" .root "image" $row.image) }}
    imagePullPolicy: {{ $values.images.pullPolicy }}
    command: [python, -m, tre.stack.cluster, {{ .process | default .part }}]
    env:
      - {name: TRE_CLUSTER, value: /etc/tre/cluster/cluster.toml}
      - {name: TRE_SECRETS, value: /etc/tre/secrets}
      - {name: TRE_STATE, value: /var/lib/tre/state}
      - {name: TRE_RUN, value: /run/tre/s}
      - {name: TRE_HTTPS, value: {{ hasPrefix "https://" $values.url | ternary "1" "0" | quote }}}
      - name: POD_NAME
        valueFrom: {fieldRef: {fieldPath: metadata.name}}
    {{- with $row.ports }}
    ports:
      {{- range $name, $port := . }}
      - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
      {{- end }}
    {{- end }}
    {{- with $row.ready }}
    startupProbe: {{- merge (dict "periodSeconds" 2 "failureThreshold" 60 "timeoutSeconds" 3) . | toYaml | nindent 6 }}
    readinessProbe: {{- merge (dict "periodSeconds" 5 "failureThreshold" 3 "timeoutSeconds" 3) . | toYaml | nindent 6 }}
    {{- if not (hasKey . "exec") }}
    livenessProbe: {{- merge (dict "periodSeconds" 20 "failureThreshold" 6 "timeoutSeconds" 5) . | toYaml | nindent 6 }}
    {{- end }}
    {{- end }}
    resources: {{- toYaml .resources | nindent 6 }}
    securityContext: {{- include "tre.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: cluster, mountPath: /etc/tre/cluster, readOnly: true}
      - {name: secrets, mountPath: /etc/tre/secrets, readOnly: true}
      - {name: state, mountPath: /var/lib/tre}
      - {name: run, mountPath: /run/tre}
      - {name: tmp, mountPath: /tmp}
      {{- range $row.content }}
      - {name: content, mountPath: /var/lib/tre/state/{{ . }}, subPath: {{ . }}}
      {{- end }}
      {{- if $arriving }}
      - {name: arriving, mountPath: /var/lib/tre/state/arriving, subPath: arriving}
      {{- end }}
      {{- if and $bucket $values.content.bucket.ca }}
      - {name: ca-bucket, mountPath: /etc/tre/ca/bucket, readOnly: true}
      {{- end }}
      {{- if $values.postgresql.ca }}
      - {name: ca-postgresql, mountPath: /etc/tre/ca/postgresql, readOnly: true}
      {{- end }}
      {{- if and $row.oidc $values.oidc.issuer $values.oidc.ca }}
      - {name: ca-oidc, mountPath: /etc/tre/ca/oidc, readOnly: true}
      {{- end }}
      {{- if $row.openbao }}
      - {name: openbao, mountPath: /var/run/secrets/tre/openbao, readOnly: true}
      {{- if or $values.small.enabled $values.openbao.ca }}
      - {name: ca-openbao, mountPath: /etc/tre/ca/openbao, readOnly: true}
      {{- end }}
      {{- end }}
volumes:
  - name: cluster
    configMap: {name: {{ .configuration | default "tre-cluster" }}}
  - name: secrets
    projected:
      sources:
        {{- with $row.door }}
        - secret:
            name: {{ include "tre.doorSecret" $.root }}
            items:
              {{- range . }}
              - {key: {{ . }}, path: {{ . }}}
              {{- end }}
        {{- end }}
        {{- with $row.logins }}
        - secret:
            name: {{ include "tre.logins" $.root }}
            items:
              {{- range . }}
              - {key: {{ . }}, path: {{ . }}}
              {{- end }}
        {{- end }}
        {{- if and $row.oidc $values.oidc.issuer }}
        - secret:
            name: {{ $values.oidc.clientSecret }}
            items:
              - {key: oidc-client.secret, path: oidc-client.secret}
        {{- end }}
        {{- if $bucket }}
        - secret:
            name: {{ $values.content.bucket.credentials }}
            items:
              - {key: bucket-access-key-id, path: bucket-access-key-id}
              - {key: bucket-secret-access-key, path: bucket-secret-access-key}
        {{- end }}
  - name: state
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
  - name: run
    emptyDir: {medium: Memory, sizeLimit: 16Mi}
  - name: tmp
    emptyDir: {sizeLimit: 1Gi}
  {{- if $row.content }}
  - name: content
    persistentVolumeClaim: {claimName: {{ include "tre.claim" .root }}}
  {{- end }}
  {{- if $arriving }}
  - name: arriving
    # More than a process lets in at once: the kubelet ends a pod that passes it.
    emptyDir: {sizeLimit: 5Gi}
  {{- end }}
  {{- if and $bucket $values.content.bucket.ca }}
  - name: ca-bucket
    configMap: {name: {{ $values.content.bucket.ca }}}
  {{- end }}
  {{- if $values.postgresql.ca }}
  - name: ca-postgresql
    configMap: {name: {{ $values.postgresql.ca }}}
  {{- end }}
  {{- if and $row.oidc $values.oidc.issuer $values.oidc.ca }}
  - name: ca-oidc
    configMap: {name: {{ $values.oidc.ca }}}
  {{- end }}
  {{- if $row.openbao }}
  - name: openbao
    projected:
      sources:
        - serviceAccountToken: {path: token, audience: {{ $values.openbao.audience | quote }}, expirationSeconds: 600}
  {{- if or $values.small.enabled $values.openbao.ca }}
  - name: ca-openbao
    configMap: {name: {{ $values.small.enabled | ternary "tre-ca" $values.openbao.ca }}}
  {{- end }}
  {{- end }}
{{- end }}
