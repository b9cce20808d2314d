"""What is known of the Trials and TrialEngines of one namespace, fed by watches."""
