"""The daemon's HTTP side: metrics, health, the JSON document and the status page, all from memory."""

from dbwatch.web.app import create_app
from dbwatch.web.server import WebServer

__all__ = ["WebServer", "create_app"]
