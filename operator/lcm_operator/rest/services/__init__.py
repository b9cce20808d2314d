"""What the routes do. A service raises HttpRefusalError for what it refuses, and imports no other service."""
