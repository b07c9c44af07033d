# What a developer of lakectl does, by name. `make help` lists it. Nothing here runs `go mod tidy`: it would fetch the
# DuckDB libraries of every platform (0.6 GB).
GO       ?= go
BIN      := bin/lakectl
LAKE     ?= .lake/flights
LINT     := .cache/tools/golangci-lint
PEERS    := .cache/py/requirements.txt
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PACKAGES := ./...
SLICE    ?= 60
RELIABILITY_OUT ?= reliability.jsonl

.DEFAULT_GOAL := help
.PHONY: run test check lint bench bench-append conformance interop interop-peers interop-page reliability reliability-long reliability-page mutants help minio build

run: build ## real flights become bronze, silver and gold tables in ./.lake/flights
	@BIN="$(CURDIR)/$(BIN)" LAKE="$(LAKE)" bash tools/run-example.sh

test: ## every test, on folder, memory and a real MinIO that it builds and starts; race detector: make check
	$(GO) vet $(PACKAGES)
	$(GO) test -timeout 30m $$($(GO) list $(PACKAGES) | grep -v '/tests/kill$$')
	$(GO) test -timeout 45m -v ./tests/kill # by itself, since it prints its seeds

check: lint ## lint, then the tests of the concurrent rooms under the race detector
	$(GO) test -race -timeout 30m ./objectstore/... ./txlog/... ./jobs/... ./internal/...

lint: $(LINT) ## golangci-lint with .golangci.yml, and the import rules
	$(LINT) run --allow-parallel-runners $(PACKAGES)
	$(GO) test -count=1 ./internal/lint

$(LINT): tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bench: $(PEERS) ## append, scan and merge of 10 M rows beside plain DuckDB on the same files; then bench-log
	$(GO) run ./bench

.PHONY: bench-cache
bench-cache: ## cold and warm queries of two of eight columns on MinIO, files kept in parts beside files kept whole
	$(GO) run ./bench -works cache -rows 30000000 -files 12

.PHONY: bench-log
bench-log: $(PEERS) ## open, plan and checkpoint logs of a million files beside delta-rs
	$(GO) run ./bench -works log

.PHONY: bench-merge
bench-merge: $(PEERS) ## 36 merges beside delta-rs and Spark (after make interop-peers once; Java 17); SCALE=0.01 is quick, a run goes on
	$(GO) run ./bench -works merge -scale $(or $(SCALE),1) -memory 1073741824 -page $(if $(SCALE),"",docs/benchmarks.md) \
	  -jars "$$(awk '{ printf "%s$(CURDIR)/.cache/interop/ivy/jars/%s", sep, $$2; sep = "," }' tests/interop/jars.sha256)"

$(PEERS): tests/interop/requirements.txt
	rm -rf .cache/py && python3 -m venv .cache/py
	.cache/py/bin/pip install --quiet --disable-pip-version-check --requirement $<
	cp $< $@

bench-append: ## 64 processes append to one table on MinIO for a minute, beside the store's raw rate (LAKE_APPENDERS=8x10s)
	LAKE_APPENDERS=$${LAKE_APPENDERS:-64x60s} $(GO) test -count=1 -v -run '^TestAppenders$$' ./internal/robustness/appenders

conformance: ## tables of other engines, read row by row (LAKE_CONFORMANCE_DIR)
	$(GO) test -count=1 -timeout 20m -v ./tests/conformance/...

interop: ## delta-rs over the example's tables; then Spark, delta-rs, Polars and DuckDB over the cases, both directions
	bash tests/interop/run.sh
	bash tests/interop/run-peers.sh

interop-peers: ## the second half of interop, by itself; ONLY=text runs some cases
	bash tests/interop/run-peers.sh

interop-page: ## docs/format-coverage.md from a run of make interop-peers
	PAGE=docs/format-coverage.md bash tests/interop/run-peers.sh

reliability: ## every check of docs/reliability.md with its count, about 450 s on two quiet cores; RELIABILITY_OUT keeps counts
	$(GO) run ./internal/robustness/programme pull -out $(RELIABILITY_OUT)

reliability-long: ## the long forms for SLICE minutes; the next slice goes on, counts add up for each commit
	$(GO) run ./internal/robustness/programme long -slice $(SLICE)m -out $(RELIABILITY_OUT)

mutants: ## R16: plants every bug of internal/mutant in turn; the check named for it must notice
	LAKE_LONG=1 $(GO) test -count=1 -timeout 60m -v ./internal/robustness/mutants

reliability-page: ## docs/reliability.md from the counts
	$(GO) run ./internal/robustness/programme page -out $(RELIABILITY_OUT)

minio: ## MinIO on loopback for development, in the foreground; prints the settings to export
	sh deploy/minio/run.sh

build: ## bin/lakectl
	$(GO) build -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/lakectl

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
