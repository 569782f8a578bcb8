{{/*
The parts of the platform as a table: which image and process, which ports, which secrets, which of the volumes.
Every part is one Deployment made from its row (`_deployment.tpl`); who may talk to whom is in `networkpolicies.yaml`.
*/}}

{{- define "tre.parts" -}}
api:
  image: control
  ports: {web: 8003, internal: 8005}
  ready: {httpGet: {path: /tre/api/v1/health, port: 8003}}
  door: [internal-hub.token, internal-guard.token, internal-intake.token, internal-machine.token, tre-web.secret]
  logins: [state-tre_app.pgpass, data-tre_admin.pgpass]
  openbao: true
  content: [{{ if not .Values.content.bucket.name }}content, {{ end }}incoming, extracts]
  bucket: true
worker:
  image: control
  ready: {exec: {command: [test, -e, /run/tre/s/worker.ready]}}
  logins: [state-tre_app.pgpass, data-tre_admin.pgpass]
  openbao: true
  content: [{{ if not .Values.content.bucket.name }}content, {{ end }}incoming, extracts]
  bucket: true
controller:
  image: control
  logins: [state-tre_app.pgpass]
  openbao: true
  apiServer: true
hub:
  image: hub
  ports: {hub: 8001}
  ready: {httpGet: {path: /hub/health, port: 8001}}
  door: [internal-hub.token, guard-admin.token, hub-cookie, tre-web.secret{{ if .Values.oidc.issuer }}, hub-crypt-key{{ end }}]
  oidc: true
  logins: [hub-database.url]
  apiServer: true
  single: true
guard:
  image: guard
  ports: {guard: 8002, routes: 8006}
  ready: {tcpSocket: {port: 8002}}
  door: [internal-guard.token, guard-admin.token, guard-cookie]
  headless: true
intake:
  image: guard
  ports: {intake: 8007}
  ready: {tcpSocket: {port: 8007}}
  door: [internal-intake.token]
  arriving: true
{{- end }}
