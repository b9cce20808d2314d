{{/* The container of the REST interface, and the volumes of its own. */}}

{{/* The host names of its callers, as a JSON object with the list `hosts`. */}}
{{- define "lcm.restHosts" -}}
{{- $service := printf "%s-rest" (include "lcm.fullname" .) -}}
{{- $inside := printf "%s.%s" $service (include "lcm.namespace" .) -}}
{{- $hosts := list $service $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside) -}}
{{- $hosts = concat $hosts (include "lcm.ingressHosts" . | fromJson).hosts .Values.rest.httpRoute.hostnames -}}
{{ dict "hosts" (concat $hosts .Values.rest.allowedHosts | uniq) | toJson }}
{{- end }}

{{/* The host names of the Ingress, as a JSON object with the list `hosts`. */}}
{{- define "lcm.ingressHosts" -}}
{{ dict "hosts" (prepend .Values.rest.ingress.hosts .Values.rest.ingress.host | compact | uniq) | toJson }}
{{- end }}

{{/* http, or https with a certificate of its own. */}}
{{- define "lcm.restScheme" -}}
{{ empty .Values.rest.tls.existingSecret | ternary "http" "https" }}
{{- end }}

{{- define "lcm.restEnv" -}}
{{ include "lcm.log" . }}
- {name: LCM_NAMESPACE, value: {{ include "lcm.trialNamespace" . | quote }}}
- {name: LCM_REST_ADDRESS, value: "*:5000"}
- {name: LCM_METRICS_ADDRESS, value: "*:5002"}
- {name: LCM_API_KEYS_FILE, value: /etc/lcm/api-keys/keys}
{{- if .Values.rest.tls.existingSecret }}
- {name: LCM_TLS_CERTIFICATE_FILE, value: /etc/lcm/tls/tls.crt}
- {name: LCM_TLS_KEY_FILE, value: /etc/lcm/tls/tls.key}
{{- end }}
- {name: LCM_API_LEVEL, value: {{ .Values.rest.apiLevel | quote }}}
- {name: LCM_TIMEZONE, value: {{ .Values.rest.timezone | quote }}}
- {name: LCM_REGISTRY, value: {{ .Values.rest.registry | quote }}}
- {name: LCM_DEFAULT_PLAN, value: {{ .Values.rest.defaultPlan | quote }}}
- {name: LCM_ALLOWED_HOSTS, value: {{ (include "lcm.restHosts" . | fromJson).hosts | join "," | quote }}}
{{- end }}

{{- define "lcm.restContainer" -}}
- name: rest
  image: {{ include "lcm.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [python, -m, lcm_operator.rest]
  env: {{- include "lcm.env" (list . (include "lcm.restEnv" .) .Values.rest.extraEnv) | nindent 2 }}
  {{- with .Values.rest.extraEnvFrom }}
  envFrom: {{- toYaml . | nindent 2 }}
  {{- end }}
  ports:
  - {name: rest, containerPort: 5000}
  - {name: rest-metrics, containerPort: 5002}
  {{- include "lcm.probes" (list . "rest" "rest" (include "lcm.restScheme" . | upper)) | nindent 2 }}
  resources: {{- toYaml .Values.rest.resources | nindent 4 }}
  securityContext: {{- include "lcm.security" (list . "rest" "securityContext") | nindent 4 }}
  volumeMounts:
  {{- include "lcm.mounts" . | nindent 2 }}
  - {name: api-keys, mountPath: /etc/lcm/api-keys, readOnly: true}
  {{- if .Values.rest.tls.existingSecret }}
  - {name: tls, mountPath: /etc/lcm/tls, readOnly: true}
  {{- end }}
  {{- with .Values.rest.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.rest.extraContainers }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lcm.restVolumes" -}}
- name: api-keys
  secret:
    secretName: {{ include "lcm.keysSecret" . }}
    items: [{key: keys, path: keys}]
{{- with .Values.rest.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- end }}
{{- with .Values.rest.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
