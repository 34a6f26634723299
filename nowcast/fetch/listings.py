"""Which listing a source profile means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config import source
from config.secret import SecretError
from nowcast.fetch.index import IndexListing
from nowcast.fetch.knmi import KnmiListing
from nowcast.fetch.s3 import S3Listing
from nowcast.fetch.stac import StacListing
from nowcast.field.errors import UsageError

if TYPE_CHECKING:
    from nowcast.fetch.base import Listing
    from nowcast.fetch.web import Web


def listing_of(said: source.Listing, web: Web) -> Listing:
    """The listing; raises UsageError where the key that it needs is not there."""
    if isinstance(said, source.IndexListing):
        return IndexListing(web, said.url)
    if isinstance(said, source.S3Listing):
        return S3Listing(web, said.bucket, said.prefix, said.etag_is_md5)
    if isinstance(said, source.StacListing):
        return StacListing(web, said.url)
    try:
        return KnmiListing(web, said.url, said.key.read())
    except SecretError as error:
        raise UsageError(str(error)) from error
