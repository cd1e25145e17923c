"""The daemon's HTTP side: metrics, health, the JSON document and the status page, all from memory."""

from dbwatch.web.app import create_app
from dbwatch.web.protection import Protection, exposure
from dbwatch.web.server import WebServer

__all__ = ["Protection", "WebServer", "create_app", "exposure"]
