package handover

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/sluice-gems/sluice/economy"
)

// whsec is a secret made of a letter.
func whsec(letter string) string {
	return secretPrefix + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

var sword = economy.Spend{
	ID: "0198a2b4-0000-7000-8000-000000000001", AppUserID: "player_7", Item: "sword", Quantity: 2, CatalogVersion: 3,
	Cost: economy.Amounts{"GEM": 50}, State: economy.Charged, ChargedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
}
