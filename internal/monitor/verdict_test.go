package monitor_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/budget"
	"github.com/sluice-gems/sluice/internal/monitor"
)

func after(d time.Duration) monitor.Seconds { return monitor.Seconds(d) }

// finding is what a case of the verdict wants.
type finding struct {
	change func(*monitor.Snapshot)
	tone   monitor.Tone
	text   string // of the one finding; empty: there is none
	page   string
	mends  string
	alert  string
}

// TestTheVerdictNamesWhateverIsWrong: nothing works while one of these is so. Each says
// where to look and what mends it, in the console and on the command line alike.
func TestTheVerdictNamesWhateverIsWrong(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]finding{
		"nothing": {func(*monitor.Snapshot) {}, monitor.Good, "", "", "", ""},
		"no database": {
			func(s *monitor.Snapshot) { s.Reachable.PostgreSQL = false }, monitor.Bad,
			"PostgreSQL does not answer: nothing can be accepted. Bring it back; nothing has to be repaired afterwards.", "", "", "SluiceDatabaseDown",
		},
		"no broker": {
			func(s *monitor.Snapshot) { s.Reachable.NATS = false }, monitor.Bad,
			"NATS does not answer: what is accepted waits in the outbox. Bring it back, with or without its data.", "", "", "SluiceBrokerDown",
		},
		"unknown charges": {
			func(s *monitor.Snapshot) { s.Attention.Unknown, s.Attention.UnknownAge = 2, after(61*time.Minute) }, monitor.Bad,
			"2 spends of unknown outcome, the first for 1 h 1 min: nobody knows whether the provider moved the gems.",
			"spends?state=attention", "sluice spend show --unknown", "SluiceUnknownCharges",
		},
		"a charge whose answer was lost just now": {
			func(s *monitor.Snapshot) { s.Attention.Unknown, s.Attention.UnknownAge = 1, after(time.Minute) }, monitor.Working,
			"1 spend of unknown outcome, the first for 1 min 0 s: nobody knows whether the provider moved the gems. It is asked again under the same key.",
			"spends?state=attention", "sluice spend show --unknown", "",
		},
		"our key is wrong": {
			func(s *monitor.Snapshot) {
				s.Consumers = []monitor.Lag{{Consumer: "adjust", Lane: "live", OldestAge: after(15 * time.Second), LastError: "The API key is not valid."}}
			},
			monitor.Working, "adjust (live) is behind: its oldest delivery is 15 s old. What waits heard: The API key is not valid.",
			"spends?state=requested", "sluice lag --partitions", "",
		},
		"a person has to decide": {
			func(s *monitor.Snapshot) { s.Attention.NeedsOperator = 1 }, monitor.Bad,
			"1 spend needs a person to decide.", "spends?state=attention", "sluice spend show --attention", "SluiceNeedsOperator",
		},
		"a hold": {
			func(s *monitor.Snapshot) { s.Attention.Held = 1 }, monitor.Working,
			"1 spend is held by an operator.", "spends?state=attention", "sluice spend show --attention", "",
		},
		"a finding of the audit": {
			func(s *monitor.Snapshot) { s.Books.Findings = 1 }, monitor.Bad,
			"The books do not balance: the audit has 1 finding.", "reconciliation", "sluice audit", "SluiceBooksDoNotBalance",
		},
		"drift": {
			func(s *monitor.Snapshot) { s.Books.Drift = []monitor.Drift{{Currency: "GEM", Players: 2, Units: 1500}} }, monitor.Bad,
			"RevenueCat's balances of 2 customers differ from our ledger by 1,500 GEM.", "reconciliation", "sluice reconcile", "SluiceDrift",
		},
		"somebody paid and has nothing": {
			func(s *monitor.Snapshot) {
				s.Open = []monitor.OpenState{{State: "charged", Spends: 3, OldestAge: after(31 * time.Minute)}}
			},
			monitor.Bad, "Somebody paid and does not have the item: 3 spends are charged, the first accepted 31 min 0 s ago.",
			"spends?state=charged", "sluice handover show", "SluiceSpendsStuck",
		},
		"the provider's circuit": {
			func(s *monitor.Snapshot) { s.Provider.Circuit, s.Provider.CircuitReason = budget.CircuitOpen, "503" }, monitor.Bad,
			"RevenueCat does not answer as it should (503), so calls are held back: the circuit is open, the next one is tried in 0 ms. What waits goes on by itself.",
			"spends?state=requested", "sluice lag --watch", "SluiceProviderDown",
		},
		"a long backlog": {
			func(s *monitor.Snapshot) { s.Provider.Waiting, s.Provider.ETA = 1200, after(150*time.Second) }, monitor.Working,
			"1,200 calls wait for the provider's limit, about 2 min 30 s.", "spends?state=requested", "", "SluiceProviderBacklog",
		},
		"a dead server of the game": {
			func(s *monitor.Snapshot) {
				s.Endpoints = []monitor.Endpoint{{Name: "guild", Circuit: budget.CircuitOpen, TroubleAge: after(time.Minute), Failures: 10, LastError: "answered 503", Charged: 2, OldestAge: after(30 * time.Second)}}
			},
			monitor.Bad, `The game's server "guild" has not answered as it should for 1 min 0 s: 10 requests failed in a row, its circuit is open; 2 spends wait for it, the first for 30 s. It said last: answered 503.`,
			"handover?endpoint=guild", "sluice handover show guild", "SluiceHandoverDown",
		},
		"a dead server that few ask": {
			func(s *monitor.Snapshot) {
				s.Endpoints = []monitor.Endpoint{{Name: "guild", Circuit: budget.CircuitClosed, TroubleAge: after(time.Minute), Failures: 3, Charged: 1, OldestAge: after(time.Minute)}}
			},
			monitor.Bad, `The game's server "guild" has not answered as it should for 1 min 0 s: 3 requests failed in a row, its circuit is closed; 1 spend waits for it, the first for 1 min 0 s.`,
			"handover?endpoint=guild", "sluice handover show guild", "SluiceHandoverDown",
		},
		"a server that begins to fail": {
			func(s *monitor.Snapshot) {
				s.Endpoints = []monitor.Endpoint{{Name: "guild", Circuit: budget.CircuitClosed, TroubleAge: after(time.Second), Failures: 1, LastError: "answered 503", Charged: 1, OldestAge: after(time.Second)}}
			},
			monitor.Working, `The game's server "guild": 1 spend waits for it, the first for 1.0 s. It said last: answered 503.`,
			"handover?endpoint=guild", "sluice handover show guild", "",
		},
		"nobody works": {
			func(s *monitor.Snapshot) {
				s.Consumers = []monitor.Lag{{Consumer: "fulfil", Lane: "live", Stalled: after(monitor.StalledAfter), OldestAge: after(time.Hour)}}
			},
			monitor.Bad, "fulfil (live) stands still: messages wait, and none was handed out for 30 s. Does a sluice work run it?",
			"spends?state=charged", "sluice work --only fulfil", "SluiceConsumerStalled",
		},
		"a slow consumer": {
			func(s *monitor.Snapshot) {
				s.Consumers = []monitor.Lag{{Consumer: "adjust", Lane: "live", OldestAge: after(61 * time.Second), LastError: "401"}}
			},
			monitor.Bad, "adjust (live) is behind: its oldest delivery is 1 min 1 s old. What waits heard: 401.", "spends?state=requested", "sluice lag --partitions", "SluiceConsumerBehind",
		},
		"a consumer that is slow since a moment": {
			func(s *monitor.Snapshot) {
				s.Consumers = []monitor.Lag{{Consumer: "adjust", Lane: "live", OldestAge: after(15 * time.Second)}}
			},
			monitor.Working, "adjust (live) is behind: its oldest delivery is 15 s old.", "spends?state=requested", "sluice lag --partitions", "",
		},
		"a slow consumer for whom nobody waits": {
			func(s *monitor.Snapshot) {
				s.Consumers = []monitor.Lag{{Consumer: "access", Lane: "store", OldestAge: after(61 * time.Second)}}
			},
			monitor.Working, "access (store) is behind: its oldest delivery is 1 min 1 s old.", "webhooks", "sluice lag --partitions", "",
		},
		"what is paused stands still": {
			func(s *monitor.Snapshot) {
				s.Consumers = []monitor.Lag{{Consumer: "fulfil", Lane: "live", Paused: true, Stalled: after(time.Hour), OldestAge: after(time.Hour)}}
				s.Pauses = []monitor.Pause{{Scope: "consumer", Name: "fulfil", Who: "olga", Age: after(time.Hour)}}
			},
			monitor.Working, "Paused: consumer fulfil, by olga, 1 h 0 min ago.", "pauses", "sluice resume consumer fulfil --reason TEXT", "",
		},
		"a pause that was forgotten": {
			func(s *monitor.Snapshot) {
				s.Pauses = []monitor.Pause{{Scope: "item", Name: "sword", Who: "olga", Age: after(5 * time.Hour)}}
			},
			monitor.Bad, "Paused: item sword, by olga, 5 h 0 min ago.", "pauses", "sluice resume item sword --reason TEXT", "SluicePausedForLong",
		},
		"dead letters": {
			func(s *monitor.Snapshot) { s.DeadLetters = []monitor.DeadLetters{{Consumer: "adjust", Open: 2}} }, monitor.Bad,
			"2 dead letters of adjust.", "deadletters?consumer=adjust", "sluice deadletter list --consumer adjust", "SluiceDeadLetters",
		},
		"nobody sweeps": {
			func(s *monitor.Snapshot) { s.Outbox.Overdue, s.Outbox.OverdueAge = 3, after(monitor.StalledAfter) }, monitor.Bad,
			"3 parked deliveries should have been published, the first 30 s ago. Does a sluice relay run?", "", "sluice relay", "SluiceOutboxNotSwept",
		},
		"a sweep is about to begin": {func(s *monitor.Snapshot) { s.Outbox.Overdue, s.Outbox.OverdueAge = 3, after(time.Second) }, monitor.Good, "", "", "", ""},
		"silence": {
			func(s *monitor.Snapshot) {
				s.Webhooks.Suspect = []monitor.SuspectGap{{Gap: monitor.Gap{Cause: monitor.Silence, From: at(0), Until: at(9)}, Command: "sluice webhooks resync"}}
			},
			monitor.Bad, "Webhooks may be missing from 2026-03-01T00:00:00Z until 2026-03-01T00:09:00Z: no webhook came although the game went on. " +
				"The command mends what the API knows; with the exports since then: sluice backfill transactions --since 2026-03-01T00:00:00Z URL.",
			"webhooks", "sluice webhooks resync", "SluiceWebhooksMayBeMissing",
		},
		"a product that nobody knows": {
			func(s *monitor.Snapshot) { s.Purchases.UnknownProduct = 1 }, monitor.Bad,
			"1 purchase is of a product that no catalogue has: add it to a package of the catalogue.", "purchases", "", "SluiceUnknownProduct",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := monitor.Snapshot{
				Reachable: monitor.Reachable{PostgreSQL: true, NATS: true}, Outbox: &monitor.Backlog{}, Books: &monitor.Books{}, Attention: &monitor.Attention{},
				Provider: &monitor.Provider{Circuit: budget.CircuitClosed}, Webhooks: &monitor.Webhooks{}, Purchases: &monitor.Purchases{},
			}
			want.change(&s)
			verdict := monitor.Judge(s)
			require.Equal(t, want.tone, verdict.Tone)
			if want.text == "" {
				require.Empty(t, verdict.Remarks)
				require.Equal(t, "Everything works", verdict.Title)
				return
			}
			require.Len(t, verdict.Remarks, 1)
			got := verdict.Remarks[0]
			require.Equal(t, []string{want.text, want.page, want.mends, want.alert}, []string{got.Text, got.Page, got.Command, got.Alert})
			require.Equal(t, want.tone == monitor.Bad, got.Bad)
		})
	}
}

