"""The operations behind the routes. Services refuse with HttpRefusalError and import no other service."""
