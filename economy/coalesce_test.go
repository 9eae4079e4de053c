package economy_test

import (
	"testing"

	"github.com/sluice-gems/sluice/economy"
)

func costs(gems ...economy.Amount) []economy.Spend {
	spends := make([]economy.Spend, len(gems))
	for i, amount := range gems {
		spends[i].Cost = economy.Amounts{"GEM": amount}
	}
	return spends
}

func TestCoalesced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		waiting []economy.Spend
		known   economy.Amounts
		limit   int
		want    int
	}{
		"none waits":                             {nil, economy.Amounts{"GEM": 100}, 10, 0},
		"all are covered":                        {costs(50, 30, 20), economy.Amounts{"GEM": 100}, 10, 3},
		"up to the balance":                      {costs(50, 30, 21), economy.Amounts{"GEM": 100}, 10, 2},
		"nobody is passed over":                  {costs(50, 60, 10), economy.Amounts{"GEM": 100}, 10, 1},
		"the first always goes":                  {costs(500, 1), economy.Amounts{"GEM": 100}, 10, 1},
		"no balance is known":                    {costs(1, 1), nil, 10, 1},
		"known to hold nothing of that currency": {costs(1, 1), economy.Amounts{}, 10, 1},
		"the limit":                              {costs(1, 1, 1, 1), economy.Amounts{"GEM": 100}, 3, 3},
		"every currency counts": {[]economy.Spend{
			{Cost: economy.Amounts{"GEM": 1}}, {Cost: economy.Amounts{"GEM": 1, "GOLD": 5}},
		}, economy.Amounts{"GEM": 100, "GOLD": 4}, 10, 1},
	} {
		if got := economy.Coalesced(c.waiting, c.known, c.limit); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestDeclinedByEvidence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cost, refused economy.Amounts
		want          bool
	}{
		"as much":                           {economy.Amounts{"GEM": 50}, economy.Amounts{"GEM": 50}, true},
		"more":                              {economy.Amounts{"GEM": 51}, economy.Amounts{"GEM": 50}, true},
		"less":                              {economy.Amounts{"GEM": 49}, economy.Amounts{"GEM": 50}, false},
		"another currency":                  {economy.Amounts{"GOLD": 99}, economy.Amounts{"GEM": 50}, false},
		"as much, and another currency too": {economy.Amounts{"GEM": 50, "GOLD": 1}, economy.Amounts{"GEM": 50}, true},
		"either of two may have been short": {economy.Amounts{"GEM": 50}, economy.Amounts{"GEM": 50, "GOLD": 1}, false},
		"nothing was refused":               {economy.Amounts{"GEM": 50}, economy.Amounts{}, false},
	} {
		if got := economy.DeclinedByEvidence(c.cost, c.refused); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
