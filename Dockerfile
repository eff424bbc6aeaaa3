# gcn for the CPU. With a GPU: docker build --build-arg TORCH_INDEX=https://pypi.org/simple .
FROM python:3.11-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /opt/gcn
COPY constraints.txt ./
RUN pip install --no-cache-dir --no-deps -c constraints.txt --index-url $TORCH_INDEX torch torchvision
COPY pyproject.toml setup.py README.md LICENSE ./
COPY conf conf
COPY gcn gcn
RUN pip install --no-cache-dir -c constraints.txt '.[all]'
WORKDIR /work
ENTRYPOINT ["gcn"]
