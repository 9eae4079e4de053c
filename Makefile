# Everything a person or CI does here. Variables: ARGS (of run), PKG (what test tests), LONG (what long tests), FUZZTIME.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PKG ?= ./...
# The tests that have a larger version, or a stricter one.
LONG ?= ^(TestHotPlayersAreChargedTogether|TestWhatTheBudgetCannotStartIsNotBound|TestReplaysAnswered409AreSettledByTheCommand|TestWorkerKilledInTheMiddleOfCalls|TestProviderDownIsNoOutageOfOurs|TestPlayersInTroubleSlowNobodyDown|TestADeadEndpointSlowsNobodyElse|TestABurstOfRenewalsLeavesPlayersAlone|TestABackfillKilledFiveTimesEndsAsOneThatWasNot)$$
ARGS ?=
FUZZTIME ?= 5m

# The packages where goroutines meet; race runs their tests again and again.
CONCURRENT := ./outbox/... ./consumers/... ./producers/... ./internal/...

GOLANGCI := go tool -modfile=tools/go.mod golangci-lint

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: go postgres ## Build and run everything on this machine: make run ARGS='--help'
	go build -o bin/sluice ./cmd/sluice
	exec bin/sluice dev $(ARGS)

.PHONY: test
test: go-race postgres prometheus chromium ## Run all tests with the race detector: make test PKG=./outbox
	go test -race -timeout 20m $(PKG)

# What the race detector would change is tested without it. SLUICE_UPDATE_GOLDEN=1
# stores the figure instead; make golden leaves it alone, so that it never slips through.
.PHONY: allocations
allocations: go postgres ## Test that a spend allocates no more than it did (20 seconds)
	go test -count=1 -run '^TestASpendAllocatesNoMoreThanItDid$$' ./cmd/sluice

# E2E_LONG=1 makes tests as large as the promises they are named after: 1,000 kills, an
# outage of two minutes, a million rows, times compared over minutes. They run
# one after the other, without the race detector: what they measure must not depend on it.
.PHONY: long
long: go postgres ## Run the long end-to-end tests (30 minutes; not in CI)
	E2E_LONG=1 go test -count=1 -v -timeout 90m -parallel 1 -p 1 ./cmd/sluice ./producers/backfill -run '$(LONG)'

# Every rule of deploy/prometheus, with shorter times, watched by a real Prometheus on
# real processes while what it is for is broken and mended.
.PHONY: alerts
alerts: go postgres prometheus ## Break everything that an alert is for, and see it fire and clear (9 minutes)
	go test -count=1 -v -timeout 30m -tags alerts ./cmd/sluice -run '^TestEveryAlert(FiresAndClears|HasAFault)$$'

# SPENDS is how many; they stay in CONSOLE_SPEED_DIR, when that is set, for the next time.
.PHONY: console-speed
console-speed: go postgres ## Measure every page of the console: make console-speed SPENDS=10000000 (25 minutes, 20 GB)
	go test -count=1 -v -timeout 120m -tags speed ./internal/console -run '^TestEveryPageIsFastInMillionsOfSpends$$'

# LINES is how many; they stay in AUDIT_SPEED_DIR, when that is set, for the next time.
.PHONY: audit-speed
audit-speed: go postgres ## Measure sluice audit: make audit-speed LINES=10000000 (15 minutes, 15 GB)
	go test -count=1 -v -timeout 60m -tags speed ./internal/audit -run '^TestMillionsOfLinesAreAuditedInSeconds$$'

# FUZZTIME is how long each of the three targets runs; make test runs their seeds.
.PHONY: fuzz
fuzz: go ## Send random webhooks and exports through what reads them (15 minutes; nightly)
	go test -run '^$$' -fuzz '^FuzzWebhook$$' -fuzztime $(FUZZTIME) ./producers/rcwebhook
	go test -run '^$$' -fuzz '^FuzzFacts$$' -fuzztime $(FUZZTIME) ./internal/revenuecat/webhooks
	go test -run '^$$' -fuzz '^FuzzTransactions$$' -fuzztime $(FUZZTIME) ./internal/exports

.PHONY: race
race: go-race postgres ## Run the tests of the concurrent packages three times, in random order
	go test -race -timeout 40m -count=3 -shuffle=on $(CONCURRENT)

.PHONY: lint
lint: go ## Check formatting, go vet, golangci-lint and who imports whom (first time: 5 minutes)
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
		if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	$(GOLANGCI) run
	go test -run '^(TestImportsGoDown|TestEveryPackageSaysWhatItIsFor)$$' .

.PHONY: vet
vet: go ## Only go vet
	go vet ./...

.PHONY: fmt
fmt: go ## Format the code and its imports
	$(GOLANGCI) fmt

.PHONY: golden
golden: go postgres ## Write the golden files anew; read the difference before you commit it
	SLUICE_UPDATE_GOLDEN=1 go test -count=1 ./internal/postgres -run TestSchemaIsTheOneWeReviewed
	go test -count=1 ./events -update
	SLUICE_UPDATE_GOLDEN=1 go test -count=1 ./internal/gemstore -run TestTheStoreRunsTheSnippet

.PHONY: pictures
pictures: go postgres chromium ## Take the pictures of the documentation anew
	SLUICE_PICTURES=$(CURDIR)/docs go test -count=1 ./cmd/sluice -run '^TestTheStoreFitsAPhone$$'

.PHONY: compose-secrets
compose-secrets: ## Make up the secrets of docker-compose.yml, once
	@scripts/compose-secrets.sh

.PHONY: clean
clean: ## Remove what was built and the data of `make run`
	rm -rf bin .sluice coverage.out

.PHONY: go go-race postgres prometheus chromium
go:
	@scripts/ensure-go.sh
go-race:
	@scripts/ensure-go.sh race
postgres:
	@scripts/ensure-postgres.sh
prometheus:
	@scripts/ensure-prometheus.sh
chromium:
	@scripts/ensure-chromium.sh
