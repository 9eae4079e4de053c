package monitor

import "github.com/prometheus/client_golang/prometheus"

var (
	dependencyUp = prometheus.NewDesc("sluice_dependency_up",
		"Whether all that is kept there could be read: 1 yes, 0 no.", []string{"dependency"}, nil)
	lagMessages = prometheus.NewDesc("sluice_consumer_pending_messages",
		"Messages a consumer has not finished.", []string{"consumer", "lane"}, nil)
	lagAge = prometheus.NewDesc("sluice_consumer_oldest_age_seconds",
		"Age of the oldest message or delivery a consumer has not finished.", []string{"consumer", "lane"}, nil)
	lagStalled = prometheus.NewDesc("sluice_consumer_stalled_seconds",
		"Time for which messages have waited while none was handed out; 0: none waits.", []string{"consumer", "lane"}, nil)
	lagPaused = prometheus.NewDesc("sluice_consumer_paused",
		"Whether an operator paused the consumer or the lane: 1 yes, 0 no.", []string{"consumer", "lane"}, nil)
	lagPartition = prometheus.NewDesc("sluice_consumer_partition_owed_rows",
		"Deliveries the outbox owes to a consumer of one partition; absent: none.", []string{"consumer", "lane", "partition"}, nil)
	lagPartitionAge = prometheus.NewDesc("sluice_consumer_partition_oldest_age_seconds",
		"Age of the oldest delivery the outbox owes to a consumer of one partition; absent: none.", []string{"consumer", "lane", "partition"}, nil)
	outboxRows = prometheus.NewDesc("sluice_outbox_owed_rows",
		"Deliveries the outbox owes.", []string{"consumer", "lane"}, nil)
	outboxParked = prometheus.NewDesc("sluice_outbox_parked_rows",
		"Deliveries that wait for a later attempt.", []string{"consumer", "lane"}, nil)
	outboxAge = prometheus.NewDesc("sluice_outbox_oldest_age_seconds",
		"Age of the oldest delivery the outbox owes; 0: none.", nil, nil)
	outboxOverdue = prometheus.NewDesc("sluice_outbox_overdue_age_seconds",
		"Time for which the first delivery whose time has come has not been published; 0: none.", nil, nil)
	spendsOpen = prometheus.NewDesc("sluice_spends_open",
		"Spends and grants under way, by state.", []string{"state"}, nil)
	spendsOpenAge = prometheus.NewDesc("sluice_spends_open_oldest_age_seconds",
		"Time since the acceptance of the oldest spend or grant in a state; 0: none.", []string{"state"}, nil)
	spendsAttention = prometheus.NewDesc("sluice_spends_attention",
		"Spends that only a person or the provider can settle, by why.", []string{"why"}, nil)
	spendsUnknownAge = prometheus.NewDesc("sluice_spends_unknown_oldest_age_seconds",
		"Time for which it has not been known of a spend whether the provider moved its gems; 0: of none.", nil, nil)
	budgetLimit = prometheus.NewDesc("sluice_provider_budget_limit_per_minute",
		"Calls a minute the provider allows, as its headers said.", []string{"domain"}, nil)
	budgetUsed = prometheus.NewDesc("sluice_provider_budget_used",
		"Calls of the last minute, over all processes.", []string{"domain"}, nil)
	budgetClosed = prometheus.NewDesc("sluice_provider_budget_closed_seconds",
		"Time until the end of the pause the provider asked for; 0: none.", []string{"domain"}, nil)
	circuitState = prometheus.NewDesc("sluice_provider_circuit_state",
		"The circuit breaker: 0 closed, 1 half-open, 2 open.", nil, nil)
	backlogETA = prometheus.NewDesc("sluice_provider_backlog_eta_seconds",
		"Time the provider's limit needs for the adjustments that wait.", nil, nil)
	backlogCalls = prometheus.NewDesc("sluice_provider_backlog_calls",
		"Adjustments that wait for the provider: one per player to be charged and one per refund.", nil, nil)
	handoverCircuit = prometheus.NewDesc("sluice_handover_circuit_state",
		"The circuit breaker of an endpoint of the game, the worst of all processes: 0 closed, 1 half-open, 2 open.", []string{"endpoint"}, nil)
	handoverTrouble = prometheus.NewDesc("sluice_handover_trouble_seconds",
		"Time since the first of the requests to an endpoint of the game that failed in a row, while something waits for it; 0: it answers, or nothing waits.", []string{"endpoint"}, nil)
	handoverWaiting = prometheus.NewDesc("sluice_handover_waiting_spends",
		"Spends that wait for an endpoint of the game: charged (the item is owed) or refunding (it is to be taken back).", []string{"endpoint", "state"}, nil)
	handoverAge = prometheus.NewDesc("sluice_handover_oldest_age_seconds",
		"Time for which the first of the spends has waited for an endpoint of the game; 0: none waits.", []string{"endpoint"}, nil)
	auditFindings = prometheus.NewDesc("sluice_audit_findings",
		"Lines, prices, items, calls and acts that do not agree with their spends, as the audit of the last minutes found, until they are mended.", []string{"kind"}, nil)
	auditAge = prometheus.NewDesc("sluice_audit_age_seconds",
		"Since what changed was audited last.", nil, nil)
	auditPassAge = prometheus.NewDesc("sluice_audit_pass_age_seconds",
		"Since the last slow pass over everything ended.", nil, nil)
	driftUnits = prometheus.NewDesc("sluice_drift_units",
		"Units by which balances at the provider differ from our ledger, without their signs, as they were compared last.", []string{"currency"}, nil)
	driftPlayers = prometheus.NewDesc("sluice_drift_players",
		"Customers whose balance at the provider differs from our ledger, as they were compared last.", []string{"currency"}, nil)
	purchasesUnknown = prometheus.NewDesc("sluice_purchases_unknown_product",
		"Purchases that were folded and whose product no catalogue had: somebody paid and got nothing of ours; counted up to 10000.", nil, nil)
	customerConflicts = prometheus.NewDesc("sluice_customer_conflicts",
		"Customers in whom the histories of several players met, and nobody has looked yet; counted up to 10000.", nil, nil)
	webhookSilence = prometheus.NewDesc("sluice_webhook_silence_seconds",
		"Time since the last accepted webhook, or since webhooks are taken; absent when they never were.", nil, nil)
	webhookSuspect = prometheus.NewDesc("sluice_webhook_suspect_windows",
		"Times of which webhooks may be missing and that nobody has made up for, by cause: outage, silence.", []string{"cause"}, nil)
	deadLetters = prometheus.NewDesc("sluice_dead_letters_open",
		"Dead letters nobody has resolved.", []string{"consumer"}, nil)
	deadLettersAge = prometheus.NewDesc("sluice_dead_letters_oldest_age_seconds",
		"Age of the oldest dead letter nobody has resolved.", []string{"consumer"}, nil)
	pausesAge = prometheus.NewDesc("sluice_pauses_oldest_age_seconds",
		"Time for which something has been paused, by what it is; 0: nothing is.", []string{"scope"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Monitor) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		dependencyUp, lagMessages, lagAge, lagStalled, lagPaused, lagPartition, lagPartitionAge, outboxRows, outboxParked, outboxAge, outboxOverdue,
		spendsOpen, spendsOpenAge, spendsAttention, spendsUnknownAge, budgetLimit, budgetUsed, budgetClosed, circuitState, backlogETA, backlogCalls,
		handoverCircuit, handoverTrouble, handoverWaiting, handoverAge, auditFindings, auditAge, auditPassAge, driftUnits, driftPlayers,
		purchasesUnknown, customerConflicts, webhookSilence, webhookSuspect, deadLetters, deadLettersAge, pausesAge,
	} {
		ch <- desc
	}
}
