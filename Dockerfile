# CAAT Studio: one image for dashboard and worker. CPU by default; for CUDA build with
#   --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
# pysqlite3 has a wheel for x86-64 alone; elsewhere it is compiled.
RUN [ "$(uname -m)" = x86_64 ] || { apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev libsqlite3-dev \
 && rm -rf /var/lib/apt/lists/*; }
COPY constraints.txt ./
RUN pip install --constraint constraints.txt --extra-index-url "${TORCH_INDEX}" torch torchvision
COPY pyproject.toml README.md LICENSE ./
COPY .streamlit .streamlit
COPY app app
COPY caat_studio caat_studio
COPY caat_studio_contracts caat_studio_contracts
COPY db db
COPY engine engine
COPY tasks tasks
RUN pip install --constraint constraints.txt --editable '.[autoattack]'

FROM python:${PYTHON}
# The files of Fashion-MNIST come with the image, so that it needs no network to train.
RUN apt-get update \
 && apt-get install -y --no-install-recommends dataset-fashion-mnist \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home caat \
 && install -d -o caat -g caat /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY .streamlit /app/.streamlit
ENV PATH=/opt/venv/bin:$PATH CAAT_DATA_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
# Loopback in a container is reached by nobody. `docker run` is refused, in words, until somebody says
# that there is a login before it: -e CAAT_DASHBOARD_PUBLIC=true -p 127.0.0.1:8501:8501
ENV CAAT_DASHBOARD_ADDRESS=0.0.0.0
USER 10001:10001
WORKDIR /app
VOLUME /data
EXPOSE 8501
STOPSIGNAL SIGTERM
CMD ["caat", "up"]
