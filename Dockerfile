# lightmask with the versions of the locks: docker build -t lightmask . && docker run -v "$PWD:/work" lightmask run FOLDER -o WORK
FROM python:3.13-slim
COPY envs/requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes --requirement /tmp/requirements.txt
COPY . /tmp/lightmask
RUN pip install --no-cache-dir --no-deps /tmp/lightmask && rm -rf /tmp/lightmask
# The demo night must pass, or there is no image.
RUN lightmask run results/demo -o /tmp/demo --cores 2 && rm -rf /tmp/demo
WORKDIR /work
ENTRYPOINT ["lightmask"]
CMD ["--help"]
