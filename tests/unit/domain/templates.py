"""A template of an engine's pod with everything that is allowed."""

ALLOWED = {
    "metadata": {"labels": {"team": "five"}, "annotations": {"note": "x"}},
    "spec": {
        "affinity": {"podAntiAffinity": {}},
        "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "2"}]},
        "dnsPolicy": "None",
        "enableServiceLinks": True,
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["edge"]}],
        "imagePullSecrets": [{"name": "pull"}],
        "nodeSelector": {"zone": "lab"},
        "priorityClassName": "flights",
        "runtimeClassName": "gvisor",
        "schedulerName": "other",
        "securityContext": {
            "fsGroup": 2000,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsGroup": 0,
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seLinuxOptions": {"level": "s0:c1,c2"},
            "seccompProfile": {"type": "RuntimeDefault"},
            "supplementalGroups": [3000],
        },
        "terminationGracePeriodSeconds": 60,
        "tolerations": [{"key": "lab"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "containers": [
            {
                "name": "engine",
                "env": [{"name": "TZ", "value": "UTC"}],
                "envFrom": [{"configMapRef": {"name": "known"}}],
                "imagePullPolicy": "Always",
                "resources": {"limits": {"memory": "64Mi"}},
                "securityContext": {
                    "readOnlyRootFilesystem": False,
                    "runAsUser": 1000,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                },
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "livenessProbe": {"exec": {"command": ["true"]}},
                "readinessProbe": {"exec": {"command": ["true"]}},
                "startupProbe": {"exec": {"command": ["true"]}},
            },
            {"name": "side", "image": "side", "command": ["run"], "args": ["now"], "workingDir": "/data"},
        ],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "known", "configMap": {"name": "known"}},
            {"name": "kept", "secret": {"secretName": "kept"}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": "maps"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "vault", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}},
            {"name": "about", "downwardAPI": {"items": []}},
            {
                "name": "identity",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token", "audience": "sts.amazonaws.com"}},
                        {"secret": {"name": "kept"}},
                    ]
                },
            },
        ],
    },
}
