{{- define "lunamoth.name" -}}
{{- if contains "lunamoth" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-lunamoth" (.Release.Name | trunc 40 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "lunamoth.selector" -}}
app.kubernetes.io/name: lunamoth
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "lunamoth.labels" -}}
{{ include "lunamoth.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "lunamoth.image" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "lunamoth.secret" -}}
{{ .Values.secret.existing | default (include "lunamoth.name" .) }}
{{- end }}

{{- define "lunamoth.ssh" -}}
{{ .Values.ssh.existing | default (printf "%s-ssh" (include "lunamoth.name" .)) }}
{{- end }}

{{- define "lunamoth.scripts" -}}
{{ .Values.scripts.configMap | default (printf "%s-scripts" (include "lunamoth.name" .)) }}
{{- end }}

{{- define "lunamoth.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: false
terminationGracePeriodSeconds: 60
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "lunamoth.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "lunamoth.environment" -}}
envFrom:
  - configMapRef:
      name: {{ include "lunamoth.name" . }}
  - secretRef:
      name: {{ include "lunamoth.secret" . }}
{{- end }}
