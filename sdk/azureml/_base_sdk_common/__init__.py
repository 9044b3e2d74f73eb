"""What projects import of Azure's inner package of this name."""

import uuid

__version__ = VERSION = "1.61.0"

# Azure's logs tell processes apart by it.
_ClientSessionId = str(uuid.uuid4())
