"""The programs of the control plane and of the tools, built or fetched once and cached for all clones."""
