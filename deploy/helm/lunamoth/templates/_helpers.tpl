{{- define "lunamoth.name" -}}
{{- if contains "lunamoth" .Release.Name }}{{ .Release.Name | trunc 44 | trimSuffix "-" }}{{ else }}{{ printf "%s-lunamoth" (.Release.Name | trunc 35 | trimSuffix "-") }}{{ end }}
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
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lunamoth.annotations" -}}
{{- with .Values.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lunamoth.image" -}}
{{- if .Values.image.digest -}}
image: {{ printf "%s@%s" .Values.image.repository .Values.image.digest | quote }}
{{- else -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "lunamoth.secret" -}}
{{ .Values.secret.existing | default (include "lunamoth.name" .) }}
{{- end }}

{{- /*
The secret, the same at each rendering: what was given, else what the cluster has; else a new one where a cluster can be asked, so that it is
found again, and a word where none can (`helm template`, Argo CD), since a new one at each rendering would part the workers from the master.
*/}}
{{- define "lunamoth.secretValue" -}}
{{- $name := include "lunamoth.name" . }}
{{- if .Values.secret.value }}{{ .Values.secret.value }}
{{- else }}
{{- $kept := lookup "v1" "Secret" .Release.Namespace $name }}
{{- if and $kept $kept.data }}{{ index $kept.data "LUNAMOTH_SECRET" | b64dec }}
{{- else if lookup "v1" "ServiceAccount" .Release.Namespace "default" }}{{ printf "lunamoth-secret-%s" (randAlphaNum 64 | sha256sum) }}
{{- else }}{{ fail (printf "secret: no cluster can be asked for the secret that is there (helm template, Argo CD, or the namespace %s does not exist yet), and a new one at each rendering would part the workers from the master. Name a Secret with the key LUNAMOTH_SECRET by secret.existing, or give one by secret.value, such as --set secret.value=\"$(lunamoth secret)\"" .Release.Namespace) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "lunamoth.ssh" -}}
{{ .Values.ssh.existing | default (printf "%s-ssh" (include "lunamoth.name" .)) }}
{{- end }}

{{- define "lunamoth.scripts" -}}
{{ .Values.scripts.configMap | default (printf "%s-scripts" (include "lunamoth.name" .)) }}
{{- end }}

{{- /* A number of YAML as people write it, not as 1e+06. */}}
{{- define "lunamoth.text" -}}
{{- if and (eq (kindOf .) "float64") (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- define "lunamoth.settings" -}}
{{- if .Values.host }}
LUNAMOTH_HOST: {{ .Values.host | quote }}
{{- else if .Values.target.enabled }}
LUNAMOTH_HOST: {{ printf "http://%s-target:8080" (include "lunamoth.name" .) | quote }}
{{- end }}
{{- with .Values.master.pathPrefix }}
LUNAMOTH_PATH_PREFIX: {{ . | quote }}
{{- end }}
{{- with .Values.scripts.script }}
LUNAMOTH_SCRIPT: {{ . | quote }}
{{- end }}
{{- if .Values.ssh.enabled }}
LUNAMOTH_SSH: ":2222"
LUNAMOTH_SSH_AUTHORIZED_KEYS: /ssh/authorized_keys
{{- end }}
{{- range $key, $value := .Values.scripts.env }}
{{ $key }}: {{ include "lunamoth.text" $value | quote }}
{{- end }}
{{- range $key, $value := .Values.settings }}
{{ $key }}: {{ include "lunamoth.text" $value | quote }}
{{- end }}
{{- end }}

{{- /* Labels and annotations of a pod. Other settings, or another secret that was given, replace it; scripts are taken over as they come. */}}
{{- define "lunamoth.podMetadata" -}}
labels:
  {{- include "lunamoth.labels" . | nindent 2 }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/settings: {{ include "lunamoth.settings" .root | sha256sum }}
  checksum/secret: {{ printf "%s %s" .root.Values.secret.existing .root.Values.secret.value | sha256sum }}
  {{- with .root.Values.annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* What the pods of all roles have in common; `values` are those of the role. */}}
{{- define "lunamoth.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: false
terminationGracePeriodSeconds: 60
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .values.initContainers }}
initContainers: {{- toYaml . | nindent 2 }}
{{- end }}
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
      name: {{ include "lunamoth.name" .root }}
  - secretRef:
      name: {{ include "lunamoth.secret" .root }}
  {{- with .values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .values.extraEnv }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lunamoth.masterPodSpec" -}}
{{- $part := dict "root" . "values" .Values.master -}}
{{ include "lunamoth.pod" $part }}
containers:
  - name: master
    {{- include "lunamoth.image" . | nindent 4 }}
    args:
      - master
      - --scripts=/scripts
      - --state=/state
      {{- if .Values.job.enabled }}
      - --autostart
      - --expect-workers={{ .Values.workers.replicas }}
      - --expect-workers-timeout={{ .Values.job.expectWorkersTimeout }}
      - --linger={{ .Values.job.linger }}
      {{- else }}
      - --on-term={{ .Values.master.onTerm }}
      - --sole={{ include "lunamoth.name" . }}-cluster:5557
      {{- if .Values.master.autostartWorkers }}
      - --autostart
      - --expect-workers={{ .Values.master.autostartWorkers }}
      {{- end }}
      {{- end }}
      {{- range .Values.master.extraArgs }}
      - {{ . | quote }}
      {{- end }}
    {{- include "lunamoth.environment" $part | nindent 4 }}
    ports:
      - name: web
        containerPort: 8089
        protocol: TCP
      - name: cluster
        containerPort: 5557
        protocol: UDP
      {{- if .Values.ssh.enabled }}
      - name: ssh
        containerPort: 2222
        protocol: TCP
      {{- end }}
    {{- if not .Values.job.enabled }}
    readinessProbe:
      httpGet:
        path: /readyz
        port: web
        scheme: {{ .Values.master.scheme }}
      periodSeconds: 2
    livenessProbe:
      httpGet:
        path: /healthz
        port: web
        scheme: {{ .Values.master.scheme }}
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    {{- end }}
    resources: {{- toYaml .Values.master.resources | nindent 6 }}
    {{- include "lunamoth.container" . | nindent 4 }}
    volumeMounts:
      - name: scripts
        mountPath: /scripts
        readOnly: true
      - name: state
        mountPath: /state
      {{- if .Values.ssh.enabled }}
      - name: ssh
        mountPath: /ssh
        readOnly: true
      {{- end }}
      {{- with .Values.master.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: scripts
    configMap:
      name: {{ include "lunamoth.scripts" . }}
  - name: state
    {{- if .Values.master.state.persistent }}
    persistentVolumeClaim:
      claimName: {{ .Values.master.state.existingClaim | default (printf "%s-state" (include "lunamoth.name" .)) }}
    {{- else }}
    emptyDir:
      sizeLimit: {{ .Values.master.state.size }}
    {{- end }}
  {{- if .Values.ssh.enabled }}
  - name: ssh
    secret:
      secretName: {{ include "lunamoth.ssh" . }}
      defaultMode: 0440
  {{- end }}
  {{- with .Values.master.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "lunamoth.workerPodSpec" -}}
{{- $values := .Values.workers }}
{{- if and .Values.workers.spread (not .Values.workers.topologySpreadConstraints) }}
{{- $labels := include "lunamoth.selector" (dict "root" . "component" "worker") | fromYaml }}
{{- $spread := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" (dict "matchLabels" $labels) }}
{{- $values = merge (dict "topologySpreadConstraints" (list $spread)) (omit .Values.workers "topologySpreadConstraints") }}
{{- end }}
{{- $part := dict "root" . "values" $values -}}
{{ include "lunamoth.pod" $part }}
containers:
  - name: worker
    {{- include "lunamoth.image" . | nindent 4 }}
    args:
      - worker
      - --master={{ include "lunamoth.name" . }}-cluster:5557
      - --scripts=/scripts
      - --health=:8090
      {{- if .Values.job.enabled }}
      - --once
      {{- end }}
      {{- range .Values.workers.extraArgs }}
      - {{ . | quote }}
      {{- end }}
    {{- include "lunamoth.environment" $part | nindent 4 }}
    ports:
      - name: health
        containerPort: 8090
        protocol: TCP
    {{- if not .Values.job.enabled }}
    readinessProbe:
      httpGet:
        path: /readyz
        port: health
      periodSeconds: 2
    livenessProbe:
      httpGet:
        path: /healthz
        port: health
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    {{- end }}
    resources: {{- toYaml .Values.workers.resources | nindent 6 }}
    {{- include "lunamoth.container" . | nindent 4 }}
    volumeMounts:
      - name: scripts
        mountPath: /scripts
        readOnly: true
      {{- with .Values.workers.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: scripts
    configMap:
      name: {{ include "lunamoth.scripts" . }}
  {{- with .Values.workers.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
