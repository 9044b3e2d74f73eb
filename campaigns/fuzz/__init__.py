"""Feeds every rpc with values that nobody meant: made from the protobuf descriptors, over gRPC and over JSON.

rpcs.py       all rpcs, from the descriptors
world.py      the resources that calls are about, and one good request for every rpc
corpus.py     hostile texts and numbers
values.py     strategies for messages: made anew, or a good request with something wrong in it
transports.py how a call is made, and what came of it
listings.py   whether every listing can be read over both transports
hunt.py       the campaign: calls, checks, and the smallest call that shows a fault
"""
