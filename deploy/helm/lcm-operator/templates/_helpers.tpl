{{/* The name of the chart's objects. */}}
{{- define "lcm.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* The name of cluster-scoped objects. */}}
{{- define "lcm.clusterName" -}}
{{ .Release.Namespace }}-{{ include "lcm.fullname" . }}
{{- end }}

{{/* The labels that select the pods of a component: (list $ component). */}}
{{- define "lcm.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of all objects: (list $ component). */}}
{{- define "lcm.labels" -}}
{{ include "lcm.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: lcm-operator
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{- define "lcm.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "lcm.trialNamespace" -}}
{{ .Values.trialNamespace | default .Release.Namespace }}
{{- end }}

{{/* All namespaces for trials that the release knows, separated by commas: engines run there. */}}
{{- define "lcm.trialNamespaces" -}}
{{ concat (list (include "lcm.trialNamespace" .)) .Values.watchNamespaces | uniq | sortAlpha | join "," }}
{{- end }}

{{/* The namespace that the release creates for the Lease that elects the leader; empty if none is needed. */}}
{{- define "lcm.electionNamespace" -}}
{{- if and (not .Values.operator.leaseNamespace) (has .Release.Namespace (splitList "," (include "lcm.trialNamespaces" .))) -}}
{{ include "lcm.clusterName" . | trunc 54 | trimSuffix "-" }}-election
{{- end }}
{{- end }}

{{/* The namespace of the Lease that elects the leader: one without engines, unless leaseNamespace is set. */}}
{{- define "lcm.leaseNamespace" -}}
{{ .Values.operator.leaseNamespace | default (include "lcm.electionNamespace" .) | default .Release.Namespace }}
{{- end }}

{{/* All namespaces that the operator works in, separated by commas. */}}
{{- define "lcm.namespaces" -}}
{{- $own := list .Release.Namespace (include "lcm.leaseNamespace" .) -}}
{{ concat $own (splitList "," (include "lcm.trialNamespaces" .)) | uniq | sortAlpha | join "," }}
{{- end }}

{{- define "lcm.restAccount" -}}
{{ include "lcm.fullname" . }}{{ if .Values.rest.standalone }}-rest{{ end }}
{{- end }}

{{/* The component whose pods serve the REST interface. */}}
{{- define "lcm.restComponent" -}}
{{ ternary "rest" "operator" .Values.rest.standalone }}
{{- end }}

{{- define "lcm.keysSecret" -}}
{{ .Values.rest.existingSecret | default (printf "%s-api-keys" (include "lcm.fullname" .)) }}
{{- end }}

{{/* The object of a kind in a file with several objects, as YAML: (list $ file kind). */}}
{{- define "lcm.document" -}}
{{- $kind := index . 2 -}}
{{- range splitList "\n---\n" ((index . 0).Files.Get (index . 1)) -}}
{{- $document := fromYaml . -}}
{{- if eq $document.kind $kind -}}
{{ toYaml $document }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The fields that all pods share. */}}
{{- define "lcm.podSpec" -}}
automountServiceAccountToken: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The placement of replicas: (list $ component). */}}
{{- define "lcm.spread" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.affinity -}}
affinity: {{- toYaml $root.Values.affinity | nindent 2 }}
{{- else -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "lcm.selector" . | nindent 12 }}
{{- end }}
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{- include "lcm.selector" . | nindent 6 }}
{{- end }}

{{- define "lcm.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The ServiceAccount token as a volume with its mount, and a /tmp. */}}
{{- define "lcm.mounts" -}}
- {name: account, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end }}
{{- define "lcm.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 16Mi}
- name: account
  projected:
    sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3600}
    - configMap:
        name: kube-root-ca.crt
        items: [{key: ca.crt, path: ca.crt}]
    - downwardAPI:
        items:
        - path: namespace
          fieldRef: {fieldPath: metadata.namespace}
{{- end }}

{{/* The log settings of every container. */}}
{{- define "lcm.log" -}}
- {name: LCM_LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
- {name: LCM_LOG_FORMAT, value: {{ .Values.logFormat | quote }}}
{{- end }}

{{/* The probes of a container: the name of its port. */}}
{{- define "lcm.probes" -}}
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
  timeoutSeconds: 5
# An unavailable API server fails the probe, but a restart would not fix it: docs/operations.md.
livenessProbe:
  httpGet: {path: /healthz, port: {{ . }}}
  periodSeconds: 10
  failureThreshold: 6
  timeoutSeconds: 5
{{- end }}

{{/* The container of the REST interface, and the volume of its keys. */}}
{{- define "lcm.restContainer" -}}
- name: rest
  image: {{ include "lcm.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [python, -m, lcm_operator.rest]
  env:
  {{- include "lcm.log" . | nindent 2 }}
  - {name: LCM_NAMESPACE, value: {{ include "lcm.trialNamespace" . | quote }}}
  - {name: LCM_REST_ADDRESS, value: "0.0.0.0:5000"}
  - {name: LCM_METRICS_ADDRESS, value: "0.0.0.0:5002"}
  - {name: LCM_API_KEYS_FILE, value: /etc/lcm/api-keys/keys}
  - {name: LCM_API_LEVEL, value: {{ .Values.rest.apiLevel | quote }}}
  - {name: LCM_TIMEZONE, value: {{ .Values.rest.timezone | quote }}}
  - {name: LCM_REGISTRY, value: {{ .Values.rest.registry | quote }}}
  - {name: LCM_DEFAULT_PLAN, value: {{ .Values.rest.defaultPlan | quote }}}
  {{- $service := printf "%s-rest" (include "lcm.fullname" .) }}
  {{- $inside := printf "%s.%s" $service .Release.Namespace }}
  {{- $hosts := list $service $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside) }}
  {{- with .Values.rest.ingress.host }}
  {{- $hosts = append $hosts . }}
  {{- end }}
  - {name: LCM_ALLOWED_HOSTS, value: {{ concat $hosts .Values.rest.allowedHosts | join "," | quote }}}
  ports:
  - {name: rest, containerPort: 5000}
  - {name: rest-metrics, containerPort: 5002}
  {{- include "lcm.probes" "rest" | nindent 2 }}
  resources: {{- toYaml .Values.rest.resources | nindent 4 }}
  securityContext: {{- include "lcm.containerSecurity" . | nindent 4 }}
  volumeMounts:
  {{- include "lcm.mounts" . | nindent 2 }}
  - {name: api-keys, mountPath: /etc/lcm/api-keys, readOnly: true}
{{- end }}
{{- define "lcm.keysVolume" -}}
- name: api-keys
  secret:
    secretName: {{ include "lcm.keysSecret" . }}
    items: [{key: keys, path: keys}]
{{- end }}

{{/* The annotations of our own kinds. They stay with the CRDs when the release goes, and the next one takes them over.
As long as the API server has no such kinds, Helm can't have them in a release: the first installation makes them after
the CRDs, by a hook, and from the next upgrade on they are part of the release. */}}
{{- define "lcm.ownKindAnnotations" -}}
helm.sh/resource-policy: keep
meta.helm.sh/release-name: {{ .Release.Name }}
meta.helm.sh/release-namespace: {{ .Release.Namespace }}
{{- if not (.Capabilities.APIVersions.Has "lcm.5gdrones.eu/v1alpha1") }}
helm.sh/hook: post-install,post-upgrade
{{- end }}
{{- end }}
