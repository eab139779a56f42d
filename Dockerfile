# Two stages: the first has what builds wheels, the second only what runs.
FROM python:3.13-slim AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The dependencies come before the code, so that a change of the code does not fetch them again.
COPY requirements.txt .
RUN pip wheel --require-hashes --wheel-dir /wheels -r requirements.txt \
    && pip install --no-index --find-links /wheels hatchling
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/accord accord
# Only what accord-sync needs is taken from the wheels: the build backend stays behind.
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "accord-sync[mariadb,postgres,procrastinate]" \
    && pip uninstall --yes pip
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ACCORD_HOST=0.0.0.0
USER accord
WORKDIR /var/lib/accord
VOLUME /var/lib/accord
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('ACCORD_PORT', '8080')}/health/ready\", timeout=2)"]
CMD ["accord", "start"]
