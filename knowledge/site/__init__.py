"""Websites as documents: found by sitemap or by links, fetched politely and only when they changed."""

from knowledge.site.crawl import Found, Missed, Same, Skipped, Tried, crawl
from knowledge.site.errors import SiteRefused, SiteUnreachable
from knowledge.site.types import Known, SiteLimits

__all__ = [
    "Found",
    "Known",
    "Missed",
    "Same",
    "SiteLimits",
    "SiteRefused",
    "SiteUnreachable",
    "Skipped",
    "Tried",
    "crawl",
]
