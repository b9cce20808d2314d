{{/* Names, namespaces, labels and annotations. */}}

{{- define "lcm.name" -}}
{{ .Values.nameOverride | default .Chart.Name }}
{{- end }}

{{/* The name of the chart's objects. */}}
{{- define "lcm.fullname" -}}
{{- $name := include "lcm.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* The name of a component's objects: (list $ component). */}}
{{- define "lcm.componentName" -}}
{{ include "lcm.fullname" (index . 0) }}{{ if eq (index . 1) "rest" }}-rest{{ end }}
{{- end }}

{{/* The namespace of the chart's objects; these templates call it the release's own. */}}
{{- define "lcm.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{/* The name of cluster-scoped objects. */}}
{{- define "lcm.clusterName" -}}
{{ include "lcm.namespace" . }}-{{ include "lcm.fullname" . }}
{{- end }}

{{/* The labels that select the pods of a component: (list $ component). No template of an engine may set such a component. */}}
{{- define "lcm.selector" -}}
app.kubernetes.io/name: {{ include "lcm.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of all objects: (list $ component). */}}
{{- define "lcm.labels" -}}
{{- $root := index . 0 -}}
{{- $own := include "lcm.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "lcm-operator" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version) -}}
{{ toYaml (merge $own $root.Values.commonLabels) }}
{{- end }}

{{/* The metadata of an object: a dict of root, component, name; and, if they apply, namespace (default: the release's
own), cluster (true: none), labels and annotations. */}}
{{- define "lcm.metadata" -}}
{{- $metadata := dict "name" .name -}}
{{- if not .cluster -}}
{{- $_ := set $metadata "namespace" (.namespace | default (include "lcm.namespace" .root)) -}}
{{- end -}}
{{- $labels := include "lcm.labels" (list .root .component) | fromYaml -}}
{{- $_ := set $metadata "labels" (merge $labels (.labels | default dict)) -}}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations -}}
{{- $_ := set $metadata "annotations" . -}}
{{- end -}}
{{ toYaml $metadata }}
{{- end }}

{{/* The metadata of the pods of a component: (list $ component). */}}
{{- define "lcm.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (ternary "rest" "operator" (eq (index . 1) "rest")) -}}
{{- $labels := include "lcm.labels" . | fromYaml -}}
{{- $metadata := dict "labels" (merge $labels $own.podLabels $root.Values.podLabels) -}}
{{- with merge (dict) $own.podAnnotations $root.Values.podAnnotations $root.Values.commonAnnotations -}}
{{- $_ := set $metadata "annotations" . -}}
{{- end -}}
{{ toYaml $metadata }}
{{- end }}

{{- define "lcm.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry -}}
{{- $name := .Values.image.repository -}}
{{- if $registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" $registry) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $name "") -}}
{{- end -}}
{{ $name }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The pull secrets of all pods, as a JSON object with the list `secrets`. */}}
{{- define "lcm.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.imagePullSecrets .Values.global.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{ dict "secrets" ($secrets | uniq) | toJson }}
{{- end }}

{{- define "lcm.trialNamespace" -}}
{{ .Values.trialNamespace | default (include "lcm.namespace" .) }}
{{- end }}

{{/* All namespaces for trials that the release knows, separated by commas: engines run there. */}}
{{- define "lcm.trialNamespaces" -}}
{{ concat (list (include "lcm.trialNamespace" .)) .Values.watchNamespaces | uniq | sortAlpha | join "," }}
{{- end }}

{{/* The namespace that the release creates for the Lease that elects the leader; empty if none is needed. */}}
{{- define "lcm.electionNamespace" -}}
{{- $own := include "lcm.namespace" . -}}
{{- if and (not .Values.operator.leaseNamespace) (has $own (splitList "," (include "lcm.trialNamespaces" .))) -}}
{{ include "lcm.clusterName" . | trunc 54 | trimSuffix "-" }}-election
{{- end }}
{{- end }}

{{/* The namespace of the Lease that elects the leader: one without engines, unless leaseNamespace is set. */}}
{{- define "lcm.leaseNamespace" -}}
{{ .Values.operator.leaseNamespace | default (include "lcm.electionNamespace" .) | default (include "lcm.namespace" .) }}
{{- end }}

{{/* All namespaces that the operator works in, separated by commas. */}}
{{- define "lcm.namespaces" -}}
{{- $own := list (include "lcm.namespace" .) (include "lcm.leaseNamespace" .) -}}
{{ concat $own (splitList "," (include "lcm.trialNamespaces" .)) | uniq | sortAlpha | join "," }}
{{- end }}

{{- define "lcm.operatorAccount" -}}
{{ .Values.operator.serviceAccount.name | default (include "lcm.fullname" .) }}
{{- end }}

{{- define "lcm.restAccount" -}}
{{- if .Values.rest.standalone -}}
{{ .Values.rest.serviceAccount.name | default (printf "%s-rest" (include "lcm.fullname" .)) }}
{{- else -}}
{{ include "lcm.operatorAccount" . }}
{{- end -}}
{{- end }}

{{/* The component whose pods serve the REST interface. */}}
{{- define "lcm.restComponent" -}}
{{ ternary "rest" "operator" .Values.rest.standalone }}
{{- end }}

{{/* The components that are Deployments, as a JSON object with the list `components`. */}}
{{- define "lcm.components" -}}
{{ dict "components" (and .Values.rest.enabled .Values.rest.standalone | ternary (list "operator" "rest") (list "operator")) | toJson }}
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
