{{/* Pods and what their containers share. */}}

{{/* Whether the release is for OpenShift: "true" or empty. */}}
{{- define "lcm.isOpenShift" -}}
{{- if eq (toString .Values.openshift) "auto" -}}
{{ .Capabilities.APIVersions.Has "security.openshift.io/v1" | ternary "true" "" }}
{{- else -}}
{{ .Values.openshift | ternary "true" "" }}
{{- end -}}
{{- end }}

{{/* The annotations of objects with pods, for kube-score: on OpenShift the platform assigns user and group. */}}
{{- define "lcm.podsAnnotations" -}}
{{- if include "lcm.isOpenShift" . -}}
kube-score/ignore: container-security-context-user-group-id
{{- end -}}
{{- end }}

{{/* A security context of a component: (list $ component field). On OpenShift the platform assigns the IDs. */}}
{{- define "lcm.security" -}}
{{- $root := index . 0 -}}
{{- $field := index . 2 -}}
{{- $security := deepCopy (get $root.Values $field) -}}
{{- /* `merge` would take a `false` for a value that is not set. */ -}}
{{- range $key, $value := get (index $root.Values (index . 1)) $field -}}
{{- $_ := set $security $key $value -}}
{{- end -}}
{{- if include "lcm.isOpenShift" $root -}}
{{- $security = omit $security "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{ toYaml $security }}
{{- end }}

{{/* The fields that all pods share: (list $ component). What the component sets takes precedence over the top level. */}}
{{- define "lcm.podSpec" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) -}}
{{- $spec := dict "automountServiceAccountToken" false -}}
{{- $_ := set $spec "terminationGracePeriodSeconds" $own.terminationGracePeriodSeconds -}}
{{- $_ := set $spec "securityContext" (include "lcm.security" (list $root (index . 1) "podSecurityContext") | fromYaml) -}}
{{- with (include "lcm.pullSecrets" $root | fromJson).secrets -}}
{{- $_ := set $spec "imagePullSecrets" . -}}
{{- end -}}
{{- range $field := list "priorityClassName" "runtimeClassName" "nodeSelector" "tolerations" "dnsPolicy" "dnsConfig" "hostAliases" -}}
{{- with get $own $field | default (get $root.Values $field) -}}
{{- $_ := set $spec $field . -}}
{{- end -}}
{{- end -}}
{{ toYaml $spec }}
{{- end }}

{{/* The placement of replicas: (list $ component). */}}
{{- define "lcm.spread" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values (index . 1) -}}
{{- $selector := include "lcm.selector" . | fromYaml -}}
{{- with $own.affinity | default $root.Values.affinity -}}
affinity: {{- toYaml . | nindent 2 }}
{{- else -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- toYaml $selector | nindent 12 }}
{{- end }}
topologySpreadConstraints:
{{- range $own.topologySpreadConstraints }}
- {{- (hasKey . "labelSelector" | ternary . (merge (dict "labelSelector" (dict "matchLabels" $selector)) .)) | toYaml | nindent 2 }}
{{- else }}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels: {{- toYaml $selector | nindent 6 }}
{{- end }}
{{- end }}

{{/* The fields of a Deployment about its replicas: (list $ component). */}}
{{- define "lcm.rollout" -}}
{{- $own := index (index . 0).Values (index . 1) -}}
revisionHistoryLimit: {{ $own.revisionHistoryLimit }}
strategy: {{- (eq $own.strategy.type "Recreate" | ternary (dict "type" "Recreate") $own.strategy) | toYaml | nindent 2 }}
selector:
  matchLabels: {{- include "lcm.selector" . | nindent 4 }}
{{- end }}

{{/* The probes of a container: (list $ component port scheme). */}}
{{- define "lcm.probes" -}}
{{- $own := index (index . 0).Values (index . 1) -}}
{{- $port := index . 2 -}}
{{- $scheme := index . 3 -}}
{{- $probes := dict -}}
{{- range $probe, $path := dict "readinessProbe" "/readyz" "livenessProbe" "/healthz" "startupProbe" "/healthz" -}}
{{- $times := get $own $probe -}}
{{- if or $times (ne $probe "startupProbe") -}}
{{- $_ := set $probes $probe (merge (dict "httpGet" (dict "path" $path "port" $port "scheme" $scheme)) $times) -}}
{{- end -}}
{{- end -}}
{{ toYaml $probes }}
{{- end }}

{{/* The environment of a container: (list $ YAML extra). The list `extra` replaces variables of the same name, in lower
case too: `https_proxy` counts before `HTTPS_PROXY`. */}}
{{- define "lcm.env" -}}
{{- $chosen := list -}}
{{- range index . 2 -}}
{{- $chosen = append $chosen (lower .name) -}}
{{- end -}}
{{- $env := list -}}
{{- range concat (index . 1 | fromYamlArray) (include "lcm.outside" (index . 0) | fromYamlArray) -}}
{{- if not (has (lower .name) $chosen) -}}
{{- $env = append $env . -}}
{{- end -}}
{{- end -}}
{{ concat $env (index . 2) | toYaml }}
{{- end }}

{{/* The log settings of every container. */}}
{{- define "lcm.log" -}}
- {name: LCM_LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
- {name: LCM_LOG_FORMAT, value: {{ .Values.logFormat | quote }}}
{{- end }}

{{/* The variables of proxy and certificate authorities. curl and others read http_proxy in lower case only. */}}
{{- define "lcm.outside" -}}
{{- $proxy := .Values.proxy -}}
{{- $variables := dict -}}
{{- range $variable, $url := dict "HTTP_PROXY" $proxy.http "HTTPS_PROXY" $proxy.https -}}
{{- with $url -}}
{{- $_ := set $variables $variable . -}}
{{- end -}}
{{- end -}}
{{- /* An unquoted key `no` is the boolean false in YAML 1.1, which Helm reads. */ -}}
{{- $given := get $proxy "no" | default (get $proxy "false") | default list -}}
{{- /* It also counts for a proxy that `extraEnv` and `engine.env` take from a Secret. */ -}}
{{- if or $variables $given -}}
{{- $direct := kindIs "string" $given | ternary (splitList "," (toString $given)) $given -}}
{{- $service := printf "%s-rest.%s" (include "lcm.fullname" .) (include "lcm.namespace" .) -}}
{{- $direct = concat $direct (list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" $service) -}}
{{- $_ := set $variables "NO_PROXY" ($direct | uniq | join ",") -}}
{{- end -}}
{{- $env := list -}}
{{- range $variable, $value := $variables -}}
{{- $env = concat $env (list (dict "name" $variable "value" $value) (dict "name" (lower $variable) "value" $value)) -}}
{{- end -}}
{{- if include "lcm.caVolume" . -}}
{{- $env = append $env (dict "name" "SSL_CERT_FILE" "value" (printf "/etc/lcm/ca/%s" .Values.caBundle.key)) -}}
{{- end -}}
{{ toYaml $env }}
{{- end }}

{{/* The volume of the certificate authorities; empty: none. It is mounted at /etc/lcm/ca. */}}
{{- define "lcm.caVolume" -}}
{{- $bundle := .Values.caBundle -}}
{{- $items := list (dict "key" $bundle.key "path" $bundle.key) -}}
{{- if and $bundle.configMap $bundle.secret -}}
{{- fail "caBundle: set either configMap or secret, not both" -}}
{{- else if $bundle.configMap -}}
{{ list (dict "name" "lcm-ca" "configMap" (dict "name" $bundle.configMap "items" $items)) | toYaml }}
{{- else if $bundle.secret -}}
{{ list (dict "name" "lcm-ca" "secret" (dict "secretName" $bundle.secret "items" $items)) | toYaml }}
{{- end -}}
{{- end }}

{{/* The defaults of engine pods, as JSON of the form of spec.engine.template. */}}
{{- define "lcm.engineTemplate" -}}
{{- $engine := .Values.engine -}}
{{- $mounts := $engine.volumeMounts -}}
{{- $volumes := $engine.volumes -}}
{{- with include "lcm.caVolume" . -}}
{{- $mounts = append $mounts (dict "name" "lcm-ca" "mountPath" "/etc/lcm/ca" "readOnly" true) -}}
{{- $volumes = concat $volumes (fromYamlArray .) -}}
{{- end -}}
{{- $container := dict "name" "engine" "imagePullPolicy" .Values.image.pullPolicy -}}
{{- $env := include "lcm.env" (list . "[]" $engine.env) | fromYamlArray -}}
{{- range $field, $value := dict "env" $env "envFrom" $engine.envFrom "resources" $engine.resources "securityContext" $engine.securityContext "volumeMounts" $mounts -}}
{{- with $value -}}
{{- $_ := set $container $field . -}}
{{- end -}}
{{- end -}}
{{- $spec := dict "containers" (prepend $engine.extraContainers $container) -}}
{{- range $field, $value := dict "volumes" $volumes "securityContext" $engine.podSecurityContext "imagePullSecrets" (include "lcm.pullSecrets" . | fromJson).secrets -}}
{{- with $value -}}
{{- $_ := set $spec $field . -}}
{{- end -}}
{{- end -}}
{{- range $field := list "priorityClassName" "runtimeClassName" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "dnsPolicy" "dnsConfig" "hostAliases" -}}
{{- with get $engine $field -}}
{{- $_ := set $spec $field . -}}
{{- end -}}
{{- end -}}
{{ dict "metadata" (dict "labels" $engine.labels "annotations" $engine.annotations) "spec" $spec | toJson }}
{{- end }}

{{/* The user of engine pods: that of the other pods, or `platform`. */}}
{{- define "lcm.engineUser" -}}
{{- $security := include "lcm.security" (list . "operator" "podSecurityContext") | fromYaml -}}
{{ hasKey $security "runAsUser" | ternary (toString $security.runAsUser) "platform" }}
{{- end }}

{{/* The ServiceAccount token as a volume with its mount, a /tmp, and the certificate authorities. */}}
{{- define "lcm.mounts" -}}
- {name: account, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if include "lcm.caVolume" . }}
- {name: lcm-ca, mountPath: /etc/lcm/ca, readOnly: true}
{{- end }}
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
{{- with include "lcm.caVolume" . }}
{{ . }}
{{- end }}
{{- end }}
