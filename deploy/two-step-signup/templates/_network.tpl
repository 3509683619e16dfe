{{/* Rules of both NetworkPolicies. */}}

{{- define "egressRule" -}}
{{- /* list of peers, list of ports */ -}}
- {{ with index . 0 }}to: {{ toYaml . | nindent 4 }}
  {{ end }}ports:
    {{- range index . 1 }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{- define "egressToCollector" -}}
{{- if .Values.tracing.endpoint -}}
{{- $port := regexFind ":[0-9]+$" (urlParse .Values.tracing.endpoint).host | trimPrefix ":" | default "80" -}}
{{ include "egressRule" (list .Values.networkPolicy.tracesTo (list $port)) }}
{{- end }}
{{- end }}

{{- define "egressToDnsAndKafka" -}}
{{- with .Values.networkPolicy -}}
- {{ with .dnsTo }}to: {{ toYaml . | nindent 4 }}
  {{ end }}ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{ include "egressRule" (list .kafkaTo .kafkaPorts) }}
{{- end }}
{{- end }}
