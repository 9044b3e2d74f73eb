"""What a client calls itself. Projects add their own name; it is kept for `get_user_agent`, and sent nowhere."""

from typing import List, Optional

from azureml._base_sdk_common import __version__

_products: List[str] = []


def append(product_name: str, product_version: Optional[str] = None, comment: Optional[str] = None) -> None:
    """Adds a product."""
    text = "{}/{}".format(product_name, product_version) if product_version else str(product_name)
    _products.append("{} ({})".format(text, comment) if comment else text)


def get_user_agent() -> str:
    """The SDK and the products that were added."""
    return " ".join(["azureml-sdk-core/" + __version__, *_products])
