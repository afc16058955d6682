# The commands in a container:
#   docker build -t r21d_plugin .
#   docker run --rm -v "$PWD:/work" --shm-size 4g r21d_plugin predict VIDEO --config ... --checkpoint ...
# For a GPU, build with --build-arg INDEX=https://download.pytorch.org/whl/cu130 and run with --gpus all.
FROM python:3.11-slim

# opencv-python's libraries
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

ARG TORCH=torch==2.13.0
ARG INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --extra-index-url "$INDEX" "$TORCH"

COPY . /src
RUN pip install --no-cache-dir '/src[lite]' && rm -rf /src

WORKDIR /work
ENTRYPOINT ["r21d"]
CMD ["--help"]
