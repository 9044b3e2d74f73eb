"""What runs, experiments and run configurations are made of. Internal: import from `azureml.core` and
`azureml.train`."""
