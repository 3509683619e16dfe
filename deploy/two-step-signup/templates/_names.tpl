{{/* Names and labels. `include "..." (list $ "user-service")`: the root, and the name of the service. */}}

{{- define "name" -}}
{{- printf "%s-%s" (index . 0).Release.Name (index . 1) | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* Labels that never change, so that selectors may use them. */}}
{{- define "selectorLabels" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{- define "labels" -}}
{{ include "selectorLabels" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: two-step-signup
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{/* With the service's values as a third element. */}}
{{- define "image" -}}
{{- $image := (index . 0).Values.image -}}
{{ (index . 2).image | default (printf "%s/%s:%s" $image.prefix (index . 1) ($image.tag | default (index . 0).Chart.AppVersion)) }}
{{- end }}
