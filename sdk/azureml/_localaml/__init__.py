"""How this SDK talks to an emulator. Internal: no name in here is part of the SDK's interface."""
