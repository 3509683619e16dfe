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

{{/* Mounts of the certificates and the token for Kafka and the mail server. */}}
{{- define "kafkaCaFolder" -}}/etc/two-step-signup/kafka-ca{{- end }}
{{- define "kafkaTokenFolder" -}}/etc/two-step-signup/kafka-token{{- end }}
{{- define "kafkaCertificateFolder" -}}/etc/two-step-signup/kafka-certificate{{- end }}
{{- define "smtpCaFolder" -}}/etc/two-step-signup/smtp-ca{{- end }}

{{/* Variables of both services. */}}
{{- define "commonEnv" -}}
{{- $root := index . 0 -}}
{{- $kafka := $root.Values.kafka -}}
- {name: LOG_FORMAT, value: {{ $root.Values.logFormat }}}
- {name: CODE_SECRETS, valueFrom: {secretKeyRef: {name: {{ $root.Values.secretName }}, key: CODE_SECRETS}}}
- {name: PUBLIC_URL, value: {{ $root.Values.publicUrl | quote }}}
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
{{- range list "KAFKA_SASL_USERNAME" "KAFKA_SASL_PASSWORD" }}
- {name: {{ . }}, valueFrom: {secretKeyRef: {name: {{ $kafka.saslSecretName }}, key: {{ . }}}}}
{{- end }}
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

{{/* What both services mount for Kafka, and where. */}}
{{- define "kafkaMounts" -}}
{{- with .Values.kafka }}
{{- if .caSecretName }}
- {name: kafka-ca, mountPath: {{ include "kafkaCaFolder" . }}, readOnly: true}
{{- end }}
{{- if .certificateSecretName }}
- {name: kafka-certificate, mountPath: {{ include "kafkaCertificateFolder" . }}, readOnly: true}
{{- end }}
{{- if .tokenSecretName }}
- {name: kafka-token, mountPath: {{ include "kafkaTokenFolder" . }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "kafkaVolumes" -}}
{{- with .Values.kafka }}
{{- if .caSecretName }}
- {name: kafka-ca, secret: {secretName: {{ .caSecretName }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- if .certificateSecretName }}
- {name: kafka-certificate, secret: {secretName: {{ .certificateSecretName }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}}
{{- end }}
{{- if .tokenSecretName }}
- {name: kafka-token, secret: {secretName: {{ .tokenSecretName }}, items: [{key: token, path: token}]}}
{{- end }}
{{- end }}
{{- end }}

{{/* Further variables, from a map. */}}
{{- define "furtherEnv" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}
