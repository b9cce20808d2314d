"""What makes and checks the Helm chart."""
