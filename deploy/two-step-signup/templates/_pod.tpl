{{/* Parts of both services' pods. */}}

{{- define "podSettings" -}}
{{- $values := (index . 0).Values -}}
# Neither service uses the Kubernetes API or the variables that Kubernetes sets for Services.
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
# Spread over nodes and zones if possible. Each revision counts alone, so that a rollout spreads, too.
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "selectorLabels" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{- define "containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Where Secrets are mounted. Files change with the Secret, and the services read them anew; variables would stay. */}}
{{- define "secretsFolder" -}}/etc/two-step-signup/secrets{{- end }}
{{- define "kafkaLoginFolder" -}}/etc/two-step-signup/kafka-login{{- end }}
{{- define "kafkaCaFolder" -}}/etc/two-step-signup/kafka-ca{{- end }}
{{- define "kafkaTokenFolder" -}}/etc/two-step-signup/kafka-token{{- end }}
{{- define "kafkaCertificateFolder" -}}/etc/two-step-signup/kafka-certificate{{- end }}
{{- define "textsFolder" -}}/etc/two-step-signup/texts{{- end }}

{{/* A file of the texts as the key of a ConfigMap, which has no slashes. */}}
{{- define "textsKey" -}}{{ replace "/" "." . }}{{- end }}

{{/* Variables of both services. */}}
{{- define "commonEnv" -}}
{{- $root := index . 0 -}}
{{- $kafka := $root.Values.kafka -}}
- {name: LOG_FORMAT, value: {{ $root.Values.logFormat }}}
{{- with $root.Values.tracing }}
{{- if .endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .endpoint | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: {{ .sampler }}}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ .samplerArgument | quote }}}
{{- end }}
{{- end }}
- {name: CODE_SECRETS_FILE, value: {{ include "secretsFolder" . }}/CODE_SECRETS}
- {name: PUBLIC_URL, value: {{ $root.Values.publicUrl | quote }}}
{{- if $root.Values.texts.files }}
- {name: TEXTS_DIR, value: {{ include "textsFolder" $root }}}
{{- end }}
- {name: MAIL_LINK, value: {{ ternary "on" "off" $root.Values.mailLink | quote }}}
- {name: MAX_CLOCK_SKEW, value: {{ $root.Values.rules.maxClockSkew }}}
- {name: PUBLISH_TIMEOUT, value: {{ $root.Values.rules.publishTimeout }}}
- {name: KAFKA_BROKERS, value: {{ $kafka.brokers | quote }}}
{{- with $kafka.topicPrefix }}
- {name: KAFKA_TOPIC_PREFIX, value: {{ . | quote }}}
{{- end }}
- {name: KAFKA_PARTITIONS, value: {{ $kafka.partitions | quote }}}
- {name: KAFKA_REPLICATION, value: {{ $kafka.replication | quote }}}
{{- if $kafka.rackFromZone }}
- {name: KAFKA_CLIENT_RACK, valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}}
{{- end }}
- {name: KAFKA_SECURITY_PROTOCOL, value: {{ $kafka.securityProtocol }}}
{{- if hasPrefix "sasl_" $kafka.securityProtocol }}
- {name: KAFKA_SASL_MECHANISM, value: {{ $kafka.saslMechanism }}}
{{- if $kafka.tokenSecretName }}
- {name: KAFKA_TOKEN_FILE, value: {{ include "kafkaTokenFolder" . }}/token}
{{- else }}
- {name: KAFKA_SASL_USERNAME, valueFrom: {secretKeyRef: {name: {{ $kafka.saslSecretName }}, key: KAFKA_SASL_USERNAME}}}
- {name: KAFKA_SASL_PASSWORD_FILE, value: {{ include "kafkaLoginFolder" . }}/KAFKA_SASL_PASSWORD}
{{- end }}
{{- end }}
{{- if $kafka.caSecretName }}
- {name: KAFKA_CA_FILE, value: {{ include "kafkaCaFolder" . }}/ca.crt}
{{- end }}
{{- if $kafka.certificateSecretName }}
- {name: KAFKA_CERTIFICATE_FILE, value: {{ include "kafkaCertificateFolder" . }}/tls.crt}
- {name: KAFKA_KEY_FILE, value: {{ include "kafkaCertificateFolder" . }}/tls.key}
{{- end }}
{{- end }}

{{/* Mounts and volumes of both services. */}}
{{- define "commonMounts" -}}
- {name: secrets, mountPath: {{ include "secretsFolder" . }}, readOnly: true}
{{- if .Values.kafka.tokenSecretName }}
- {name: kafka-token, mountPath: {{ include "kafkaTokenFolder" . }}, readOnly: true}
{{- else if hasPrefix "sasl_" .Values.kafka.securityProtocol }}
- {name: kafka-login, mountPath: {{ include "kafkaLoginFolder" . }}, readOnly: true}
{{- end }}
{{- if .Values.kafka.caSecretName }}
- {name: kafka-ca, mountPath: {{ include "kafkaCaFolder" . }}, readOnly: true}
{{- end }}
{{- if .Values.kafka.certificateSecretName }}
- {name: kafka-certificate, mountPath: {{ include "kafkaCertificateFolder" . }}, readOnly: true}
{{- end }}
{{- if .Values.texts.files }}
- {name: texts, mountPath: {{ include "textsFolder" . }}, readOnly: true}
{{- end }}
{{- end }}

{{/* With the keys of secretName that the service gets. */}}
{{- define "commonVolumes" -}}
{{- $values := (index . 0).Values -}}
- name: secrets
  secret: {secretName: {{ $values.secretName }}, items: [{{ range $i, $key := rest . }}{{ if $i }}, {{ end }}{key: {{ $key }}, path: {{ $key }}}{{ end }}]}
{{- if $values.kafka.tokenSecretName }}
- {name: kafka-token, secret: {secretName: {{ $values.kafka.tokenSecretName }}, items: [{key: token, path: token}]}}
{{- else if hasPrefix "sasl_" $values.kafka.securityProtocol }}
- name: kafka-login
  secret: {secretName: {{ $values.kafka.saslSecretName }}, items: [{key: KAFKA_SASL_PASSWORD, path: KAFKA_SASL_PASSWORD}]}
{{- end }}
{{- if $values.kafka.caSecretName }}
- {name: kafka-ca, secret: {secretName: {{ $values.kafka.caSecretName }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- if $values.kafka.certificateSecretName }}
- {name: kafka-certificate, secret: {secretName: {{ $values.kafka.certificateSecretName }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}}
{{- end }}
{{- if $values.texts.files }}
- name: texts
  configMap:
    name: {{ include "name" (list (index . 0) "texts") }}
    items:
      {{- range $file, $_ := $values.texts.files }}
      - {key: {{ include "textsKey" $file }}, path: {{ $file }}}
      {{- end }}
{{- end }}
{{- end }}

{{/* MAIL_HEADERS from a map. */}}
{{- define "mailHeaders" -}}
{{- range $name, $value := . }}{{ $name }}: {{ $value }} | {{ end }}
{{- end }}

{{/* Further variables, from a map. */}}
{{- define "furtherEnv" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