// TestTheVerdictAndTheAlertsAgree: what the verdict names has an alert of that name, with
// the same bound, and an entry for who is on call.
func TestTheVerdictAndTheAlertsAgree(t *testing.T) {
	t.Parallel()
	var source []byte
	for _, file := range []string{"verdict.go", "verdict_work.go"} {
		part, err := os.ReadFile(file)
		require.NoError(t, err)
		source = append(source, part...)
	}
	rules, err := os.ReadFile("../../deploy/prometheus/sluice.rules.yml")
	require.NoError(t, err)
	operations, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	named := regexp.MustCompile(`"(Sluice[A-Za-z]+)"`).FindAllStringSubmatch(string(source), -1)
	require.NotEmpty(t, named)
	for _, alert := range named {
		require.Contains(t, string(rules), "alert: "+alert[1]+"\n")
		require.Contains(t, string(operations), "### "+alert[1]+"\n")
	}
	for alert, bounds := range monitor.Bounds {
		rule := regexp.MustCompile(`(?s)alert: ` + alert + `\n.*?annotations:`).FindString(string(rules))
		var compared []time.Duration
		for _, bound := range regexp.MustCompile(`> (\d+)`).FindAllStringSubmatch(rule, -1) {
			seconds, err := strconv.Atoi(bound[1])
			require.NoError(t, err)
			compared = append(compared, time.Duration(seconds)*time.Second)
		}
		require.Equal(t, bounds, compared, alert)
	}
}
