"""How fast LocalAML is, each figure beside a floor measured in the same run. `scripts/bench` runs it."""
