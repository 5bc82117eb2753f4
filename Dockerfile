# docker build -t crackexp .
# docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" -v crackexp-cache:/cache crackexp train +experiment=mobilenet
ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-slim

COPY . /source
RUN PIP_NO_CACHE_DIR=1 /source/docker/install.sh /opt/crackexp /data /cache
ENV PATH=/opt/crackexp/bin:$PATH CRACKEXP_CACHE=/cache HOME=/cache LOGNAME=crackexp

# a number, so that no account has to be made; --user chooses another one
USER 1000:1000
WORKDIR /data
VOLUME ["/data", "/cache"]
ENTRYPOINT ["crackexp"]
