"""Base images of nodes that are containers: made on this machine, listed, removed.

Three forms (`forms.Form`): a skeleton that shows the machine's own programs, a Debian made from packages without any
registry, and a Dockerfile for those who have one. Everything here is synchronous and takes a docker-py client.
"""
