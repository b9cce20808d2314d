"""What the routes do. A service raises HttpRefusal for what it refuses, and imports no other service."""
