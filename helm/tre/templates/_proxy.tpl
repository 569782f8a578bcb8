{{/* Traefik's two files. What they share with the embedded proxy is held equal to tre/door/proxy.py by a test. */}}

{{- define "tre.proxyStatic" -}}
global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: WARN}
ping: {entryPoint: ping}
entryPoints:
  ping: {address: ":8004"}
  http:
    address: ":8000"
    http:
      encodedCharacters:
        allowEncodedHash: true
        allowEncodedPercent: true
        allowEncodedQuestionMark: true
        allowEncodedSemicolon: true
      middlewares: [tre-headers@file, tre-away@file]
    transport:
      respondingTimeouts: {readTimeout: 300s, idleTimeout: 180s}
providers:
  providersThrottleDuration: 0s
  file: {filename: /etc/tre/proxy/rules.yaml, watch: false}
{{- end }}

{{- define "tre.proxyRules" -}}
http:
  routers:
    tre-web: {rule: "PathPrefix(`/tre/`) || Path(`/tre`)", service: tre-web, entryPoints: [http]}
    guard: {rule: "PathPrefix(`/user/`)", service: guard, entryPoints: [http]}
    hub: {rule: "PathPrefix(`/`)", priority: 1, service: hub, entryPoints: [http]}
  services:
    tre-web: {loadBalancer: {servers: [{url: "http://tre-api:8003"}], passHostHeader: true}}
    guard: {loadBalancer: {servers: [{url: "http://tre-guard:8002"}], passHostHeader: true}}
    hub: {loadBalancer: {servers: [{url: "http://tre-hub:8001"}], passHostHeader: true}}
  middlewares:
    tre-headers:
      headers:
        {{- if hasPrefix "https://" .Values.url }}
        # TLS ends before this proxy: cookies of the parts behind it are for https alone.
        customRequestHeaders: {X-Forwarded-Proto: https}
        {{- end }}
        customResponseHeaders:
          X-Content-Type-Options: nosniff
          X-Frame-Options: DENY
          Cross-Origin-Opener-Policy: same-origin
          Cross-Origin-Resource-Policy: same-origin
    tre-away: {errors: {status: ["502", "504"], service: tre-web, query: /tre/away}}
{{- end }}
