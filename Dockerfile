# genrekit's REST service: docker build -t genrekit . && docker run -p 127.0.0.1:8000:8000 genrekit
# scripts/container_steps.py takes these steps without a Docker daemon, and checks the result.
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE THIRD_PARTY_NOTICES constraints.txt ./
COPY src src
COPY recipes recipes
RUN python -m venv --without-pip /opt/genrekit \
    && pip --python /opt/genrekit/bin/python install --no-cache-dir --constraint constraints.txt '.[serve]'

FROM python:3.11-slim
COPY --from=build /opt/genrekit /opt/genrekit
RUN useradd --system --no-create-home --shell /usr/sbin/nologin genrekit
USER genrekit
ENV PATH=/opt/genrekit/bin:$PATH PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --start-period=30s --timeout=5s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["genrekit", "serve", "--host", "0.0.0.0"]
