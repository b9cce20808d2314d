"""HTTP/1.1 for engines, on asyncio and llhttp. It must not know Kubernetes or plans."""
