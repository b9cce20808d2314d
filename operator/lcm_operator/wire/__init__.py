"""HTTP/1.1 for an engine: asyncio and llhttp, and no more. It knows neither Kubernetes nor plans."""
