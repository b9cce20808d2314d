"""One cluster on this machine: its processes, certificates, ports and manifests, and their order."""
