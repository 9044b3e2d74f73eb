# An emulator in a container: a demo cluster on this machine. docker-compose.yml starts it; docs/docker.md explains it.
#
#   docker build -t localaml/emulator .
#
# The image of nodes is another one: emulator/localaml/images/Dockerfile.

# Any image with Python 3.10 or newer, its venv and pip.
ARG BASE=python:3.11-slim

FROM ${BASE} AS installation
LABEL localaml.emulator-installation=true
# A package index in place of pip's own. Where it is signed by an authority of your own, put its certificates beside this
# file, as ca-bundle.pem. Nothing of this stage but the installation gets into the image.
ARG PIP_INDEX_URL=
RUN python3 -m venv /opt/localaml
COPY . /source
RUN if [ -f /source/ca-bundle.pem ]; then export PIP_CERT=/source/ca-bundle.pem; fi \
    && /opt/localaml/bin/pip install --no-cache-dir --disable-pip-version-check --quiet \
        /source/proto /source/sdk "/source[docker]"

FROM ${BASE}
RUN useradd --uid 1000 --create-home --shell /bin/bash localaml \
    && install -d -o localaml -g localaml -m 700 /var/lib/localaml
COPY --from=installation /opt/localaml /opt/localaml
# 0.0.0.0 is every address of the container: docker-compose.yml gives them to 127.0.0.1 of this machine only.
ENV PATH=/opt/localaml/bin:${PATH} \
    LOCALAML_HOST=0.0.0.0 \
    LOCALAML_ALLOW_REMOTE=true \
    LOCALAML_PORT=8764 \
    LOCALAML_HTTP_PORT=8765 \
    LOCALAML_STATE_DIR=/var/lib/localaml/state \
    LOCALAML_CACHE_DIR=/var/lib/localaml/cache
USER localaml
WORKDIR /home/localaml
VOLUME /var/lib/localaml
EXPOSE 8764 8765
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ['LOCALAML_HTTP_PORT']), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["localaml", "start"]
