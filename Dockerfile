# The sidecar image. BASE needs Python 3.11 or newer with venv; both stages use it, so that the interpreter is the same.
#   docker build -t dbwatch .
#   docker build -t dbwatch --build-arg BASE=registry.example/python:3.12-slim .
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN ["python3", "-m", "venv", "/opt/dbwatch"]
COPY requirements.lock ./
RUN ["/opt/dbwatch/bin/python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--require-hashes", "-r", "requirements.lock"]
# .dockerignore lets nothing else in.
COPY . .
RUN ["/opt/dbwatch/bin/python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "."]
# The rendered files, which nothing here reads (`dbwatch render` writes them), and what rich has for source code and Markdown.
# Bytecode stays: on a read-only file system every start would compile it again (1.4 s of processor, 5 MiB of memory).
RUN ["/opt/dbwatch/bin/python", "-I", "-c", "import pathlib, shutil, dbwatch; bundled = pathlib.Path(dbwatch.__file__).parent / 'bundled'; [shutil.rmtree(bundled / name) for name in ('alerts', 'dashboards')]"]
RUN ["/opt/dbwatch/bin/python", "-m", "pip", "uninstall", "--yes", "--quiet", "pygments", "markdown-it-py", "mdurl", "setuptools", "pip"]

FROM ${BASE}
COPY --from=build /opt/dbwatch /opt/dbwatch
ENV DBWATCH_LISTEN_ADDRESS=0.0.0.0:10187 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=1
USER 65532:65532
EXPOSE 10187
# The port is the configured one; no proxy of the environment is asked the way, as urllib would. With a web configuration
# (TLS, passwords) it is enough that somebody listens.
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/opt/dbwatch/bin/python", "-c", "import http.client, os, socket, sys; port = int(os.environ['DBWATCH_LISTEN_ADDRESS'].rpartition(':')[2]); guarded = 'DBWATCH_WEB_CONFIG_FILE' in os.environ; socket.create_connection(('127.0.0.1', port), 2).close() if guarded else None; asked = http.client.HTTPConnection('127.0.0.1', port, timeout=2); guarded or asked.request('GET', '/healthz'); sys.exit(not guarded and asked.getresponse().status != 200)"]
ENTRYPOINT ["/opt/dbwatch/bin/dbwatch"]
CMD ["serve"]
