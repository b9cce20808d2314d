"""A dummy of the services that a 5G!Drones trial works with, to try out and to test. It knows no cluster."""
