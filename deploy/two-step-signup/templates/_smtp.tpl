{{/* The mail servers: the first one, and those of smtp.further. Each has its number in the names of its variables and volumes, except the first. */}}

{{- define "smtpFolder" -}}/etc/two-step-signup{{- end }}

{{/* Number of a server, with this character before it; nothing for the first. */}}
{{- define "smtpNumber" -}}{{ if index . 0 }}{{ index . 1 }}{{ add1 (index . 0) }}{{ end }}{{- end }}

{{/* The key of a server's secretName that is mounted. */}}
{{- define "smtpSecretKey" -}}{{ if has .auth (list "xoauth2" "oauthbearer") }}SMTP_TOKEN{{ else }}SMTP_PASSWORD{{ end }}{{- end }}

{{/* What a further server does not say: the defaults of the first one's values. */}}
{{- define "smtpDefaults" -}}
port: 587
encryption: starttls
auth: auto
{{- end }}

{{- define "smtpEnv" -}}
{{- range $i, $given := prepend .Values.smtp.further .Values.smtp }}
{{- $smtp := merge (deepCopy $given) (fromYaml (include "smtpDefaults" $)) }}
{{- $variables := printf "SMTP%s" (include "smtpNumber" (list $i "_")) }}
{{- $folder := printf "%s/smtp%s" (include "smtpFolder" $) (include "smtpNumber" (list $i "-")) }}
- {name: {{ $variables }}_HOST, value: {{ $smtp.host | quote }}}
- {name: {{ $variables }}_PORT, value: {{ $smtp.port | quote }}}
- {name: {{ $variables }}_ENCRYPTION, value: {{ $smtp.encryption }}}
{{- with $smtp.helloName }}
- {name: {{ $variables }}_HELLO_NAME, value: {{ . | quote }}}
{{- end }}
{{- if $smtp.secretName }}
- {name: {{ $variables }}_USERNAME, valueFrom: {secretKeyRef: {name: {{ $smtp.secretName }}, key: SMTP_USERNAME}}}
- {name: {{ replace "SMTP" $variables (include "smtpSecretKey" $smtp) }}_FILE, value: {{ $folder }}-login/{{ include "smtpSecretKey" $smtp }}}
- {name: {{ $variables }}_AUTH, value: {{ $smtp.auth }}}
{{- end }}
{{- if $smtp.certificateSecretName }}
- {name: {{ $variables }}_CERTIFICATE_FILE, value: {{ $folder }}-certificate/tls.crt}
- {name: {{ $variables }}_KEY_FILE, value: {{ $folder }}-certificate/tls.key}
{{- end }}
{{- if $smtp.caSecretName }}
- {name: {{ $variables }}_CA_FILE, value: {{ $folder }}-ca/ca.crt}
{{- end }}
{{- end }}
{{- end }}

{{- define "smtpMounts" -}}
{{- range $i, $smtp := prepend .Values.smtp.further .Values.smtp }}
{{- $name := printf "smtp%s" (include "smtpNumber" (list $i "-")) }}
{{- if $smtp.secretName }}
- {name: {{ $name }}-login, mountPath: {{ include "smtpFolder" $ }}/{{ $name }}-login, readOnly: true}
{{- end }}
{{- if $smtp.certificateSecretName }}
- {name: {{ $name }}-certificate, mountPath: {{ include "smtpFolder" $ }}/{{ $name }}-certificate, readOnly: true}
{{- end }}
{{- if $smtp.caSecretName }}
- {name: {{ $name }}-ca, mountPath: {{ include "smtpFolder" $ }}/{{ $name }}-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "smtpVolumes" -}}
{{- range $i, $smtp := prepend .Values.smtp.further .Values.smtp }}
{{- $name := printf "smtp%s" (include "smtpNumber" (list $i "-")) }}
{{- if $smtp.secretName }}
- name: {{ $name }}-login
  secret: {secretName: {{ $smtp.secretName }}, items: [{key: {{ include "smtpSecretKey" $smtp }}, path: {{ include "smtpSecretKey" $smtp }}}]}
{{- end }}
{{- if $smtp.certificateSecretName }}
- name: {{ $name }}-certificate
  secret: {secretName: {{ $smtp.certificateSecretName }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- if $smtp.caSecretName }}
- {name: {{ $name }}-ca, secret: {secretName: {{ $smtp.caSecretName }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- end }}
{{- end }}

{{/* The ports of all servers, each once. */}}
{{- define "smtpPorts" -}}
{{- $ports := list (int .Values.smtp.port) }}
{{- range .Values.smtp.further }}{{ $ports = append $ports (int (default 587 .port)) }}{{ end }}
{{- toJson (uniq $ports) }}
{{- end }}
