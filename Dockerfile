# CAAT Studio: one image for dashboard and worker. CPU by default; for CUDA build with
#   --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
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
RUN pip install --constraint constraints.txt --editable .

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
ENV PATH=/opt/venv/bin:$PATH CAAT_DATA_DIR=/data PYTHONUNBUFFERED=1
USER caat
WORKDIR /app
VOLUME /data
EXPOSE 8501
CMD ["caat", "up"]
